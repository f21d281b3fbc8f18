//! Tables for other readers, and how long small ones take: run by hand, with `--ignored`.
//!
//! `SECPRM_INTEROP_DIR` names the folder that keeps the tables.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use common::{note, slices, spec};
use secprm_storage::{Warehouse, batch_bytes};
use tempfile::TempDir;

/// About 10 MB of made-up code in 2,000 rows of one slice.
fn code_rows(slice: i32) -> RecordBatch {
    let text = |row: i32| -> String {
        let line = |n: i32| format!("    buffer[{}] = source[{} % length]; /* {row} */\n", n * 31 % 977, n * 7);
        (0..100).map(line).collect()
    };
    RecordBatch::try_from_iter([
        ("dataset", Arc::new(StringArray::from(vec!["a/b c=%"; 2000])) as ArrayRef),
        ("slice", Arc::new(Int32Array::from(vec![slice; 2000])) as ArrayRef),
        ("text", Arc::new(StringArray::from_iter_values((0..2000).map(text))) as ArrayRef),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes a folder for other readers; see the head of this file"]
async fn other_readers_get_a_folder_and_people_get_timings() {
    let guard = TempDir::new().unwrap();
    let folder = std::env::var_os("SECPRM_INTEROP_DIR").map_or(guard.path().to_owned(), PathBuf::from);
    let warehouse = Warehouse::open("warehouse", &folder).unwrap();
    let mut table = warehouse.table("pairs").await.unwrap();
    for round in 0..6 {
        let rows = code_rows(round % 3);
        let start = Instant::now();
        let mut writer = warehouse.part_writer(&spec()).unwrap();
        for chunk in secprm_storage::split_batch(&rows, 4 << 20) {
            writer.write(&chunk).await.unwrap();
        }
        let parts = writer.finish().await.unwrap();
        let written = start.elapsed();
        let replace = slices(&[("a/b c=%", round % 3, Some(round as u64 + 1))]);
        let start = Instant::now();
        let bytes = parts.iter().map(|part| part.bytes()).sum::<u64>();
        table = Some(warehouse.commit(&spec(), table.as_ref(), parts, &replace, &note()).await.unwrap());
        let committed = start.elapsed();
        let start = Instant::now();
        let reopened = warehouse.table("pairs").await.unwrap().unwrap();
        let opened = start.elapsed();
        let start = Instant::now();
        let count = reopened.fingerprints().await.unwrap().len();
        println!(
            "{} bytes in memory, {bytes} on disk: written {written:?}, committed {committed:?}, opened {opened:?}, {count} fingerprints {:?}",
            batch_bytes(&rows),
            start.elapsed()
        );
    }
    println!("{:?}", table.unwrap());
}
