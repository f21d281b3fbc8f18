//! The same rows from a server that speaks S3, by range and from the cache.
//!
//! Needs the standard variables that lead to the server (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on); without `AWS_ENDPOINT_URL`
//! the test says that it is skipped. `.ci/run` starts one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use secprm_storage::{Location, ReadSettings, ShardCache, ShardReader, ShardSet};

use crate::common::{both, bucket};
use crate::faulty::table_store;
use crate::table::{WIDE, addresses, collect, expected, finely_cut_table, numbers, settings, shuffled};

#[tokio::test(flavor = "multi_thread")]
async fn rows_from_an_object_store_are_those_on_disk() {
    let Some(bucket) = bucket("secprm-shards") else { return };
    let ((_guard, warehouse), _) = both();
    let table = finely_cut_table(&warehouse, 1..600, 3).await;
    let bucket = Location::parse(&format!("s3://{bucket}/shards"), Path::new("/")).unwrap();
    let far: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(bucket.store()), bucket.path().clone()));
    let set = ShardSet::in_store(&table, far.clone(), true).unwrap();
    for file in set.files() {
        let bytes = table_store(&warehouse).get(&file.path).await.unwrap().bytes().await.unwrap();
        far.put(&file.path, bytes.into()).await.unwrap();
    }
    let rows = numbers(&ShardSet::of(&table).unwrap()).await;
    let mut order = shuffled(&rows, 500, 6);
    // A file of which nothing is read is not cached, and one of them has a single row.
    order.extend(&rows);
    let settings = ReadSettings { prefetch_rows: 200, ..settings() };
    let reader = ShardReader::new(&set, &WIDE, settings.clone(), None).unwrap();
    assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
    assert_eq!(reader.stats().retries, 0);

    let folder = tempfile::tempdir().unwrap();
    let cache = ShardCache::open(folder.path(), 1 << 30).unwrap();
    let reader = ShardReader::new(&set, &WIDE, settings.clone(), Some(cache)).unwrap();
    while reader.stats().cached_files < set.files().len() as u64 {
        assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let requests = reader.stats().requests;
    assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
    assert_eq!(reader.stats().requests, requests);

    far.delete(&set.files()[0].path).await.unwrap();
    let reader = ShardReader::new(&set, &WIDE, settings, None).unwrap();
    let error = collect(reader.read(addresses(&order))).await.unwrap_err();
    assert!(error.to_string().contains("is gone"), "{error}");
}
