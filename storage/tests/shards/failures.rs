//! What stores do to requests changes when rows come, or ends in an error that says which file and row.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use object_store::ObjectStoreExt;
use object_store::path::Path;
use secprm_storage::{ErrorKind, ReadSettings, RetryPolicy, RowAddress, ShardReader, ShardSet, StorageError};

use crate::common::{both, stores};
use crate::faulty::{Fault, Faulty, table_store};
use crate::table::{WIDE, addresses, collect, expected, numbers, settings, shuffled, table};

/// Reads an order through a store of faults and returns its retries.
async fn read_through(rule: fn(u64) -> Fault, is_remote: bool) -> u64 {
    let (_, (_guard, warehouse)) = both();
    let table = table(&warehouse, 400, 4).await;
    let order = shuffled(&numbers(&ShardSet::of(&table).unwrap()).await, 1000, 1);
    let set = ShardSet::in_store(&table, Faulty::new(table_store(&warehouse), rule), is_remote).unwrap();
    let reader = ShardReader::new(&set, &WIDE, ReadSettings { prefetch_rows: 200, ..settings() }, None).unwrap();
    assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
    reader.stats().retries
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_now_and_then_are_made_again() {
    for is_remote in [true, false] {
        assert!(read_through(|read| if read % 3 == 1 { Fault::Refused } else { Fault::None }, is_remote).await > 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_or_end_early_are_fetched_again() {
    let rule = |read| match read % 6 {
        2 => Fault::Short,
        5 => Fault::Broken,
        _ => Fault::None,
    };
    assert!(read_through(rule, true).await > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_fetched_once_more() {
    // The footers of the four files are read first.
    let rules: [fn(u64) -> Fault; 2] = [
        |read| if read == 0 { Fault::Nonsense } else { Fault::None },
        |read| if read == 9 { Fault::Nonsense } else { Fault::None },
    ];
    for rule in rules {
        assert_eq!(read_through(rule, true).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_come_in_order_and_late_ones_are_asked_for_again() {
    let started = Instant::now();
    assert_eq!(read_through(|read| Fault::Slow(read * 7 % 30), true).await, 0);
    let sequential = Duration::from_millis(15 * 100);
    assert!(started.elapsed() < sequential * 4, "requests overlap: {:?}", started.elapsed());

    let (_, (_guard, warehouse)) = both();
    let table = table(&warehouse, 40, 1).await;
    let hangs_once =
        Faulty::new(table_store(&warehouse), |read| if read == 1 { Fault::Slow(60_000) } else { Fault::None });
    let set = ShardSet::in_store(&table, hangs_once, true).unwrap();
    let retry = RetryPolicy { timeout: Duration::from_millis(300), ..settings().retry };
    let reader = ShardReader::new(&set, &WIDE, ReadSettings { retry, ..settings() }, None).unwrap();
    let order: Vec<_> = (0..40).filter_map(|index| set.address(index)).collect();
    assert_eq!(collect(reader.read(order)).await.unwrap().len(), 40);
    assert_eq!(reader.stats().retries, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_never_answers_is_an_error_with_file_row_and_cause() {
    let (_, (_guard, warehouse)) = both();
    let table = table(&warehouse, 40, 1).await;
    // One read of the footer, then nothing any more.
    let store = Faulty::new(table_store(&warehouse), |read| if read == 0 { Fault::None } else { Fault::Refused });
    let set = ShardSet::in_store(&table, store.clone(), true).unwrap();
    let reader = ShardReader::new(&set, &WIDE, settings(), None).unwrap();
    let error = collect(reader.read([RowAddress { file: 0, row: 17 }])).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot read row 17 of file `memory://"), "{text}");
    assert!(text.ends_with(".parquet` (12 attempts)"), "{text}");
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("refused"));
    assert_eq!(error.kind(), ErrorKind::Transient);
    assert!(store.reads.load(Ordering::Relaxed) >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_vacuumed_says_what_to_do() {
    for (_guard, warehouse) in stores() {
        for is_remote in [true, false] {
            let table = match warehouse.table("train_shards").await.unwrap() {
                Some(table) => table,
                None => table(&warehouse, 90, 3).await,
            };
            let store = table_store(&warehouse);
            let set = ShardSet::in_store(&table, store.clone(), is_remote).unwrap();
            let order: Vec<_> = (0..90).filter_map(|index| set.address(index)).collect();
            let path = Path::parse(&set.files()[1].path).unwrap();
            let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();

            let reader = || ShardReader::new(&set, &WIDE, settings(), None).unwrap();
            let known = reader();
            assert_eq!(collect(known.read(order.clone())).await.unwrap().len(), 90);
            store.delete(&path).await.unwrap();
            for reader in [reader(), known.clone()] {
                let error = collect(reader.read(order.clone())).await.unwrap_err();
                let expected = format!("file `{}` of table `train_shards` (version 0) is gone", set.files()[1].url);
                assert!(error.to_string().starts_with(&expected), "{error}");
                assert_eq!(error.kind(), ErrorKind::NotFound);
            }
            let longer = [bytes.as_ref(), b"more"].concat();
            for other in [bytes.slice(..bytes.len() - 9).to_vec(), longer] {
                let found = format!("has {} bytes where the log says {}", other.len(), bytes.len());
                store.put(&path, other.into()).await.unwrap();
                let error = collect(reader().read(order.clone())).await.unwrap_err();
                assert!(error.to_string().contains(&found), "{error}");
                assert!(matches!(&error, StorageError::LiveFile { kind: ErrorKind::Corrupt, .. }));
            }
            store.put(&path, vec![7; bytes.len()].into()).await.unwrap();
            let error = collect(reader().read(order.clone())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            store.put(&path, bytes.into()).await.unwrap();
            assert_eq!(collect(reader().read(order)).await.unwrap().len(), 90);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_a_file_is_an_error_that_names_it() {
    let (_, (_guard, warehouse)) = both();
    let table = table(&warehouse, 60, 1).await;
    let store = table_store(&warehouse);
    let set = ShardSet::of(&table).unwrap();
    let order = shuffled(&numbers(&set).await, 60, 8);
    let path = Path::parse(&set.files()[0].path).unwrap();
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut noticed = 0;
    for start in (0..bytes.len()).step_by(bytes.len() / 60) {
        let mut damaged = bytes.to_vec();
        let end = (start + 40).min(damaged.len());
        damaged[start..end].fill(0xff);
        store.put(&path, damaged.into()).await.unwrap();
        let reader = ShardReader::new(&set, &["sample_id", "input_ids"], settings(), None).unwrap();
        let mut stream = reader.read(addresses(&order));
        // Parts that are not read, such as other columns, may be anything.
        while let Some(batch) = futures::StreamExt::next(&mut stream).await {
            let Err(error) = batch else { continue };
            noticed += 1;
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(&set.files()[0].url), "{error}");
        }
    }
    assert!(noticed > 0, "no damage shows");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_outside_of_the_set_are_refused() {
    let (_, (_guard, warehouse)) = both();
    let set = ShardSet::of(&table(&warehouse, 40, 2).await).unwrap();
    let reader = ShardReader::new(&set, &WIDE, settings(), None).unwrap();
    for (file, row) in [(0, 20), (2, 0), (u32::MAX, u32::MAX)] {
        let error = collect(reader.read([RowAddress { file, row }])).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("table `train_shards`: row {row} of file {file} is not in it (this is a bug)")
        );
    }
    let error = ShardReader::new(&set, &["labels"], settings(), None).unwrap_err();
    assert!(error.to_string().contains("it has no column `labels`"), "{error}");
}
