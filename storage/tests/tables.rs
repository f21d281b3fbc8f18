//! One suite of laws about tables, run on a local folder and in memory.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use common::{both, note, query, replace_all, slice, slices, spec, stores, write};
use secprm_storage::{CommitMode, ErrorKind, Fingerprint, TableSpec, Warehouse};

/// Rows `(dataset, slice, text)` of the suite's table.
fn rows(rows: &[(&str, i32, &str)]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("dataset", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))) as ArrayRef),
        ("slice", Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.1))) as ArrayRef),
        ("text", Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.2))) as ArrayRef),
    ])
    .unwrap()
}

async fn texts(warehouse: &Warehouse, sql_where: &str) -> String {
    let table = warehouse.table("pairs").await.unwrap().unwrap();
    let found = query(&table, &format!("SELECT text FROM pairs {sql_where} ORDER BY text")).await;
    let texts: Vec<&str> = found.column(0).as_string::<i32>().iter().flatten().collect();
    texts.join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_created_appended_to_and_read_back() {
    for (_guard, warehouse) in stores() {
        assert!(warehouse.table("pairs").await.unwrap().is_none());
        assert!(warehouse.table_names().await.unwrap().is_empty());
        let append = CommitMode::Append { transaction: None };
        let first =
            write(&warehouse, &spec(), None, rows(&[("sven", 0, "a"), ("sven", 1, "b")]), &append).await.unwrap();
        assert_eq!((first.version(), first.rows(), first.files().len()), (0, 2, 2));
        let second = write(&warehouse, &spec(), Some(&first), rows(&[("sven", 1, "c")]), &append).await.unwrap();
        assert_eq!((second.version(), second.rows(), second.files().len()), (1, 3, 3));
        assert_eq!(texts(&warehouse, "").await, "a b c");
        assert_eq!(texts(&warehouse, "WHERE slice = 1 AND dataset = 'sven'").await, "b c");
        assert_eq!(texts(&warehouse, "WHERE slice > 1").await, "");
        assert_eq!(texts(&warehouse, "WHERE text >= 'b' AND slice < 5").await, "b c");
        assert_eq!(warehouse.table_names().await.unwrap(), ["pairs"]);
        assert_eq!(second.description(), Some("vulnerable and fixed code"));
        assert_eq!(second.column_comments()["text"], "the code");
        assert_eq!(second.partition_columns(), ["dataset", "slice"]);
        assert_eq!(second.provider().unwrap().schema(), *second.schema());
        let reopened = warehouse.table("pairs").await.unwrap().unwrap();
        assert_eq!(reopened.files(), second.files());
        assert_eq!(reopened.schema(), second.schema());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replacing_slices_leaves_the_others_alone_and_sets_their_fingerprints() {
    for (_guard, warehouse) in stores() {
        let both = slices(&[("sven", 0, Some(10)), ("sven", 1, Some(11))]);
        let one = write(&warehouse, &spec(), None, rows(&[("sven", 0, "a"), ("sven", 1, "b")]), &both).await.unwrap();
        assert_eq!(one.fingerprints().await.unwrap(), fingerprints(&[("sven/0", 10), ("sven/1", 11)]));
        let replace = slices(&[("sven", 1, Some(12))]);
        let two = write(&warehouse, &spec(), Some(&one), rows(&[("sven", 1, "c")]), &replace).await.unwrap();
        assert_eq!(texts(&warehouse, "").await, "a c");
        assert_eq!(two.fingerprints().await.unwrap(), fingerprints(&[("sven/0", 10), ("sven/1", 12)]));
        // A slice may be empty and fresh, or gone.
        let empty = slices(&[("sven", 0, Some(13)), ("sven", 1, None)]);
        let three = write(&warehouse, &spec(), Some(&two), rows(&[]), &empty).await.unwrap();
        assert_eq!((three.rows(), three.files().len()), (0, 0));
        let reopened = warehouse.table("pairs").await.unwrap().unwrap();
        assert_eq!(reopened.fingerprints().await.unwrap(), fingerprints(&[("sven/0", 13)]));
        assert_eq!(three.fingerprints().await.unwrap(), reopened.fingerprints().await.unwrap());
        // Replaced whole, the table forgets its slices.
        let whole = replace_all(14);
        let four = write(&warehouse, &spec(), Some(&three), rows(&[("x", 0, "d")]), &whole).await.unwrap();
        assert_eq!(four.fingerprints().await.unwrap(), fingerprints(&[("", 14)]));
        assert_eq!(texts(&warehouse, "").await, "d");
    }
}

fn fingerprints(list: &[(&str, u64)]) -> BTreeMap<String, Fingerprint> {
    list.iter().map(|(key, hash)| ((*key).to_owned(), Fingerprint::new(*hash))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_outside_of_the_replaced_slices_are_refused() {
    for (_guard, warehouse) in stores() {
        let replace = slices(&[("sven", 1, Some(1))]);
        let error = write(&warehouse, &spec(), None, rows(&[("sven", 0, "a")]), &replace).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("lies outside of the replaced slices"), "{error}");
        assert!(warehouse.table("pairs").await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fingerprints_and_rows_survive_a_checkpoint_and_old_versions_stay_readable() {
    for (_guard, warehouse) in stores() {
        let mut table = None;
        for hash in 1..=120_u64 {
            let number = i32::try_from(hash % 7).unwrap();
            let replace = slices(&[("sven", number, Some(hash))]);
            let row = rows(&[("sven", number, &format!("v{hash:03}"))]);
            table = Some(write(&warehouse, &spec(), table.as_ref(), row, &replace).await.unwrap());
        }
        let table = table.unwrap();
        let reopened = warehouse.table("pairs").await.unwrap().unwrap();
        assert_eq!(reopened.version(), 119);
        assert_eq!(reopened.files(), table.files());
        let expected: BTreeMap<_, _> =
            (114..=120_u64).map(|h| (format!("sven/{}", h % 7), Fingerprint::new(h))).collect();
        assert_eq!(reopened.fingerprints().await.unwrap(), expected);
        assert_eq!(table.fingerprints().await.unwrap(), expected);
        assert_eq!(texts(&warehouse, "").await, "v114 v115 v116 v117 v118 v119 v120");
        let log = warehouse.store().list_with_delimiter(Some(&"pairs/_delta_log".into())).await.unwrap();
        assert!(log.objects.iter().any(|o| o.location.as_ref().contains("checkpoint.parquet")));

        let old = warehouse.table_at("pairs", 9).await.unwrap();
        assert_eq!((old.version(), old.rows()), (9, 7));
        let expected: BTreeMap<_, _> = (4..=10_u64).map(|h| (format!("sven/{}", h % 7), Fingerprint::new(h))).collect();
        assert_eq!(old.fingerprints().await.unwrap(), expected);
        assert_eq!(query(&old, "SELECT max(text) FROM pairs").await.column(0).as_string::<i32>().value(0), "v010");

        let error = warehouse.table_at("pairs", 500).await.unwrap_err();
        assert_eq!(error.to_string(), "version `pairs@500` does not exist (the newest is 119)");
        let error = warehouse.table_at("nothing", 0).await.unwrap_err();
        assert_eq!(error.to_string(), "table `nothing` does not exist");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_with_a_transaction_happens_once() {
    for (_guard, warehouse) in stores() {
        let append = |version| CommitMode::Append { transaction: Some(("runs".to_owned(), version)) };
        let row = || rows(&[("sven", 0, "a")]);
        let one = write(&warehouse, &spec(), None, row(), &append(7)).await.unwrap();
        let again = write(&warehouse, &spec(), Some(&one), row(), &append(7)).await.unwrap();
        assert_eq!((again.version(), again.rows()), (0, 1));
        // A writer that knows nothing of the table finds out when it commits.
        let blind = write(&warehouse, &spec(), None, row(), &append(7)).await.unwrap();
        assert_eq!((blind.version(), blind.rows()), (0, 1));
        let next = write(&warehouse, &spec(), Some(&one), row(), &append(8)).await.unwrap();
        assert_eq!((next.version(), next.rows()), (1, 2));
        assert_eq!(next.transaction("runs").await.unwrap(), Some(8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replacements_based_on_one_version_one_wins() {
    for (_guard, warehouse) in stores() {
        for round in 0..10 {
            let base = warehouse.table("pairs").await.unwrap();
            let mut racers = Vec::new();
            for number in 0..4 {
                let (warehouse, base) = (warehouse.clone(), base.clone());
                racers.push(tokio::spawn(async move {
                    let replace = slices(&[("sven", number, Some(1))]);
                    let row = rows(&[("sven", number, "x")]);
                    write(&warehouse, &spec(), base.as_ref(), row, &replace).await
                }));
            }
            let mut winners = 0;
            for racer in racers {
                match racer.await.unwrap() {
                    Ok(table) => {
                        winners += 1;
                        assert_eq!(table.version(), round);
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                        assert!(error.to_string().contains("another writer changed table `pairs`"));
                    }
                }
            }
            assert_eq!(winners, 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_appends_all_arrive() {
    for (_guard, warehouse) in stores() {
        let racers: Vec<_> = (0..8)
            .map(|number| {
                let warehouse = warehouse.clone();
                tokio::spawn(async move {
                    let transaction = Some((format!("run-{number}"), 1));
                    let row = rows(&[("sven", number, "x")]);
                    write(&warehouse, &spec(), None, row, &CommitMode::Append { transaction }).await
                })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap().unwrap();
        }
        let table = warehouse.table("pairs").await.unwrap().unwrap();
        assert_eq!((table.version(), table.rows()), (7, 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schema_evolves_or_replaces_or_is_refused() {
    for (_guard, warehouse) in stores() {
        let old = TableSpec::new("t", Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)])));
        let row = |n: i32| RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from(vec![n])) as ArrayRef)]);
        let append = CommitMode::Append { transaction: None };
        let one = write(&warehouse, &old, None, row(1).unwrap(), &append).await.unwrap();

        let wider = TableSpec::new(
            "t",
            Arc::new(Schema::new(vec![Field::new("b", DataType::Utf8, true), Field::new("a", DataType::Int32, false)])),
        );
        let both = RecordBatch::try_from_iter([
            ("b", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
            ("a", Arc::new(Int32Array::from(vec![2])) as ArrayRef),
        ]);
        let two = write(&warehouse, &wider, Some(&one), both.unwrap(), &append).await.unwrap();
        let found = query(&two, "SELECT b, a FROM t ORDER BY a").await;
        let names: Vec<_> = found.column(0).as_string::<i32>().iter().collect();
        assert_eq!(names, [None, Some("x")]);
        assert_eq!(found.column(1).as_primitive::<Int32Type>().values(), &[1, 2]);

        let error = write(&warehouse, &old, Some(&two), row(3).unwrap(), &append).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "table `t`: its column `b` is no longer declared, and other rows of the table stay; start a new warehouse if another version of secprm wrote this one"
        );
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let three = write(&warehouse, &old, Some(&two), row(3).unwrap(), &replace_all(1)).await.unwrap();
        assert_eq!(three.schema().fields().len(), 1);
        assert_eq!(query(&three, "SELECT a FROM t").await.column(0).as_primitive::<Int32Type>().values(), &[3]);
        let old = warehouse.table_at("t", two.version()).await.unwrap();
        assert_eq!(query(&old, "SELECT a, b FROM t").await.num_rows(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_partition_values_round_trip() {
    let odd = ["a/b c=%", "%2F", "é ü", "a'b\"c", "x?y#z", "..", "NULL", "__HIVE_DEFAULT_PARTITION__", "a b"];
    for (_guard, warehouse) in stores() {
        let input: Vec<(&str, i32, &str)> = odd.iter().map(|value| (*value, -1, *value)).collect();
        let wanted: Vec<_> = odd.iter().map(|value| slice(value, -1, Some(5))).collect();
        let replace = CommitMode::ReplaceSlices(wanted);
        let table = write(&warehouse, &spec(), None, rows(&input), &replace).await.unwrap();
        assert_eq!(table.files().len(), odd.len());
        let found = query(&table, "SELECT dataset, text, slice FROM pairs").await;
        assert_eq!(found.num_rows(), odd.len());
        assert_eq!(found.column(0), found.column(1));
        for value in odd {
            let quoted = value.replace('\'', "''");
            let sql = format!("SELECT text FROM pairs WHERE dataset = '{quoted}'");
            let found = query(&table, &sql).await;
            assert_eq!(found.column(0).as_string::<i32>().iter().collect::<Vec<_>>(), [Some(value)]);
        }
        let removed = CommitMode::ReplaceSlices(odd.iter().map(|value| slice(value, -1, None)).collect());
        let table = write(&warehouse, &spec(), Some(&table), rows(&[]), &removed).await.unwrap();
        assert!(table.files().is_empty() && table.fingerprints().await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_lists_exactly_the_live_files() {
    for (_guard, warehouse) in stores() {
        let one = slices(&[("sven", 0, Some(1)), ("big", 1, Some(1))]);
        let first = write(&warehouse, &spec(), None, rows(&[("sven", 0, "a"), ("big", 1, "b")]), &one).await.unwrap();
        let again = slices(&[("sven", 0, Some(2))]);
        let second = write(&warehouse, &spec(), Some(&first), rows(&[("sven", 0, "c")]), &again).await.unwrap();
        let names: Vec<_> = second.files().iter().map(|f| f.partition["dataset"].as_deref().unwrap()).collect();
        assert_eq!(names, ["big", "sven"]);
        assert_eq!(second.files()[0], first.files()[0]);
        assert_ne!(second.files()[1], first.files()[1]);
        for file in second.files() {
            let path = object_store::path::Path::from(format!("pairs/{}", file.path));
            let meta = object_store::ObjectStoreExt::head(warehouse.store().as_ref(), &path).await.unwrap();
            assert_eq!(meta.size, file.size);
            assert!(file.path.contains("dataset="), "{}", file.path);
            assert!(file.url.as_str().starts_with(warehouse.url().as_str()));
        }
        assert_eq!(second.bytes(), second.files().iter().map(|f| f.size).sum::<u64>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_told_who_holds_the_lock() {
    for (_guard, warehouse) in stores() {
        let lock = warehouse.lock().unwrap();
        let error = warehouse.clone().lock().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transient);
        let is_local = warehouse.local_path().is_some();
        let holder =
            if is_local { format!("process {}, for 0 s", std::process::id()) } else { "in this process".to_owned() };
        assert!(error.to_string().contains(&format!("another run ({holder}")), "{error}");
        drop(lock);
        warehouse.lock().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_which_run_committed_what() {
    let (_guard, warehouse) = both().0;
    let replace = slices(&[("sven", 0, Some(255))]);
    write(&warehouse, &spec(), None, rows(&[("sven", 0, "a")]), &replace).await.unwrap();
    let log = warehouse.get("pairs/_delta_log/00000000000000000000.json").await.unwrap();
    let log = String::from_utf8(log.to_vec()).unwrap();
    let expected = r#""userMetadata":"{\"run\":\"run-1\",\"stage\":\"ingest\",\"fingerprints\":{\"sven/0\":\"00000000000000ff\"}}""#;
    assert!(log.contains(expected), "{log}");
    assert!(log.contains(r#"{"txn":{"appId":"secprm:pairs:sven/0","version":255}}"#), "{log}");
    assert!(log.contains(r#""minReaderVersion":1,"minWriterVersion":2"#), "{log}");
    assert_eq!(note().run_id, "run-1");
}
