//! Ranges of one file: merged, fetched, checked, and fetched again.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;

use super::budget::{Counters, Pool, add};
use super::settings::RetryPolicy;
use crate::cause::{Cause, store_kind};
use crate::error::ErrorKind;

/// No merged range grows past this size.
const MERGED_BYTES: u64 = 8 << 20;

/// Why bytes or rows of a file cannot be had.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The file is not there.
    Missing,
    /// The file is of another size than the log says.
    Resized { found: u64 },
    /// What is in the file is not what it should be.
    Damaged(Cause),
    /// Every attempt failed, the last one so.
    Unreadable { attempts: u32, cause: Cause },
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Self::Damaged(error.into())
    }
}

/// A file that bytes come from: one of the table, or its copy in the cache.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) size: u64,
    pub(super) is_remote: bool,
    /// Ranges of a remote file that are no further apart are fetched together.
    pub(super) gap_bytes: u64,
    /// The file is a copy in the local cache.
    pub(super) is_cached: bool,
    /// How often the file was read again because of what was in it.
    pub(super) repeats: u32,
    pub(super) retry: RetryPolicy,
    pub(super) requests: Pool,
    pub(super) counters: Arc<Counters>,
}

impl Source {
    /// Fetches ranges, in the order asked for; each result is of its range's length.
    pub(super) async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        if !self.is_remote {
            return self.fetch_local(ranges).await;
        }
        let merged = merge(ranges, self.gap_bytes);
        let fetched = try_join_all(merged.iter().map(|range| self.fetch_one(range.clone()))).await?;
        Ok(ranges.iter().map(|range| cut(&merged, &fetched, range)).collect())
    }

    /// The bytes that a fetch of ranges holds.
    pub(super) fn fetched_bytes(&self, ranges: &[Range<u64>]) -> usize {
        let length = |ranges: &[Range<u64>]| ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        let bytes = if self.is_remote { length(&merge(ranges, self.gap_bytes)) } else { length(ranges) };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Fails unless the file has the size of the log.
    pub(super) async fn check_size(&self) -> Result<(), Failure> {
        let head = || async { self.store.head(&self.path).await.map_err(Attempt::from) };
        let found = self.attempts(head).await?.size;
        if found == self.size { Ok(()) } else { Err(Failure::Resized { found }) }
    }

    async fn fetch_local(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Failure> {
        let read = || async {
            let found = self.store.get_ranges(&self.path, ranges).await?;
            let is_whole = |(bytes, range): (&Bytes, &Range<u64>)| bytes.len() as u64 == range.end - range.start;
            match found.iter().zip(ranges).all(is_whole) && found.len() == ranges.len() {
                true => Ok(found),
                false => Err(Attempt::Again(early_end())),
            }
        };
        let found = self.explained(self.attempts(read).await).await?;
        let bytes = found.iter().map(Bytes::len).sum();
        add(if self.is_cached { &self.counters.bytes_from_cache } else { &self.counters.bytes_fetched }, bytes);
        Ok(found)
    }

    async fn fetch_one(&self, range: Range<u64>) -> Result<Bytes, Failure> {
        let read = || async {
            let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
            let answer = self.store.get_opts(&self.path, options).await?;
            if answer.meta.size != self.size {
                return Err(Attempt::Never(Failure::Resized { found: answer.meta.size }));
            }
            let bytes = answer.bytes().await?;
            match bytes.len() as u64 == range.end - range.start {
                true => Ok(bytes),
                false => Err(Attempt::Again(early_end())),
            }
        };
        let bytes = self.explained(self.attempts(read).await).await?;
        add(&self.counters.bytes_fetched, bytes.len());
        Ok(bytes)
    }

    async fn attempts<T, F: Future<Output = Result<T, Attempt>>>(&self, once: impl Fn() -> F) -> Result<T, Failure> {
        let mut failures = 0;
        loop {
            if !self.is_cached {
                self.counters.requests.fetch_add(1, Ordering::Relaxed);
            }
            // Waiting for a place is no failure of the store, and pauses need none.
            let place = self.requests.take(1).await;
            let outcome = tokio::time::timeout(self.retry.timeout, once()).await;
            drop(place);
            let cause = match outcome {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(Attempt::Never(failure))) => return Err(failure),
                Ok(Err(Attempt::Again(cause))) => cause,
                Err(_) => {
                    let seconds = self.retry.timeout.as_secs_f64();
                    Cause::new(ErrorKind::Transient, format!("no answer within {seconds} s"))
                }
            };
            failures += 1;
            if failures >= self.retry.attempts.max(1) {
                return Err(Failure::Unreadable { attempts: failures, cause });
            }
            self.counters.retries.fetch_add(1, Ordering::Relaxed);
            let pause = self.retry.pause(failures, RandomState::new().build_hasher().finish());
            tracing::warn!("cannot read {}: {cause}; trying again in {} ms", self.path, pause.as_millis());
            tokio::time::sleep(pause).await;
        }
    }

    /// A file that became shorter fails in many words; its size says it in one.
    async fn explained<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Unreadable { .. }) = &outcome {
            match self.store.head(&self.path).await {
                Ok(meta) if meta.size != self.size => return Err(Failure::Resized { found: meta.size }),
                Err(object_store::Error::NotFound { .. }) => return Err(Failure::Missing),
                _ => {}
            }
        }
        outcome
    }
}

