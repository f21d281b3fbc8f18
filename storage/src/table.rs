//! One version of one table: its schema, its live files, its rows through SQL, its fingerprints.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::kernel::{EagerSnapshot, LogicalFileView};
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStore;
use tokio::sync::OnceCell;
use url::Url;

use crate::cause::Cause;
use crate::error::{ErrorKind, Result, StorageError};
use crate::fingerprint::{Fingerprint, key_of_application_id};
use crate::provider::TableScan;
use crate::transactions::{self, Transactions};
use crate::types::stored_schema;
use crate::warehouse::Warehouse;

/// One version of a table, which never changes. Cloning is cheap.
#[derive(Clone)]
pub struct Table {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    log_store: LogStoreRef,
    /// The store that a query engine reads through.
    root_store: Arc<dyn ObjectStore>,
    snapshot: EagerSnapshot,
    schema: SchemaRef,
    column_comments: BTreeMap<String, String>,
    files: Vec<LiveFile>,
    transactions: OnceCell<Transactions>,
}

/// One Parquet file of a table's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveFile {
    /// The path below the table's folder.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// The number of rows.
    pub rows: u64,
    /// The value of each partition column, which the file itself does not hold.
    pub partition: BTreeMap<String, Option<String>>,
    /// The file's full URL.
    pub url: Url,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name()).field("version", &self.version()).finish_non_exhaustive()
    }
}

impl Table {
    /// Opens a version, or the newest; a table that is missing is [`StorageError::NotFound`].
    pub(crate) async fn open(warehouse: &Warehouse, name: &str, version: Option<u64>) -> Result<Self> {
        let log_store = warehouse.log_store(name)?;
        let is_missing = |folder: std::path::PathBuf| !folder.join(name).join("_delta_log").is_dir();
        if warehouse.local_path().is_some_and(is_missing) {
            // The log below takes a missing folder for a failure.
            return Err(StorageError::no_table(name));
        }
        let snapshot = EagerSnapshot::try_new(log_store.as_ref(), version)
            .await
            .map_err(|error| StorageError::delta("open", name, error))?;
        Self::from_snapshot(warehouse, name, log_store, snapshot, None)
    }

    /// Wraps a snapshot; `transactions` are those of its log where the caller knows them all.
    pub(crate) fn from_snapshot(
        warehouse: &Warehouse,
        name: &str,
        log_store: LogStoreRef,
        snapshot: EagerSnapshot,
        transactions: Option<Transactions>,
    ) -> Result<Self> {
        let corrupt = |message: String| StorageError::delta("open", name, Cause::new(ErrorKind::Corrupt, message));
        let described: Schema =
            snapshot.schema().as_ref().try_into_arrow().map_err(|error| StorageError::delta("open", name, error))?;
        // Comments in field metadata would make otherwise equal schemas differ to a query engine.
        let schema = stored_schema(&described).map_err(corrupt)?;
        let column_comments = described
            .fields()
            .iter()
            .filter_map(|f| Some((f.name().clone(), f.metadata().get("comment")?.clone())))
            .collect();
        let table_url = warehouse.table_url(name)?;
        let log_data = snapshot.try_log_data().map_err(|error| StorageError::delta("open", name, error))?;
        let mut files =
            log_data.iter().map(|view| live_file(&table_url, &view).map_err(corrupt)).collect::<Result<Vec<_>>>()?;
        files.sort_by(|a, b| (&a.partition, &a.path).cmp(&(&b.partition, &b.path)));
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                root_store: Arc::clone(warehouse.root_store()),
                log_store,
                schema,
                column_comments,
                files,
                snapshot,
                transactions: OnceCell::new_with(transactions),
            }),
        })
    }

    /// The table's name, which is also its folder's.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The version, counted from 0.
    pub fn version(&self) -> u64 {
        self.inner.snapshot.version()
    }

    /// All columns in declared order, partition columns among them, as plain types.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// The names of the partition columns, in their order.
    pub fn partition_columns(&self) -> &[String] {
        self.inner.snapshot.metadata().partition_columns()
    }

    /// What the table is for.
    pub fn description(&self) -> Option<&str> {
        self.inner.snapshot.metadata().description()
    }

    /// What each column means, for those that say so.
    pub fn column_comments(&self) -> &BTreeMap<String, String> {
        &self.inner.column_comments
    }

    /// The live files, sorted by partition values and path.
    pub fn files(&self) -> &[LiveFile] {
        &self.inner.files
    }

    /// The number of rows, from the log alone.
    pub fn rows(&self) -> u64 {
        self.inner.files.iter().map(|file| file.rows).sum()
    }

    /// The size of the live files in bytes.
    pub fn bytes(&self) -> u64 {
        self.inner.files.iter().map(|file| file.size).sum()
    }

    /// The fingerprint of each slice, by [`slice_key`](crate::slice_key), or of the whole table
    /// under `""`, as committed together with the rows of this version. Removed slices are left out.
    ///
    /// The first call reads the log, unless this table came out of a commit.
    pub async fn fingerprints(&self) -> Result<BTreeMap<String, Fingerprint>> {
        let transactions = self.transactions().await?;
        Ok(transactions
            .iter()
            .filter_map(|(application, version)| {
                let key = key_of_application_id(self.name(), application)?;
                Some((key.to_owned(), Fingerprint::from_version(*version)?))
            })
            .collect())
    }

    /// The newest transaction of an application in this version's log.
    pub async fn transaction(&self, application: &str) -> Result<Option<i64>> {
        Ok(self.transactions().await?.get(application).copied())
    }

    pub(crate) async fn transactions(&self) -> Result<&Transactions> {
        let store = self.inner.log_store.object_store(None);
        self.inner
            .transactions
            .get_or_try_init(|| transactions::read(self.name(), store.as_ref(), self.version()))
            .await
    }

    /// The transactions, where they need no reading.
    pub(crate) fn known_transactions(&self) -> Option<&Transactions> {
        self.inner.transactions.get()
    }

    /// A read-only view of this version for a query engine.
    ///
    /// Columns come as [`Table::schema`] says: plain strings, partition columns too. Filters on
    /// partition columns and on the files' statistics leave files unread.
    pub fn provider(&self) -> Result<Arc<dyn TableProvider>> {
        let scan = TableScan::new(
            self.inner.snapshot.clone(),
            Arc::clone(&self.inner.schema),
            self.inner.log_store.root_url(),
            Arc::clone(&self.inner.root_store),
        )
        .map_err(|error| StorageError::delta("read", self.name(), error))?;
        Ok(Arc::new(scan))
    }

    pub(crate) fn snapshot(&self) -> &EagerSnapshot {
        &self.inner.snapshot
    }

    pub(crate) fn log_store(&self) -> &LogStoreRef {
        &self.inner.log_store
    }
}

fn live_file(table_url: &Url, view: &LogicalFileView) -> Result<LiveFile, String> {
    let path = view.path().into_owned();
    let rows = view.num_records().ok_or_else(|| format!("file `{path}` has no row count"))?;
    let size = u64::try_from(view.size()).map_err(|_| format!("file `{path}` has a negative size"))?;
    let url = table_url.join(&path.replace('%', "%25").replace('?', "%3F").replace('#', "%23"));
    Ok(LiveFile {
        url: url.map_err(|error| format!("file `{path}`: {error}"))?,
        rows: rows as u64,
        size,
        partition: view.partition_values_map().into_iter().collect(),
        path,
    })
}
