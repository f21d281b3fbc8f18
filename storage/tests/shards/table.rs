//! A table in which each row says by its content which one it is.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, BooleanBuilder, Int32Array, Int32Builder, ListBuilder, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use futures::{Stream, StreamExt, TryStreamExt};
use secprm_storage::{
    CommitMode, ReadSettings, Result, RetryPolicy, RowAddress, ShardReader, ShardSet, Table, TableSpec, Warehouse,
};

use crate::common::write;

/// Columns that training reads.
pub const WIDE: [&str; 3] = ["sample_id", "input_ids", "step_supervised"];

pub fn spec() -> TableSpec {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("element", item, true)));
    let schema = Schema::new(vec![
        Field::new("sample_id", DataType::Utf8, false),
        Field::new("window_index", DataType::Int32, false),
        Field::new("input_ids", list(DataType::Int32), true),
        Field::new("step_supervised", list(DataType::Boolean), true),
        Field::new("dataset", DataType::Utf8, false),
        Field::new("slice", DataType::Int32, false),
    ]);
    TableSpec {
        partition_columns: vec!["dataset".to_owned(), "slice".to_owned()],
        ..TableSpec::new("train_shards", Arc::new(schema))
    }
}

/// Rows from this number on are twenty times as long as others.
pub const LONG: i32 = 1_000_000;

/// The ids of row `n`: as many as its number makes them, all different from other rows'.
pub fn ids(n: i32) -> Vec<i32> {
    let length = if n < LONG { 20 + n.wrapping_mul(7919).rem_euclid(200) } else { 3000 };
    (0..length).map(|i| n.wrapping_mul(31).wrapping_add(i.wrapping_mul(i)) & 0x1_ffff).collect()
}

pub fn rows(numbers: impl IntoIterator<Item = i32>, slices: i32) -> RecordBatch {
    let numbers: Vec<i32> = numbers.into_iter().collect();
    let item = |data_type| Arc::new(Field::new("element", data_type, true));
    let mut input_ids = ListBuilder::new(Int32Builder::new()).with_field(item(DataType::Int32));
    let mut supervised = ListBuilder::new(BooleanBuilder::new()).with_field(item(DataType::Boolean));
    for n in &numbers {
        input_ids.append_value(ids(*n).into_iter().map(Some));
        supervised.append_value((0..n % 5).map(|step| Some((n + step) % 3 == 0)));
    }
    RecordBatch::try_from_iter([
        ("sample_id", Arc::new(StringArray::from_iter_values(numbers.iter().map(|n| format!("s{n}")))) as ArrayRef),
        ("window_index", Arc::new(Int32Array::from_iter_values(numbers.iter().copied()))),
        ("input_ids", Arc::new(input_ids.finish())),
        ("step_supervised", Arc::new(supervised.finish())),
        ("dataset", Arc::new(StringArray::from_iter_values(numbers.iter().map(|_| "sven")))),
        ("slice", Arc::new(Int32Array::from_iter_values(numbers.iter().map(|n| n % slices)))),
    ])
    .unwrap()
}

/// A table of rows 0 to `count`, a file for each slice.
pub async fn table(warehouse: &Warehouse, count: i32, slices: i32) -> Table {
    let mode = CommitMode::Append { transaction: None };
    write(warehouse, &spec(), None, rows(0..count, slices), &mode).await.unwrap()
}

/// A table of rows 0 and the given ones in files of many small row groups and pages, by another writer.
pub async fn finely_cut_table(warehouse: &Warehouse, numbers: impl IntoIterator<Item = i32>, slices: i32) -> Table {
    table(warehouse, 1, 1).await;
    let url = warehouse.url().join("train_shards").unwrap();
    let mut delta = deltalake::open_table(url).await.unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(50))
        .set_data_page_row_count_limit(7)
        .set_write_batch_size(4)
        .set_dictionary_enabled(false)
        .build();
    let mut writer = RecordBatchWriter::for_table(&delta).unwrap().with_writer_properties(properties);
    for numbers in numbers.into_iter().collect::<Vec<_>>().chunks(500) {
        writer.write(rows(numbers.iter().copied(), slices)).await.unwrap();
    }
    writer.flush_and_commit(&mut delta).await.unwrap();
    warehouse.table("train_shards").await.unwrap().unwrap()
}

pub fn settings() -> ReadSettings {
    ReadSettings {
        retry: RetryPolicy {
            // Faults come often here, and concurrent requests meet them in any order.
            attempts: 12,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(10),
            timeout: Duration::from_secs(20),
        },
        ..ReadSettings::default()
    }
}

/// Which row is where.
pub async fn numbers(set: &ShardSet) -> Vec<(RowAddress, i32)> {
    let reader = ShardReader::new(set, &["window_index"], settings(), None).unwrap();
    let mut found = Vec::new();
    let mut scanned = reader.scan();
    while let Some(part) = scanned.try_next().await.unwrap() {
        let numbers = part.rows.column(0).as_primitive::<Int32Type>().values().to_vec();
        for (row, number) in (part.first.row..).zip(numbers) {
            found.push((RowAddress { file: part.first.file, row }, number));
        }
    }
    found
}

/// An order with repeats that has nothing to do with the files.
pub fn shuffled(rows: &[(RowAddress, i32)], count: usize, seed: u64) -> Vec<(RowAddress, i32)> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    (0..count).map(|_| rows[next() % rows.len()]).collect()
}

pub fn addresses(order: &[(RowAddress, i32)]) -> Vec<RowAddress> {
    order.iter().map(|(address, _)| *address).collect()
}

/// Collects the rows of a stream of [`WIDE`] columns, checks that each is whole, and returns which they are.
pub async fn collect(stream: impl Stream<Item = Result<RecordBatch>>) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    let mut stream = std::pin::pin!(stream);
    while let Some(batch) = stream.next().await {
        found.extend(check(&batch?));
    }
    Ok(found)
}

pub fn check(batch: &RecordBatch) -> Vec<i32> {
    let names = batch.column(0).as_string::<i32>();
    let (lists, flags) = (batch.column(1).as_list::<i32>(), batch.column(2).as_list::<i32>());
    let row = |row: usize| {
        let n: i32 = names.value(row)[1..].parse().unwrap();
        assert_eq!(lists.value(row).as_primitive::<Int32Type>().values().as_ref(), ids(n));
        let expected: Vec<bool> = (0..n % 5).map(|step| (n + step) % 3 == 0).collect();
        assert_eq!(flags.value(row).as_boolean().iter().flatten().collect::<Vec<_>>(), expected);
        n
    };
    (0..batch.num_rows()).map(row).collect()
}

pub fn expected(order: &[(RowAddress, i32)]) -> Vec<i32> {
    order.iter().map(|(_, number)| *number).collect()
}
