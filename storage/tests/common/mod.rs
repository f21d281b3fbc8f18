//! Warehouses, a table and small steps that the suites share.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use secprm_storage::{
    CommitMode, CommitNote, Fingerprint, Result, SliceCommit, Table, TableSpec, Warehouse, session_context,
};
use tempfile::TempDir;

/// A warehouse with what keeps it alive.
pub type Guarded = (Option<TempDir>, Warehouse);

pub fn both() -> (Guarded, Guarded) {
    let folder = TempDir::new().unwrap();
    let local = Warehouse::open("my warehouse", folder.path()).unwrap();
    let memory = Warehouse::open("memory://", Path::new("/")).unwrap();
    ((Some(folder), local), (None, memory))
}

/// A warehouse on disk, one in memory, and one in an object store where the environment names a server.
pub fn stores() -> Vec<Guarded> {
    let (local, memory) = both();
    [local, memory].into_iter().chain(remote()).collect()
}

/// A warehouse of its own on the server that speaks S3 and that the standard variables lead to (`AWS_ENDPOINT_URL` and so on), if they
/// name one. `.ci/run` starts one.
pub fn remote() -> Option<Guarded> {
    let guard = TempDir::new().unwrap();
    // Its name is nobody else's.
    let name = guard.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.');
    let warehouse = Warehouse::open(&format!("s3://{}/{name}", bucket("secprm-storage")?), Path::new("/")).unwrap();
    Some((Some(guard), warehouse))
}

/// Makes a bucket there, and returns its name. A store has no call for it, so this one is plain HTTP.
pub fn bucket(name: &str) -> Option<&str> {
    let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") else {
        eprintln!("object stores are skipped: AWS_ENDPOINT_URL names no server");
        return None;
    };
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlreadyOwnedByYou"), "{answer}");
    Some(name)
}

pub fn spec() -> TableSpec {
    let schema = Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("dataset", DataType::Utf8, false),
        Field::new("slice", DataType::Int32, false),
    ]);
    TableSpec {
        partition_columns: vec!["dataset".to_owned(), "slice".to_owned()],
        description: "vulnerable and fixed code".to_owned(),
        column_comments: [("text".to_owned(), "the code".to_owned())].into(),
        ..TableSpec::new("pairs", Arc::new(schema))
    }
}

pub fn note() -> CommitNote {
    CommitNote { run_id: "run-1".to_owned(), stage: "ingest".to_owned() }
}

pub async fn write(
    warehouse: &Warehouse,
    spec: &TableSpec,
    base: Option<&Table>,
    rows: RecordBatch,
    mode: &CommitMode,
) -> Result<Table> {
    let mut writer = warehouse.part_writer(spec)?;
    writer.write(&rows).await?;
    let parts = writer.finish().await?;
    warehouse.commit(spec, base, parts, mode, &note()).await
}

pub fn slice(dataset: &str, number: i32, hash: Option<u64>) -> SliceCommit {
    let partition = [("dataset".to_owned(), dataset.to_owned()), ("slice".to_owned(), number.to_string())].into();
    SliceCommit { partition, fingerprint: hash.map(Fingerprint::new) }
}

pub fn slices(list: &[(&str, i32, Option<u64>)]) -> CommitMode {
    CommitMode::ReplaceSlices(list.iter().map(|(d, n, hash)| slice(d, *n, *hash)).collect())
}

pub fn replace_all(hash: u64) -> CommitMode {
    CommitMode::ReplaceAll { fingerprint: Fingerprint::new(hash) }
}

/// Runs a query in which the table goes by its name.
pub async fn query(table: &Table, sql: &str) -> RecordBatch {
    let session = session_context(1 << 28, 2, None).unwrap();
    session.register_table(table.name(), table.provider().unwrap()).unwrap();
    let frame = session.sql(sql).await.unwrap();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.collect().await.unwrap();
    let schema = batches.first().map_or(schema, RecordBatch::schema);
    concat_batches(&schema, &batches).unwrap()
}
