//! A pair as splits see it.

use std::sync::Arc;

use super::minhash::Signature;
use super::split::{Split, SplitSource};

/// What grouping and assignment know of a pair; a few hundred bytes, since all pairs are in memory at once. Texts are shared with other pairs.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitPair {
    /// Its identifier.
    pub pair_id: u128,
    /// Its dataset.
    pub dataset: Arc<str>,
    /// Its slice.
    pub slice: i32,
    /// The fixing commit, as the dataset writes it.
    pub commit_id: Option<Arc<str>>,
    /// The CVE, as the dataset writes it.
    pub cve: Option<Arc<str>>,
    /// The project, as the dataset writes it.
    pub project: Option<Arc<str>>,
    /// The dataset's own split.
    pub upstream: Option<Split>,
    /// When it was committed, or else when the vulnerability was published, in microseconds since 1970 UTC.
    pub date: Option<i64>,
    /// Hashes of the normal code of each file of each version.
    pub code_hashes: Vec<i64>,
    /// Signatures of the files that are long enough, of the vulnerable version or the only one.
    pub signatures: Vec<Signature>,
    /// The split that an earlier run gave it by the same rule.
    pub earlier: Option<(Split, SplitSource)>,
}