/// The outcome of an attempt that failed.
enum Attempt {
    Again(Cause),
    Never(Failure),
}

impl From<object_store::Error> for Attempt {
    fn from(error: object_store::Error) -> Self {
        match store_kind(&error) {
            ErrorKind::NotFound => Self::Never(Failure::Missing),
            ErrorKind::Configuration => Self::Never(Failure::Unreadable { attempts: 1, cause: error.into() }),
            _ => Self::Again(error.into()),
        }
    }
}

fn early_end() -> Cause {
    Cause::new(ErrorKind::Transient, "the answer ended early")
}

/// Ranges in order that cover the given ones, merged where they are at most `gap` bytes apart.
fn merge(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last)
                if range.end <= last.end
                    || (range.start <= last.end + gap && range.end.max(last.end) - last.start <= MERGED_BYTES) =>
            {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn cut(merged: &[Range<u64>], fetched: &[Bytes], range: &Range<u64>) -> Bytes {
    // The last that begins no later covers the range: those before it end where it could not be merged.
    let covering = |index: &usize| merged[*index].start <= range.start && range.end <= merged[*index].end;
    let end = merged.partition_point(|found| found.start <= range.start);
    let index = (0..end).rev().find(covering).unwrap_or_default();
    let start = usize::try_from(range.start - merged[index].start).unwrap_or_default();
    fetched[index].slice(start..start + usize::try_from(range.end - range.start).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_merged_and_cut_out_again() {
        let ranges = [50..60, 0..10, 12..20, 200..210, 5..8];
        assert_eq!(merge(&ranges, 2), [0..20, 50..60, 200..210]);
        assert_eq!(merge(&ranges, 1000), [0..210]);
        let file = Bytes::from_iter(0..=255_u8);
        for gap in [0, 2, 1000] {
            let merged = merge(&ranges, gap);
            let fetched: Vec<Bytes> = merged.iter().map(|r| file.slice(r.start as usize..r.end as usize)).collect();
            for range in &ranges {
                assert_eq!(cut(&merged, &fetched, range), file.slice(range.start as usize..range.end as usize));
            }
        }
    }

    #[test]
    fn no_merged_range_is_huge_unless_one_range_is() {
        let ranges: Vec<Range<u64>> = (0..100).map(|i| i * 1_000_000..i * 1_000_000 + 900_000).collect();
        let merged = merge(&ranges, u64::MAX / 2);
        assert!(merged.len() > 10 && merged.iter().all(|range| range.end - range.start <= MERGED_BYTES));
        assert_eq!(merge(&[0..100_000_000], 0), [0..100_000_000]);
    }
}
