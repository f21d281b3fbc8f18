//! Rows come in the caller's order, whatever is read ahead.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use futures::TryStreamExt;
use futures::future::join_all;
use secprm_storage::{ReadSettings, RowAddress, ShardReader, ShardSet};

use crate::common::{both, stores};
use crate::faulty::table_store;
use crate::table::{LONG, WIDE, addresses, collect, expected, finely_cut_table, numbers, settings, shuffled, table};

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_gives_every_row_once_in_the_order_of_addresses() {
    for (_guard, warehouse) in stores() {
        let set = ShardSet::of(&table(&warehouse, 700, 5).await).unwrap();
        let found = numbers(&set).await;
        assert_eq!((found.len() as u64, set.files().len()), (set.rows(), 5));
        for (index, (address, _)) in (0..).zip(&found) {
            assert_eq!((set.address(index), set.index(*address)), (Some(*address), Some(index)));
        }
        assert_eq!(set.address(set.rows()), None);
        assert_eq!(set.index(RowAddress { file: 5, row: 0 }), None);
        let mut all: Vec<i32> = expected(&found);
        all.sort_unstable();
        assert_eq!(all, (0..700).collect::<Vec<_>>());
        assert!(set.files().is_sorted_by_key(|file| file.path.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_in_exactly_the_order_asked_for_with_repeats() {
    for (_guard, warehouse) in stores() {
        let set = ShardSet::of(&table(&warehouse, 700, 5).await).unwrap();
        let order = shuffled(&numbers(&set).await, 3000, 1);
        let reader = ShardReader::new(&set, &WIDE, settings(), None).unwrap();
        assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
        assert_eq!((reader.stats().rows, reader.stats().bytes_in_flight), (3000, 0));
        assert!(collect(reader.read(Vec::new())).await.unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_ahead_row_groups_and_distance_change_nothing() {
    let ((guard, warehouse), _) = both();
    let table = finely_cut_table(&warehouse, 1..1500, 4).await;
    let near = ShardSet::of(&table).unwrap();
    let far = ShardSet::in_store(&table, table_store(&warehouse), true).unwrap();
    let order = shuffled(&numbers(&near).await, 500, 2);
    for set in [&near, &far] {
        for (prefetch_bytes, prefetch_rows, batch_rows, concurrent_requests) in
            [(1, 1, 1, 1), (100_000, 64, 7, 2), (1 << 20, 5000, 10_000, 3), (256 << 20, 16_384, 64, 16)]
        {
            let settings =
                ReadSettings { prefetch_bytes, prefetch_rows, batch_rows, concurrent_requests, ..settings() };
            let reader = ShardReader::new(set, &WIDE, settings, None).unwrap();
            assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order), "{prefetch_rows}");
        }
    }
    drop(guard);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_an_order_gives_that_share_and_many_read_at_once() {
    let (_, (_guard, warehouse)) = both();
    let set = ShardSet::of(&table(&warehouse, 900, 3).await).unwrap();
    let order = shuffled(&numbers(&set).await, 2400, 3);
    let reader = ShardReader::new(&set, &WIDE, ReadSettings { prefetch_rows: 200, ..settings() }, None).unwrap();
    let ranks = (0..8).map(|rank| {
        let share: Vec<_> = order.iter().skip(rank).step_by(8).copied().collect();
        let reader = reader.clone();
        tokio::spawn(async move {
            assert_eq!(collect(reader.read(addresses(&share))).await.unwrap(), expected(&share));
        })
    });
    join_all(ranks).await.into_iter().for_each(Result::unwrap);
    assert_eq!(reader.stats().rows, 2400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_row_costs_little_more_than_its_page() {
    let ((_guard, warehouse), _) = both();
    let set = ShardSet::of(&table(&warehouse, 6000, 1).await).unwrap();
    let reader = ShardReader::new(&set, &["input_ids"], settings(), None).unwrap();
    let mut costs = Vec::new();
    for index in [0, 1, 3000, 5999] {
        let before = reader.stats().bytes_fetched;
        let rows: Vec<_> = reader.read(set.address(index)).try_collect().await.unwrap();
        assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
        costs.push(reader.stats().bytes_fetched - before);
    }
    // The first pays for the footer too.
    let file = set.files()[0].size;
    assert!(costs[1..].iter().all(|bytes| *bytes < 25_000) && file > 800_000, "{costs:?} of {file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_the_budget_even_when_nobody_takes_rows() {
    let ((_guard, warehouse), _) = both();
    let set = ShardSet::of(&finely_cut_table(&warehouse, 1..2000, 2).await).unwrap();
    let order = shuffled(&numbers(&set).await, 8000, 4);
    let budget = 400_000;
    let settings = ReadSettings { prefetch_bytes: budget, ..settings() };
    let reader = ShardReader::new(&set, &WIDE, settings, None).unwrap();
    let mut stream = reader.read(addresses(&order));
    let first = stream.try_next().await.unwrap().unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let waiting = reader.stats();
    assert!(waiting.bytes_in_flight > budget / 4, "it reads ahead: {waiting:?}");
    let mut found = crate::table::check(&first);
    found.extend(collect(stream).await.unwrap());
    assert_eq!(found, expected(&order));
    let stats = reader.stats();
    assert!(stats.peak_bytes_in_flight <= budget, "{stats:?}");
    assert_eq!(stats.bytes_in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_much_longer_than_others_are_accounted_for_once_they_come() {
    let ((_guard, warehouse), _) = both();
    let one_long_in_twenty = (1..100).flat_map(|n| (20 * n..20 * n + 19).chain([LONG + n]));
    let set = ShardSet::of(&finely_cut_table(&warehouse, one_long_in_twenty, 1).await).unwrap();
    let rows = numbers(&set).await;
    let long: Vec<_> = rows.iter().filter(|(_, n)| *n >= LONG).copied().collect();
    let order = shuffled(&long, 4000, 9);
    let budget = 400_000;
    let reader = ShardReader::new(&set, &WIDE, ReadSettings { prefetch_bytes: budget, ..settings() }, None).unwrap();
    let mut stream = reader.read(addresses(&order));
    for _ in 0..50 {
        let batch = stream.try_next().await.unwrap().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        assert!(batch.num_rows() > 0);
    }
    let held = reader.stats().bytes_in_flight;
    assert!(held <= budget, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_stream_holds_nothing() {
    let (_, (_guard, warehouse)) = both();
    let set = ShardSet::of(&table(&warehouse, 900, 3).await).unwrap();
    let everything = (0..).map_while({
        let set = set.clone();
        move |index: u64| set.address(index % set.rows())
    });
    let reader = ShardReader::new(&set, &WIDE, settings(), None).unwrap();
    let mut stream = reader.read(everything);
    for _ in 0..20 {
        assert_eq!(stream.try_next().await.unwrap().unwrap().num_rows(), 64);
    }
    drop(stream);
    for _ in 0..100 {
        if reader.stats().bytes_in_flight == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{:?}", reader.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_columns_and_columns_younger_than_a_file_are_there_too() {
    let (_, (_guard, warehouse)) = both();
    let old = table(&warehouse, 60, 3).await;
    let mut spec = crate::table::spec();
    let mut fields = spec.schema.fields().to_vec();
    fields.push(Arc::new(arrow::datatypes::Field::new("weight", arrow::datatypes::DataType::Int32, true)));
    spec.schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let none = secprm_storage::CommitMode::Append { transaction: None };
    let table = warehouse.commit(&spec, Some(&old), Vec::new(), &none, &crate::common::note()).await.unwrap();
    let set = ShardSet::of(&table).unwrap();
    let reader = ShardReader::new(&set, &["slice", "weight", "window_index", "dataset"], settings(), None).unwrap();
    let order = shuffled(&numbers(&set).await, 100, 5);
    let batches: Vec<_> = reader.read(addresses(&order)).try_collect().await.unwrap();
    for batch in batches {
        let column = |index: usize| batch.column(index).as_primitive::<Int32Type>();
        let slices: Vec<i32> = column(2).values().iter().map(|n| n % 3).collect();
        assert_eq!(column(0).values().as_ref(), slices);
        assert_eq!(batch.column(1).null_count(), batch.num_rows());
        assert_eq!(batch.column(3).as_string::<i32>().value(0), "sven");
        assert_eq!(&batch.schema(), reader.schema());
    }
    let constant = ShardReader::new(&set, &["slice"], settings(), None).unwrap();
    assert_eq!(
        constant.read(addresses(&order)).map_ok(|b| b.num_rows()).try_collect::<Vec<_>>().await.unwrap(),
        [64, 36]
    );
    assert_eq!(constant.stats().requests, 6, "sizes and footers only");
}
