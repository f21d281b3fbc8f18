//! Bytes and rows that may be held at a time, and how many are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a reader has done so far and holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Bytes of fetched pages and of decoded rows that are held now.
    pub bytes_in_flight: usize,
    /// The most bytes that were held at any moment.
    pub peak_bytes_in_flight: usize,
    /// Requests to the store, failed ones among them, without those that fill the cache. A read of several ranges of a local file is one.
    pub requests: u64,
    /// Bytes that they brought.
    pub bytes_fetched: u64,
    /// Requests that failed and were made again.
    pub retries: u64,
    /// Bytes read from the local cache.
    pub bytes_from_cache: u64,
    /// Files that are in the local cache and verified.
    pub cached_files: u64,
    /// Rows handed out.
    pub rows: u64,
}

/// The running numbers behind [`ReadStats`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    held: AtomicUsize,
    peak: AtomicUsize,
    pub(super) requests: AtomicU64,
    pub(super) bytes_fetched: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) bytes_from_cache: AtomicU64,
    pub(super) rows: AtomicU64,
}

impl Counters {
    /// Counts bytes as held until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        let now = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Held { counters: Arc::clone(self), bytes }
    }

    pub(super) fn stats(&self) -> ReadStats {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ReadStats {
            bytes_in_flight: self.held.load(Ordering::Relaxed),
            peak_bytes_in_flight: self.peak.load(Ordering::Relaxed),
            requests: of(&self.requests),
            bytes_fetched: of(&self.bytes_fetched),
            retries: of(&self.retries),
            bytes_from_cache: of(&self.bytes_from_cache),
            cached_files: 0,
            rows: of(&self.rows),
        }
    }
}

pub(super) fn add(number: &AtomicU64, amount: usize) {
    number.fetch_add(amount as u64, Ordering::Relaxed);
}

/// Bytes that count as held.
#[derive(Debug)]
pub(super) struct Held {
    counters: Arc<Counters>,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An amount that tasks share.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    semaphore: Arc<Semaphore>,
    total: u32,
    /// What one permit stands for: there are fewer permits than bytes may be.
    unit: usize,
}

/// A share of a [`Pool`], given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(amount: usize, unit: usize) -> Self {
        let total = u32::try_from(amount / unit).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        Self { semaphore: Arc::new(Semaphore::new(total as usize)), total, unit }
    }

    /// Waits for an amount; more than there is waits for all of it.
    pub(super) async fn take(&self, amount: usize) -> Share {
        let permits = u32::try_from(amount.div_ceil(self.unit)).unwrap_or(u32::MAX).clamp(1, self.total);
        // The semaphore is never closed.
        Share { _permit: Arc::clone(&self.semaphore).acquire_many_owned(permits).await.ok() }
    }
}
