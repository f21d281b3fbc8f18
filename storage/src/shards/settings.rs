//! What bounds the reading of shards, and how often it tries.

use std::time::Duration;

/// Bounds of a [`ShardReader`](crate::ShardReader). They decide how fast rows come and what memory they take, never which rows come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSettings {
    /// Bytes of rows and pages held at a time, not counting batches that were handed out.
    ///
    /// Three quarters are for decoded rows, a quarter for fetched pages. Sizes of rows are known from the averages of their row groups,
    /// corrected by what the last rows took: where rows suddenly become longer, the bound may be exceeded until that is noticed. A single
    /// row is always read.
    pub prefetch_bytes: usize,
    /// Rows read ahead at most. The more, the more of them share a page.
    pub prefetch_rows: usize,
    /// Rows in a batch that is handed out.
    pub batch_rows: usize,
    /// Requests to the store at a time.
    pub concurrent_requests: usize,
    /// When a request is tried again.
    pub retry: RetryPolicy,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            prefetch_bytes: 256 << 20,
            prefetch_rows: 16_384,
            batch_rows: 64,
            concurrent_requests: 16,
            retry: RetryPolicy::default(),
        }
    }
}

/// When a request that failed is tried again, and when it counts as failed.
///
/// Stores over HTTP try again by themselves already: 10 times within 3 minutes for answers of status 5xx, 429 and 408, for connections
/// that cannot be made or break, and for bodies that break in the middle, which they resume where the answer had an ETag; a request may
/// take 30 seconds with its body. This policy is for what is left: stores without ETags, bodies that end early without an error, local
/// and network file systems, and requests that hang all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is tried, at least once.
    pub attempts: u32,
    /// The pause after the first failure, which doubles with each; half of it is drawn by chance, so that ranks do not all come at once.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// The time after which an attempt counts as failed, with all that the store does by itself.
    pub timeout: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            timeout: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// The pause after the given number of failures; `chance` is any random number.
    pub(super) fn pause(&self, failures: u32, chance: u64) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let longest = doubled.min(self.longest_pause);
        let share = f64::from(u32::try_from(chance & 0xffff).unwrap_or_default()) / f64::from(0xffff_u32);
        longest.mul_f64(0.5 + share / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_vary_by_half() {
        let policy = RetryPolicy {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(300),
            ..RetryPolicy::default()
        };
        let millis = |failures, chance| policy.pause(failures, chance).as_millis();
        assert_eq!([millis(1, 0xffff), millis(2, 0xffff), millis(3, 0xffff), millis(99, 0xffff)], [100, 200, 300, 300]);
        assert_eq!([millis(1, 0), millis(99, 0)], [50, 150]);
    }
}
