//! Sources, exports, blobs, and rows of every kind through a table.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Float64Array, Int8Array, LargeStringArray, ListBuilder, RecordBatch,
    StringBuilder, StringViewArray, StructArray, TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use bytes::Bytes;
use common::{both, query, replace_all, slices, spec, stores, write};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use secprm_storage::{ErrorKind, Location, TableSpec, Warehouse, export_parquet, session_context};
use tempfile::TempDir;

/// One row with values and one with nulls, in every type that stages use.
fn all_kinds() -> RecordBatch {
    let mut texts = ListBuilder::new(StringBuilder::new());
    texts.values().append_value("int main() {}\n");
    texts.values().append_null();
    texts.append(true);
    texts.append(false);
    let inner = Fields::from(vec![Field::new("rule", DataType::Utf8, true), Field::new("n", DataType::Int8, true)]);
    let inner = StructArray::new(
        inner,
        vec![
            Arc::new(arrow::array::StringArray::from(vec![Some("r1"), None])),
            Arc::new(Int8Array::from(vec![Some(-1), None])),
        ],
        None,
    );
    let time = TimestampNanosecondArray::from(vec![Some(1_700_000_000_123_456_000), None]).with_timezone("UTC");
    RecordBatch::try_from_iter_with_nullable([
        ("texts", Arc::new(texts.finish()) as ArrayRef, true),
        ("inner", Arc::new(inner) as ArrayRef, true),
        ("time", Arc::new(time) as ArrayRef, true),
        ("view", Arc::new(StringViewArray::from(vec![Some("a long text behind a view"), None])) as ArrayRef, true),
        ("large", Arc::new(LargeStringArray::from(vec![Some(""), None])) as ArrayRef, true),
        ("unsigned", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])) as ArrayRef, true),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef, true),
        ("score", Arc::new(Float64Array::from(vec![Some(0.5), None])) as ArrayRef, true),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_column_round_trips_with_its_nulls() {
    for (_guard, warehouse) in stores() {
        let input = all_kinds();
        let spec = TableSpec::new("kinds", input.schema());
        let table = write(&warehouse, &spec, None, input.clone(), &replace_all(1)).await.unwrap();
        let stored = spec.stored_schema().unwrap();
        assert_eq!(*table.schema(), stored);
        assert_eq!(stored.field(2).data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
        let found = query(&table, "SELECT * FROM kinds").await;
        let expected = secprm_storage::conform("kinds", &stored, &input).unwrap();
        for (index, field) in stored.fields().iter().enumerate() {
            assert_eq!(found.column(index).data_type(), field.data_type(), "{}", field.name());
            assert_eq!(found.column(index), expected.column(index), "{}", field.name());
        }
        let times = query(&table, "SELECT count(*) FROM kinds WHERE time > '2023-01-01'").await;
        assert_eq!(times.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 1);
        let inner = query(&table, "SELECT inner['rule'], texts[1] FROM kinds WHERE flag").await;
        assert_eq!(inner.column(0).as_string::<i32>().value(0), "r1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_in_many_interleaved_partitions_all_arrive() {
    for (_guard, warehouse) in stores() {
        let code = "if (x < 0) { return -EINVAL; } /* padding */\n".repeat(20);
        let n = 3000_i32;
        let batch = RecordBatch::try_from_iter([
            ("dataset", Arc::new(arrow::array::StringArray::from(vec!["sven"; n as usize])) as ArrayRef),
            ("slice", Arc::new(arrow::array::Int32Array::from_iter_values((0..n).map(|i| i % 20))) as ArrayRef),
            (
                "text",
                Arc::new(arrow::array::StringArray::from_iter_values((0..n).map(|i| format!("{i} {code}"))))
                    as ArrayRef,
            ),
        ])
        .unwrap();
        let mut writer = warehouse.part_writer(&spec()).unwrap();
        for chunk in secprm_storage::split_batch(&batch, 300_000) {
            writer.write(&chunk).await.unwrap();
        }
        let parts = writer.finish().await.unwrap();
        assert_eq!(parts.iter().map(|part| part.rows()).sum::<u64>(), 3000);
        assert_eq!(parts.len(), 20, "rows of a partition wait for each other rather than get a file each");
        let numbers: Vec<i32> = (0..20).collect();
        let all: Vec<_> = numbers.iter().map(|number| ("sven", *number, Some(1))).collect();
        let table = warehouse.commit(&spec(), None, parts, &slices(&all), &common::note()).await.unwrap();
        let counted = query(&table, "SELECT count(*), count(distinct text), sum(slice) FROM pairs").await;
        let number = |i: usize| counted.column(i).as_primitive::<arrow::datatypes::Int64Type>().value(0);
        assert_eq!((number(0), number(1), number(2)), (3000, 3000, 28500));
    }
}

/// One row of a slice, in the columns of `spec`.
fn row_of(slice: i32) -> RecordBatch {
    let text = Arc::new(arrow::array::StringArray::from(vec!["int a;"])) as ArrayRef;
    let dataset = Arc::new(arrow::array::StringArray::from(vec!["sven"])) as ArrayRef;
    let slice = Arc::new(arrow::array::Int32Array::from(vec![slice])) as ArrayRef;
    RecordBatch::try_from_iter([("text", text), ("dataset", dataset), ("slice", slice)]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_has_had_its_rows_is_written_while_those_of_others_come() {
    let ((guard, warehouse), _) = both();
    let folder = guard.unwrap();
    let is_there = |slice: i32| {
        let folder = folder.path().join(format!("my warehouse/pairs/dataset=sven/slice={slice}"));
        folder.is_dir() && std::fs::read_dir(folder).unwrap().count() > 0
    };
    let mut writer = warehouse.part_writer(&spec()).unwrap();
    writer.write(&row_of(0)).await.unwrap();
    let mut written = 1;
    // Files are ended beside the rows that follow, so when one is there is not told to the row.
    while !is_there(0) {
        assert!(written < 100_000, "the rows of slice 0 wait for the end");
        writer.write(&row_of(1)).await.unwrap();
        written += 1;
    }
    assert!(!is_there(1), "rows of a slice that goes on wait for each other");
    let parts = writer.finish().await.unwrap();
    assert_eq!(parts.len(), 2);
    assert_eq!(parts.iter().map(|part| part.rows()).sum::<u64>(), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_that_take_turns_get_one_file_each() {
    let (_guard, warehouse) = both().1;
    let mut writer = warehouse.part_writer(&spec()).unwrap();
    for _ in 0..4 {
        for slice in 0..256 {
            writer.write(&row_of(slice)).await.unwrap();
        }
    }
    let parts = writer.finish().await.unwrap();
    assert_eq!(parts.iter().map(|part| part.rows()).collect::<Vec<_>>(), vec![4; 256]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_a_partition_column_leaves_other_files_unread() {
    let (_guard, warehouse) = both().0;
    let input = RecordBatch::try_from_iter([
        ("dataset", Arc::new(arrow::array::StringArray::from(vec!["a", "b"])) as ArrayRef),
        ("slice", Arc::new(arrow::array::Int32Array::from(vec![0, 1])) as ArrayRef),
        ("text", Arc::new(arrow::array::StringArray::from(vec!["x", "y"])) as ArrayRef),
    ]);
    let mode = slices(&[("a", 0, Some(1)), ("b", 1, Some(1))]);
    let table = write(&warehouse, &spec(), None, input.unwrap(), &mode).await.unwrap();
    // The other file is gone, and the query does not notice.
    let other = table.files().iter().find(|f| f.partition["dataset"].as_deref() == Some("b")).unwrap();
    std::fs::remove_file(other.url.to_file_path().unwrap()).unwrap();
    for filter in ["dataset = 'a'", "slice = 0", "dataset IN ('a') AND slice < 1"] {
        let found = query(&table, &format!("SELECT text FROM pairs WHERE {filter}")).await;
        assert_eq!(found.num_rows(), 1, "{filter}");
    }
}

#[tokio::test]
async fn sources_are_listed_by_folder_file_and_pattern() {
    let folder = TempDir::new().unwrap();
    for name in ["data/train/a.jsonl", "data/train/b é%20.jsonl", "data/val/c.jsonl", "data/.hidden", "data/n.txt"] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let cases = [
        ("data", vec!["n.txt", "train/a.jsonl", "train/b é%20.jsonl", "val/c.jsonl"]),
        ("data/", vec!["n.txt", "train/a.jsonl", "train/b é%20.jsonl", "val/c.jsonl"]),
        ("./data/../data/train", vec!["a.jsonl", "b é%20.jsonl"]),
        ("data/*/*.jsonl", vec!["train/a.jsonl", "train/b é%20.jsonl", "val/c.jsonl"]),
        ("data/**/?.jsonl", vec!["train/a.jsonl", "val/c.jsonl"]),
        ("data/n.txt", vec!["n.txt"]),
        ("data/train/b é%20.jsonl", vec!["b é%20.jsonl"]),
    ];
    for (text, expected) in cases {
        let location = Location::parse(text, folder.path()).unwrap();
        let files = location.list().await.unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, expected, "{text}");
        let bytes = location.read(&files[0]).await.unwrap();
        let chunks: Vec<Bytes> = location.stream(&files[0]).await.unwrap().try_collect().await.unwrap();
        assert_eq!(chunks.concat(), bytes);
        assert_eq!(files[0].size, bytes.len() as u64);
        assert!(location.display(&files[0]).ends_with(std::str::from_utf8(&bytes).unwrap()));
    }
    let url = format!("file://{}/data/n.txt", folder.path().display());
    assert_eq!(Location::parse(&url, Path::new("/")).unwrap().list().await.unwrap().len(), 1);

    let error = |text: &str| Location::parse(text, folder.path()).unwrap();
    let missing = error("nowhere/x").list().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().starts_with("source `nowhere/x` does not exist ("), "{missing}");
    let empty = error("empty").list().await.unwrap_err();
    assert_eq!(empty.to_string(), "cannot use source `empty`: the folder holds no file");
    let none = error("data/*.csv").list().await.unwrap_err();
    assert_eq!(none.to_string(), "cannot use source `data/*.csv`: no file matches the pattern");
}

#[test]
fn unusable_locations_are_named_without_their_secrets() {
    let error = |text: &str| Location::parse(text, Path::new("/")).unwrap_err();
    assert_eq!(
        error("ftp://key:secret@bucket/x?token=secret").to_string(),
        "cannot use location `ftp://bucket/x`: ftp:// is no known scheme; \
         use a path, file://, s3://, gs://, az://, abfss:// or https://"
    );
    // Whatever credentials the environment holds, the store that has them is not shown.
    let shown = format!("{:?}", Location::parse("s3://key:secret@bucket/x/*.jsonl", Path::new("/")).unwrap());
    assert_eq!(shown, r#"Location { text: "s3://bucket/x/*.jsonl", pattern: Some("*.jsonl"), .. }"#);
    assert!(error("ftp://h/x").to_string().contains("ftp:// is no known scheme"));
    assert_eq!(error(" ").kind(), ErrorKind::Configuration);
    let refused = Warehouse::open("https://host/x", Path::new("/")).unwrap_err().to_string();
    assert!(refused.contains("a warehouse is a path or begins with s3://"), "{refused}");
    assert_eq!(error("abfss://container@account/x").kind(), ErrorKind::Configuration);
    assert!(Warehouse::open("/tmp/a*b", Path::new("/")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_written_whole_and_stay_below_the_warehouse() {
    for (_guard, warehouse) in stores() {
        let large = Bytes::from(vec![7_u8; 40 << 20]);
        for bytes in [Bytes::from_static(b"{}"), large] {
            warehouse.put_atomic("models/ab12/weights", bytes.clone()).await.unwrap();
            assert_eq!(warehouse.get("models/ab12/weights").await.unwrap(), bytes);
        }
        assert!(warehouse.exists("models/ab12/weights").await.unwrap());
        assert!(!warehouse.exists("models/ab12/config.json").await.unwrap());
        let error = warehouse.get("models/ab12/config.json").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().starts_with("file `models/ab12/config.json` does not exist in "), "{error}");
        for path in ["../x", "/etc/passwd", "a//b", ""] {
            assert_eq!(warehouse.put_atomic(path, Bytes::new()).await.unwrap_err().kind(), ErrorKind::Configuration);
        }
        assert!(warehouse.table_names().await.unwrap().is_empty());
        warehouse.remove_folder("models").await.unwrap();
        warehouse.remove_folder("models").await.unwrap();
        assert!(!warehouse.exists("models/ab12/weights").await.unwrap());
        assert!(warehouse.local_path().is_none_or(|folder| !folder.join("models").exists()), "an empty folder stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_a_clean_folder_of_plain_files_or_nothing() {
    let (guard, warehouse) = both().0;
    let folder = guard.unwrap();
    let input = all_kinds();
    let spec = TableSpec { partition_columns: vec!["view".to_owned()], ..TableSpec::new("kinds", input.schema()) };
    let table = write(&warehouse, &spec, None, input.slice(0, 1), &replace_all(1)).await.unwrap();
    let session = session_context(1 << 28, 2, Some(&folder.path().join("spill"))).unwrap();
    session.register_table("kinds", table.provider().unwrap()).unwrap();
    let rows = || async { session.table("kinds").await.unwrap().execute_stream().await.unwrap() };
    let target = folder.path().join("out/kinds");
    let exported = export_parquet(rows().await, &target).await.unwrap();
    assert_eq!((exported.files, exported.rows), (1, 1));
    let names: Vec<_> = std::fs::read_dir(target.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["kinds"]);
    let file = std::fs::File::open(target.join("part-00000.parquet")).unwrap();
    let read: Vec<RecordBatch> =
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(read[0].schema().fields(), table.schema().fields());
    assert_eq!(read[0].column(3).as_string::<i32>().value(0), "a long text behind a view");

    let error = export_parquet(rows().await, &target).await.unwrap_err();
    assert!(error.to_string().contains("it is not empty; name a new folder"), "{error}");
    let failing = session.sql("SELECT 1 / (score - 0.5)::int AS x FROM kinds").await.unwrap();
    let other = folder.path().join("out/failed");
    export_parquet(failing.execute_stream().await.unwrap(), &other).await.unwrap_err();
    assert_eq!(std::fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_or_misfit_is_refused_before_anything_is_written() {
    for (_guard, warehouse) in stores() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int32, false)]));
        let spec = TableSpec::new("numbers", schema);
        let nulls = RecordBatch::try_from_iter([(
            "n",
            Arc::new(arrow::array::Int32Array::from(vec![None, Some(1)])) as ArrayRef,
        )]);
        let error = write(&warehouse, &spec, None, nulls.unwrap(), &replace_all(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().starts_with("table `numbers`: "), "{error}");
        assert!(error.to_string().contains("'n'"), "{error}");
        for name in ["", "_x", "a/b", "a b", "../a"] {
            let spec = TableSpec { name: name.to_owned(), ..spec.clone() };
            assert_eq!(warehouse.part_writer(&spec).unwrap_err().kind(), ErrorKind::Configuration);
        }
    }
}
