//! The cache holds whole files or nothing, whoever shares it and whatever happens to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secprm_storage::{ReadSettings, RowAddress, ShardCache, ShardReader, ShardSet, Warehouse};
use tempfile::TempDir;

use crate::common::both;
use crate::faulty::{Fault, Faulty, table_store};
use crate::table::{WIDE, addresses, collect, expected, numbers, settings, shuffled, table};

const LARGE: u64 = 1 << 30;

/// A table in a store that counts as remote, and an order of its rows.
struct Remote {
    _warehouse: Warehouse,
    store: Arc<Faulty>,
    set: ShardSet,
    order: Vec<(RowAddress, i32)>,
}

impl Remote {
    async fn new(rule: fn(u64) -> Fault) -> Self {
        let (_, (_, warehouse)) = both();
        let table = table(&warehouse, 400, 4).await;
        let order = shuffled(&numbers(&ShardSet::of(&table).unwrap()).await, 300, 1);
        let store = Faulty::new(table_store(&warehouse), rule);
        let set = ShardSet::in_store(&table, store.clone(), true).unwrap();
        Self { _warehouse: warehouse, store, set, order }
    }

    fn reader(&self, cache: &Arc<ShardCache>) -> ShardReader {
        let settings = ReadSettings { prefetch_rows: 100, ..settings() };
        ShardReader::new(&self.set, &WIDE, settings, Some(Arc::clone(cache))).unwrap()
    }

    async fn read(&self, reader: &ShardReader) {
        assert_eq!(collect(reader.read(addresses(&self.order))).await.unwrap(), expected(&self.order));
    }

