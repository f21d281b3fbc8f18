//! The application transactions in a table's log, all of them in one pass.
//!
//! The library looks up one application at a time, replaying the log for each; a table of a
//! thousand slices wants them together. The newest entry of an application wins, so commits are
//! read from the newest back to the last checkpoint, and then that checkpoint's own column.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

use crate::cause::Cause;
use crate::error::{ErrorKind, Result, StorageError};
use crate::warehouse::read_object;

/// Commits fetched at a time.
const CONCURRENT_READS: usize = 16;

/// The version of the newest transaction of each application.
pub(crate) type Transactions = BTreeMap<String, i64>;

#[derive(Deserialize)]
struct LogLine {
    txn: Option<Transaction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    app_id: String,
    version: i64,
}

/// Reads the transactions of a table's version from the store rooted at the table.
pub(crate) async fn read(table: &str, store: &dyn ObjectStore, version: u64) -> Result<Transactions> {
    let checkpoint = newest_checkpoint(store, version).await?;
    let first = checkpoint.as_ref().map_or(0, |(version, _)| version + 1);
    let mut transactions = Transactions::new();
    let mut commits = stream::iter((first..=version).rev())
        .map(|version| read_commit(table, store, version))
        .buffered(CONCURRENT_READS);
    while let Some(commit) = commits.try_next().await? {
        insert_older(&mut transactions, commit);
    }
    for path in checkpoint.map(|(_, parts)| parts).unwrap_or_default() {
        let bytes = read_object(store, &path).await?.ok_or_else(|| lost(table, &path))?;
        let entries =
            checkpoint_entries(bytes).map_err(|cause| StorageError::delta("read the checkpoint of", table, cause))?;
        insert_older(&mut transactions, entries);
    }
    Ok(transactions)
}

fn insert_older(transactions: &mut Transactions, older: impl IntoIterator<Item = (String, i64)>) {
    for (application, version) in older {
        if let Entry::Vacant(entry) = transactions.entry(application) {
            entry.insert(version);
        }
    }
}

fn lost(table: &str, path: &Path) -> StorageError {
    let message = format!("`{path}` is missing from its log");
    StorageError::delta("read", table, Cause::new(ErrorKind::Corrupt, message))
}

/// The last checkpoint at or before a version, and its parts.
async fn newest_checkpoint(store: &dyn ObjectStore, version: u64) -> Result<Option<(u64, Vec<Path>)>> {
    let log = Path::from("_delta_log");
    let listed =
        store.list_with_delimiter(Some(&log)).await.map_err(|error| StorageError::store("list", &log, error))?;
    let mut parts: BTreeMap<u64, Vec<Path>> = BTreeMap::new();
    for meta in listed.objects {
        let name = meta.location.filename().unwrap_or_default();
        if let Some((number, rest)) = name.split_once('.')
            && rest.starts_with("checkpoint.")
            && rest.ends_with("parquet")
            && let Ok(number) = number.parse::<u64>()
            && number <= version
        {
            parts.entry(number).or_default().push(meta.location);
        }
    }
    Ok(parts.pop_last())
}

/// The transactions of one commit, of which each application has at most one.
async fn read_commit(table: &str, store: &dyn ObjectStore, version: u64) -> Result<Vec<(String, i64)>> {
    let path = Path::from(format!("_delta_log/{version:020}.json"));
    let bytes = read_object(store, &path).await?.ok_or_else(|| lost(table, &path))?;
    let mut found = Vec::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        // Most lines describe files, with long statistics that need no parsing here.
        if !line.windows(5).take(16).any(|window| window == b"\"txn\"") {
            continue;
        }
        let line: LogLine = serde_json::from_slice(line).map_err(|error| {
            let message = format!("`{path}`: {error}");
            StorageError::delta("read", table, Cause::new(ErrorKind::Corrupt, message))
        })?;
        found.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
    }
    Ok(found)
}

/// The column `txn` of a checkpoint file.
fn checkpoint_entries(bytes: Bytes) -> Result<Vec<(String, i64)>, Cause> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let Ok(column) = builder.schema().index_of("txn") else {
        return Ok(Vec::new());
    };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [column]);
    let mut found = Vec::new();
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let Some(txn) = batch.column(0).as_struct_opt() else {
            return Err(Cause::new(ErrorKind::Corrupt, "its column `txn` is no struct"));
        };
        let (Some(applications), Some(versions)) = (txn.column_by_name("appId"), txn.column_by_name("version")) else {
            return Err(Cause::new(ErrorKind::Corrupt, "its column `txn` lacks a field"));
        };
        let applications = arrow::compute::cast(applications, &DataType::Utf8)?;
        let versions = arrow::compute::cast(versions, &DataType::Int64)?;
        let applications = applications.as_string::<i32>();
        let versions = versions.as_primitive::<Int64Type>();
        for row in 0..txn.len() {
            if txn.is_valid(row) && applications.is_valid(row) && versions.is_valid(row) {
                found.push((applications.value(row).to_owned(), versions.value(row)));
            }
        }
    }
    Ok(found)
}
