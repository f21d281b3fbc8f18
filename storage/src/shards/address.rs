//! The rows of one version of a table, counted the same way everywhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::cause::redact;
use crate::error::{ErrorKind, Result, StorageError};
use crate::table::Table;

/// Where a row is: the number of its file in a [`ShardSet`] and its number within that file, both from 0.
///
/// Addresses compare as the rows are counted, by file and then by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowAddress {
    /// The file, as an index into [`ShardSet::files`].
    pub file: u32,
    /// The row within the file.
    pub row: u32,
}

/// The live files of one version of a table, in the order in which their rows are counted.
///
/// Files are sorted by path, rows of a file stay as they were written. That depends on the version alone, so every process counts the
/// same rows alike. Files that the version's log does not name are no part of it. Cloning is cheap.
#[derive(Clone)]
pub struct ShardSet {
    inner: Arc<Inner>,
}

struct Inner {
    table: String,
    version: u64,
    schema: SchemaRef,
    store: Arc<dyn ObjectStore>,
    is_remote: bool,
    files: Vec<ShardFile>,
    /// The index of each file's first row, and the number of all rows at the end.
    first_rows: Vec<u64>,
}

/// One Parquet file of a [`ShardSet`].
#[derive(Debug, Clone)]
pub struct ShardFile {
    /// The path in the set's store.
    pub path: Path,
    /// The full URL, redacted.
    pub url: String,
    /// The size in bytes, from the log.
    pub size: u64,
    /// The number of rows, from the log.
    pub rows: u32,
    /// The value of each partition column, which the file itself does not hold.
    pub partition: BTreeMap<String, Option<String>>,
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("ShardSet").field("table", &inner.table).field("version", &inner.version).finish_non_exhaustive()
    }
}

impl ShardSet {
    /// Takes the live files of a version; reads nothing.
    ///
    /// # Errors
    /// [`StorageError::Store`] for a file name that no store can hold, [`StorageError::Invalid`] for a file of over 4 billion rows.
    pub fn of(table: &Table) -> Result<Self> {
        let is_remote = !matches!(table.log_store().root_url().scheme(), "file" | "memory");
        Self::in_store(table, table.log_store().object_store(None), is_remote)
    }

    /// Like [`ShardSet::of`], with the files in another store, below its root: a copy, or the table's own store in a wrapper.
    ///
    /// `is_remote` says that requests are dear: nearby ranges are then fetched together, and a [`ShardCache`](crate::ShardCache) is used.
    ///
    /// # Errors
    /// As [`ShardSet::of`].
    pub fn in_store(table: &Table, store: Arc<dyn ObjectStore>, is_remote: bool) -> Result<Self> {
        let mut files = table
            .files()
            .iter()
            .map(|file| {
                let url = redact(file.url.as_str());
                let path = Path::parse(&file.path)
                    .map_err(|error| StorageError::store("read", &url, object_store::Error::from(error)))?;
                let rows = u32::try_from(file.rows).map_err(|_| {
                    StorageError::invalid("file", &url, format!("it has {} rows; write smaller files", file.rows))
                })?;
                Ok(ShardFile { path, url, size: file.size, rows, partition: file.partition.clone() })
            })
            .collect::<Result<Vec<_>>>()?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut first_rows = Vec::with_capacity(files.len() + 1);
        let mut rows = 0;
        for file in &files {
            first_rows.push(rows);
            rows += u64::from(file.rows);
        }
        first_rows.push(rows);
        let schema = Arc::clone(table.schema());
        let (table, version) = (table.name().to_owned(), table.version());
        Ok(Self { inner: Arc::new(Inner { table, version, schema, store, is_remote, files, first_rows }) })
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.inner.table
    }

    /// All columns of the table, partition columns among them.
    pub fn schema(&self) -> &SchemaRef {
        &self.inner.schema
    }

    /// The files, sorted by path.
    pub fn files(&self) -> &[ShardFile] {
        &self.inner.files
    }

    /// The number of rows, from the log.
    pub fn rows(&self) -> u64 {
        self.inner.first_rows.last().copied().unwrap_or_default()
    }

    /// Whether the files are in a store where requests are dear.
    pub fn is_remote(&self) -> bool {
        self.inner.is_remote
    }

    /// The address of the row of an index from 0 to [`ShardSet::rows`]; none past the end.
    pub fn address(&self, index: u64) -> Option<RowAddress> {
        let first_rows = &self.inner.first_rows;
        // A file without rows begins where the next one does: the last of those that begin here holds the row.
        let file = first_rows.partition_point(|first| *first <= index).checked_sub(1)?;
        let found = self.inner.files.get(file)?;
        let row = u32::try_from(index - first_rows[file]).ok().filter(|row| *row < found.rows)?;
        Some(RowAddress { file: u32::try_from(file).ok()?, row })
    }

    /// The index of a row; none for an address outside of the set.
    pub fn index(&self, address: RowAddress) -> Option<u64> {
        let file = self.inner.files.get(address.file as usize).filter(|file| address.row < file.rows);
        file.map(|_| self.inner.first_rows[address.file as usize] + u64::from(address.row))
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.inner.store
    }

    /// The error for a file that is not there any more.
    pub(super) fn gone(&self, file: &ShardFile) -> StorageError {
        let problem = "is gone: it was vacuumed or deleted; choose a release that is whole, or run the pipeline again and use the release that it publishes";
        self.bad_file(file, problem.to_owned(), ErrorKind::NotFound)
    }

    /// The error for a file that is not the one of the log.
    pub(super) fn changed(&self, file: &ShardFile, found: &str, logged: &str) -> StorageError {
        let problem = format!(
            "has {found} where the log says {logged}: something replaced it; restore it, or compute the table again"
        );
        self.bad_file(file, problem, ErrorKind::Corrupt)
    }

    fn bad_file(&self, file: &ShardFile, problem: String, kind: ErrorKind) -> StorageError {
        let (table, version) = (self.inner.table.clone(), self.inner.version);
        StorageError::LiveFile { table, version, file: file.url.clone(), problem, kind }
    }
}