    /// Reads until so many files are cached, and then once more.
    async fn fill(&self, reader: &ShardReader, files: u64) {
        for _ in 0..200 {
            self.read(reader).await;
            if reader.stats().cached_files == files {
                return self.read(reader).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", reader.stats());
    }

    fn bytes(&self) -> u64 {
        self.set.files().iter().map(|file| file.size).sum()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| !path.ends_with(".lock")).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_fetched_once_and_then_read_from_disk() {
    let remote = Remote::new(|_| Fault::None).await;
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(folder.path(), LARGE).unwrap();
    let reader = remote.reader(&cache);
    remote.fill(&reader, 4).await;
    let before = reader.stats();
    remote.read(&reader).await;
    let after = reader.stats();
    assert_eq!((after.requests, after.bytes_fetched), (before.requests, before.bytes_fetched));
    assert!(after.bytes_from_cache > before.bytes_from_cache);
    assert_eq!(files(folder.path()).len(), 4);
    for path in files(folder.path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let hash = blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string();
        assert_eq!(name.split('.').nth(1), Some(hash.as_str()));
    }
    // A later process finds them and asks the store for nothing but what it needs before they are verified.
    let later = ShardCache::open(folder.path(), LARGE).unwrap();
    remote.fill(&remote.reader(&later), 4).await;
    assert_eq!(files(folder.path()).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_truncated_files_are_fetched_again() {
    let remote = Remote::new(|_| Fault::None).await;
    let folder = TempDir::new().unwrap();
    remote.fill(&remote.reader(&ShardCache::open(folder.path(), LARGE).unwrap()), 4).await;
    let whole: Vec<Vec<u8>> = files(folder.path()).iter().map(|path| fs::read(path).unwrap()).collect();
    let damage = |index: usize, change: fn(&mut Vec<u8>)| {
        let mut bytes = whole[index].clone();
        change(&mut bytes);
        fs::write(&files(folder.path())[index], bytes).unwrap();
    };
    damage(0, |bytes| bytes[100] ^= 1);
    damage(1, |bytes| bytes.truncate(1000));
    damage(2, Vec::clear);
    remote.fill(&remote.reader(&ShardCache::open(folder.path(), LARGE).unwrap()), 4).await;
    let again: Vec<Vec<u8>> = files(folder.path()).iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(again == whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_vanish_or_break_while_they_are_in_use_are_read_from_the_store() {
    let remote = Remote::new(|_| Fault::None).await;
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(folder.path(), LARGE).unwrap();
    let reader = remote.reader(&cache);
    remote.fill(&reader, 4).await;
    fs::remove_file(&files(folder.path())[0]).unwrap();
    fs::write(&files(folder.path())[1], b"short").unwrap();
    remote.read(&reader).await;
    remote.fill(&reader, 4).await;
    assert!(!cache.is_off());
    assert_eq!(files(folder.path()).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_share_a_folder_and_fetch_each_file_once() {
    let remote = Arc::new(Remote::new(|_| Fault::Slow(5)).await);
    let folder = TempDir::new().unwrap();
    let ranks = (0..6).map(|_| {
        let (remote, cache) = (Arc::clone(&remote), ShardCache::open(folder.path(), LARGE).unwrap());
        tokio::spawn(async move { remote.fill(&remote.reader(&cache), 4).await })
    });
    futures::future::join_all(ranks).await.into_iter().for_each(Result::unwrap);
    assert_eq!(files(folder.path()).len(), 4);
    assert!(remote.store.reads.load(std::sync::atomic::Ordering::Relaxed) > 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_stays_within_its_bound_and_files_in_use_stay_in_it() {
    let remote = Remote::new(|_| Fault::None).await;
    let largest = remote.set.files().iter().map(|file| file.size).max().unwrap();
    let folder = TempDir::new().unwrap();
    let bound = remote.bytes() - 1;
    let cache = ShardCache::open(folder.path(), bound).unwrap();
    let reader = remote.reader(&cache);
    remote.fill(&reader, 3).await;
    let in_use = files(folder.path());
    remote.read(&reader).await;
    assert_eq!(files(folder.path()), in_use);
    assert!(in_use.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>() <= bound);

    // Another table comes when the first is no longer used.
    let other = Remote::new(|_| Fault::None).await;
    let cache = ShardCache::open_keeping(folder.path(), bound, Duration::ZERO).unwrap();
    let reader = other.reader(&cache);
    for _ in 0..20 {
        other.read(&reader).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let now = files(folder.path());
    assert!(now.iter().any(|path| !in_use.contains(path)), "the least recently used went");
    assert!(now.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>() <= bound);

    // Files larger than the bound are read by range, and nothing is removed for them.
    let small = ShardCache::open_keeping(folder.path(), largest / 2, Duration::ZERO).unwrap();
    remote.read(&remote.reader(&small)).await;
    assert_eq!(files(folder.path()), now);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_removed() {
    let remote = Remote::new(|_| Fault::None).await;
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(folder.path(), remote.bytes()).unwrap();
    let left = folder.path().join("0123.4567.partial");
    fs::write(&left, vec![0; 100_000]).unwrap();
    remote.fill(&remote.reader(&cache), 4).await;
    assert!(!left.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_turns_the_cache_off_and_reading_goes_on() {
    let remote = Remote::new(|_| Fault::None).await;
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(&folder.path().join("cache"), LARGE).unwrap();
    fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let reader = remote.reader(&cache);
    remote.read(&reader).await;
    for _ in 0..100 {
        if cache.is_off() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(cache.is_off());
    remote.read(&reader).await;
    assert_eq!(reader.stats().cached_files, 0);
    assert!(ShardCache::open(Path::new("/proc/nothing/here"), LARGE).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_breaks_off_leaves_no_half_files() {
    let remote = Remote::new(|read| if read % 2 == 1 { Fault::Broken } else { Fault::None }).await;
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(folder.path(), LARGE).unwrap();
    remote.fill(&remote.reader(&cache), 4).await;
    assert!(files(folder.path()).iter().all(|path| path.extension().is_some_and(|end| end == "parquet")));
}

#[tokio::test(flavor = "multi_thread")]
async fn local_tables_use_no_cache() {
    let ((_guard, warehouse), _) = both();
    let set = ShardSet::of(&table(&warehouse, 100, 2).await).unwrap();
    let folder = TempDir::new().unwrap();
    let cache = ShardCache::open(folder.path(), LARGE).unwrap();
    let reader = ShardReader::new(&set, &WIDE, settings(), Some(cache)).unwrap();
    let order = shuffled(&numbers(&set).await, 100, 1);
    assert_eq!(collect(reader.read(addresses(&order))).await.unwrap(), expected(&order));
    assert!(files(folder.path()).is_empty());
}
