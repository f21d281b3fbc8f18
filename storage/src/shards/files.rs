//! The files of a set as a reader sees them: where each is read from, its layout, its pieces.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use futures::FutureExt;
use tokio::sync::OnceCell;

use super::address::{ShardFile, ShardSet};
use super::budget::{Counters, Pool, ReadStats};
use super::cache::{CachedFiles, ShardCache};
use super::footer::{damaged, read_footer};
use super::layout::Layout;
use super::piece::read_piece;
use super::plan::Piece;
use super::projection::Projection;
use super::settings::ReadSettings;
use super::source::{Failure, Source};
use crate::cause::Cause;
use crate::error::{ErrorKind, Result, StorageError};

/// Fetched pages are accounted for in units of this size.
const POOL_UNIT_BYTES: usize = 1 << 10;
/// A request to a remote store costs about as much as so many bytes.
const REQUEST_BYTES: usize = 256 << 10;

/// What all tasks of a reader share.
pub(super) struct Files {
    pub(super) set: ShardSet,
    pub(super) projection: Projection,
    pub(super) settings: ReadSettings,
    pub(super) counters: Arc<Counters>,
    /// Bytes of pages.
    pages: Pool,
    requests: Pool,
    layouts: Vec<OnceCell<Arc<Layout>>>,
    cached: Option<CachedFiles>,
}

impl Files {
    pub(super) fn new(
        set: ShardSet,
        columns: &[&str],
        settings: ReadSettings,
        cache: Option<Arc<ShardCache>>,
    ) -> Result<Self> {
        let projection = Projection::new(set.table(), set.schema(), columns)?;
        let counters = Arc::new(Counters::default());
        let pages = Pool::new(settings.prefetch_bytes / 4, POOL_UNIT_BYTES);
        let requests = Pool::new(settings.concurrent_requests, 1);
        let cache = cache.filter(|_| set.is_remote());
        let cached = cache.map(|cache| CachedFiles::new(cache, set.files()));
        let layouts = set.files().iter().map(|_| OnceCell::new()).collect();
        Ok(Self { set, projection, settings, counters, pages, requests, layouts, cached })
    }

    pub(super) fn stats(&self) -> ReadStats {
        let cached_files = self.cached.as_ref().map_or(0, CachedFiles::ready) as u64;
        ReadStats { cached_files, ..self.counters.stats() }
    }

    /// Bytes of decoded rows that may be held.
    pub(super) fn row_pool(&self) -> Pool {
        Pool::new(self.settings.prefetch_bytes / 4 * 3, POOL_UNIT_BYTES)
    }

    fn file(&self, number: u32) -> &ShardFile {
        &self.set.files()[number as usize]
    }

    /// The layout of a file; its footer is read once.
    pub(super) async fn layout(&self, number: u32) -> Result<Arc<Layout>> {
        let file = self.file(number);
        let read = || async {
            let mut source = self.source(number);
            loop {
                let outcome = no_panic(read_footer(&source)).await;
                let failure = match outcome {
                    Ok(footer) => break Ok(Layout::new(footer, &self.projection)),
                    Err(failure) => failure,
                };
                match self.next_source(number, &source, &failure) {
                    Some(next) => source = next,
                    None => break Err(self.error(number, 0, failure)),
                }
            }
        };
        let layout = self.layouts[number as usize].get_or_try_init(|| async {
            let layout = read().await?;
            if layout.rows() != file.rows {
                let rows = |rows: u32| format!("{rows} rows");
                return Err(self.set.changed(file, &rows(layout.rows()), &rows(file.rows)));
            }
            Ok(Arc::new(layout))
        });
        layout.await.cloned()
    }

    /// Rows are cut into pieces whose pages are no more than this, so that several are fetched at a time.
    pub(super) fn piece_bytes(&self) -> usize {
        (self.settings.prefetch_bytes / 4 / self.settings.concurrent_requests.max(1)).clamp(64 << 10, 8 << 20)
    }

    /// Reads a piece.
    pub(super) async fn piece(&self, piece: &Piece) -> Result<RecordBatch> {
        let first = piece.rows.first().copied().unwrap_or_default();
        self.rows(piece.file, piece.row_group, Some(&piece.rows), first).await
    }

    /// Reads all rows of a row group.
    pub(super) async fn row_group(&self, number: u32, row_group: usize) -> Result<RecordBatch> {
        let first = self.layout(number).await?.row_groups[row_group].rows.start;
        self.rows(number, row_group, None, first).await
    }

    async fn rows(&self, number: u32, row_group: usize, rows: Option<&[u32]>, first: u32) -> Result<RecordBatch> {
        let layout = self.layout(number).await?;
        let file = self.file(number);
        let mut source = self.source(number);
        loop {
            let reading = read_piece(&source, (&layout, file, &self.projection), row_group, rows, &self.pages);
            let outcome = no_panic(reading).await;
            let failure = match outcome {
                Ok(batch) => return Ok(batch),
                Err(failure) => failure,
            };
            match self.next_source(number, &source, &failure) {
                Some(next) => source = next,
                None => return Err(self.error(number, first, failure)),
            }
        }
    }

    /// Where a file is read from now. The first call for a file starts filling the cache with it.
    fn source(&self, number: u32) -> Source {
        let remote = self.remote(number, 0);
        let Some(cached) = &self.cached else { return remote };
        cached.source(number as usize, &remote).unwrap_or(remote)
    }

    fn remote(&self, number: u32, repeats: u32) -> Source {
        let file = self.file(number);
        Source {
            store: Arc::clone(self.set.store()),
            path: file.path.clone(),
            size: file.size,
            is_remote: self.set.is_remote(),
            gap_bytes: REQUEST_BYTES.min(self.piece_bytes() / 4) as u64,
            is_cached: false,
            repeats,
            retry: self.settings.retry.clone(),
            requests: self.requests.clone(),
            counters: Arc::clone(&self.counters),
        }
    }

    /// Where to read once more after a failure; none if that would not help.
    fn next_source(&self, number: u32, failed: &Source, failure: &Failure) -> Option<Source> {
        if failed.is_cached {
            if let Some(cached) = &self.cached {
                tracing::warn!("cannot use the copy of {} in the cache: {failure:?}", self.file(number).url);
                cached.forget(number as usize);
            }
            return Some(self.remote(number, 0));
        }
        // Bytes may have been damaged on their way.
        let may_help = matches!(failure, Failure::Damaged(_)) && failed.repeats == 0;
        may_help.then(|| {
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            self.remote(number, 1)
        })
    }

    /// The error for what no file is to blame for.
    pub(super) fn broke_down(&self, cause: impl Into<Cause>) -> StorageError {
        StorageError::delta("read", self.set.table(), cause)
    }

    fn error(&self, number: u32, row: u32, failure: Failure) -> StorageError {
        let file = self.file(number);
        let bytes = |bytes: u64| format!("{bytes} bytes");
        let (attempts, source) = match failure {
            Failure::Missing => return self.set.gone(file),
            Failure::Resized { found } => return self.set.changed(file, &bytes(found), &bytes(file.size)),
            Failure::Damaged(cause) => {
                let message = format!("{cause}; the file is damaged: restore it, or compute the table again");
                (2, Cause::new(ErrorKind::Corrupt, message))
            }
            Failure::Unreadable { attempts, cause } => (attempts, cause),
        };
        StorageError::Row { file: file.url.clone(), row: u64::from(row), attempts, source }
    }
}

/// Takes a panic for damage: decoders meet some of it so.
async fn no_panic<T>(reading: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let outcome = AssertUnwindSafe(reading).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(damaged("decoding it broke down")))
}
