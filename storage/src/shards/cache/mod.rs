//! Whole files of remote tables on the local disk.

mod fill;
mod folder;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use tokio::sync::Semaphore;

use self::fill::{Filled, Problem, fill};
use self::folder::Folder;
use super::address::ShardFile;
use super::budget::{Counters, Pool};
use super::source::Source;
use crate::error::{Result, StorageError};

/// Files that are fetched or verified at a time.
const FILLED_AT_A_TIME: usize = 2;
/// How long until a file that another process writes is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long until a file that did not fit or could not be fetched is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);
/// How often the use of a file is noted on disk.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// How long a file that was used stays, by default: well past [`TOUCH_EVERY`].
const KEEP_USED: Duration = Duration::from_secs(600);

/// A bounded folder on the local disk with whole files of remote tables.
///
/// The first read of a file starts to fetch it whole, in the background; until it is there, its rows are read from the store by range.
/// A file appears by its rename, complete and synced, under a name that holds the BLAKE3 hash of its content. A process that finds a file
/// there verifies size and hash before it reads from it, and fetches a damaged one again. Files that do not fit are read by range only.
///
/// Where room is needed, the least recently used files go first, but none that was used within the last ten minutes, by any process:
/// training reads all files of its table all the time, and would only replace one by the other. So a table that is larger than the
/// cache has some of its files in it.
///
/// Any number of processes may share the folder, on a file system whose locks work between them. If the disk is full or fails, the
/// process logs it and goes on without the cache.
#[derive(Debug)]
pub struct ShardCache {
    folder: Folder,
    slots: Mutex<HashMap<String, Slot>>,
    turns: Semaphore,
    requests: Pool,
    counters: Arc<Counters>,
    is_off: AtomicBool,
}

#[derive(Debug)]
enum Slot {
    Filling,
    Ready { path: PathBuf, touched: Instant },
    Later(Instant),
}

impl ShardCache {
    /// Opens a folder, which is created where it is missing, for at most `max_bytes` of files, those that are being written among them.
    ///
    /// # Errors
    /// [`StorageError::Store`] if the folder cannot be created or written to.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Arc<Self>> {
        Self::open_keeping(folder, max_bytes, KEEP_USED)
    }

    /// Like [`ShardCache::open`], with another time for which used files stay. Uses are noted once a minute.
    ///
    /// # Errors
    /// As [`ShardCache::open`].
    pub fn open_keeping(folder: &Path, max_bytes: u64, keep: Duration) -> Result<Arc<Self>> {
        let opened = Folder::open(folder, max_bytes, keep)
            .map_err(|error| StorageError::store("open cache", folder.display(), error))?;
        Ok(Arc::new(Self {
            folder: opened,
            slots: Mutex::default(),
            turns: Semaphore::new(FILLED_AT_A_TIME),
            requests: Pool::new(2 * FILLED_AT_A_TIME, 1),
            counters: Arc::default(),
            is_off: AtomicBool::new(false),
        }))
    }

    /// Whether this process went on without the cache, because the disk failed it.
    pub fn is_off(&self) -> bool {
        self.is_off.load(Ordering::Relaxed)
    }

    /// Where to read a file from; none as long as it is not there, which also starts to fetch it.
    fn source(self: &Arc<Self>, key: &str, remote: &Source) -> Option<Source> {
        let mut slots = self.slots();
        let now = Instant::now();
        match slots.get_mut(key) {
            Some(Slot::Ready { path, touched }) => {
                if now.duration_since(*touched) >= TOUCH_EVERY {
                    *touched = now;
                    // A file that is gone shows when it is read.
                    let _ = folder::touch(path);
                }
                return StorePath::from_absolute_path(path).ok().map(|path| self.local(path, remote));
            }
            Some(Slot::Filling) => return None,
            Some(Slot::Later(when)) if now < *when => return None,
            _ => {}
        }
        if self.is_off() || remote.size > self.folder.max_bytes() {
            return None;
        }
        slots.insert(key.to_owned(), Slot::Filling);
        drop(slots);
        let mut source = remote.clone();
        source.requests = self.requests.clone();
        source.counters = Arc::clone(&self.counters);
        tokio::spawn(Arc::clone(self).fill_slot(key.to_owned(), source));
        None
    }

    async fn fill_slot(self: Arc<Self>, key: String, source: Source) {
        let turn = self.turns.acquire().await;
        let outcome = if self.is_off() { Ok(Filled::NoRoom) } else { fill(&self, &key, &source).await };
        drop(turn);
        let now = Instant::now();
        let slot = match outcome {
            Ok(Filled::Ready(path)) => Slot::Ready { path, touched: now },
            Ok(Filled::Busy) => Slot::Later(now + LOOK_AGAIN),
            Ok(Filled::NoRoom) => Slot::Later(now + TRY_AGAIN),
            Err(Problem::Remote(failure)) => {
                tracing::debug!("cannot fetch {} for the cache: {failure:?}", source.path);
                Slot::Later(now + TRY_AGAIN)
            }
            Err(Problem::Local(error)) => {
                if !self.is_off.swap(true, Ordering::Relaxed) {
                    let folder = self.folder.path().display();
                    tracing::warn!("cannot write to the cache {folder}: {error}; going on without it");
                }
                Slot::Later(now + TRY_AGAIN)
            }
        };
        self.slots().insert(key, slot);
    }

    fn local(&self, path: StorePath, remote: &Source) -> Source {
        let store = Arc::new(LocalFileSystem::new());
        Source { store, path, is_remote: false, is_cached: true, ..remote.clone() }
    }

    /// Removes a file that could not be read; the next read of it fetches it again.
    fn forget(&self, key: &str) {
        if let Some(Slot::Ready { path, .. }) = self.slots().remove(key) {
            let _ = folder::remove(&path);
        }
    }

    fn is_ready(&self, key: &str) -> bool {
        matches!(self.slots().get(key), Some(Slot::Ready { .. }))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Slot>> {
        // Every change of the map is one insertion or removal, so a panic leaves it whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache as the reader of one set uses it.
pub(super) struct CachedFiles {
    cache: Arc<ShardCache>,
    keys: Vec<String>,
}

impl CachedFiles {
    pub(super) fn new(cache: Arc<ShardCache>, files: &[ShardFile]) -> Self {
        Self { cache, keys: files.iter().map(key).collect() }
    }

    pub(super) fn source(&self, file: usize, remote: &Source) -> Option<Source> {
        self.cache.source(&self.keys[file], remote)
    }

    pub(super) fn forget(&self, file: usize) {
        self.cache.forget(&self.keys[file]);
    }

    pub(super) fn ready(&self) -> usize {
        self.keys.iter().filter(|key| self.cache.is_ready(key)).count()
    }
}

/// Files of tables never change, so place and size say what is in them.
fn key(file: &ShardFile) -> String {
    let text = format!("{} {}", file.url, file.size);
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}
