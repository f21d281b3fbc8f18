//! The splits, what decides them, and what datasets call them.

use serde::{Deserialize, Serialize};

/// A split. Where groups with different splits meet, the later one in this order wins: what was tested on is never trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Trained on.
    Train,
    /// Looked at while training.
    Validation,
    /// Held out.
    Test,
}

impl Split {
    /// Lists every split, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// Returns the name in the column `split`.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// Reads the name in the column `split`.
    pub fn parse(name: &str) -> Option<Split> {
        Split::ALL.into_iter().find(|split| split.as_str() == name)
    }

    /// Tells what a dataset means by its own name of a split; `None` where the name says nothing, as if the dataset had no split.
    ///
    /// SVEN has two splits only: what it calls val is what it is tested on (the paper's table 11).
    pub fn of_dataset(dataset: &str, name: &str) -> Option<Split> {
        match (dataset, name) {
            ("sven", "val") => Some(Split::Test),
            (_, "train" | "training") => Some(Split::Train),
            (_, "val" | "valid" | "validation" | "dev") => Some(Split::Validation),
            (_, "test") => Some(Split::Test),
            _ => None,
        }
    }
}

/// What put a pair into its split; the later one in this order is the stronger word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SplitSource {
    /// A hash of its group, which has no date.
    Hash,
    /// Its group's latest date.
    Time,
    /// The split that the dataset gives it, or another member of its group.
    Upstream,
}

impl SplitSource {
    /// Lists every source, in order.
    pub const ALL: [SplitSource; 3] = [SplitSource::Hash, SplitSource::Time, SplitSource::Upstream];

    /// Returns the name in the column `split_source`.
    pub fn as_str(self) -> &'static str {
        match self {
            SplitSource::Hash => "hash",
            SplitSource::Time => "time",
            SplitSource::Upstream => "upstream",
        }
    }

    /// Reads the name in the column `split_source`.
    pub fn parse(name: &str) -> Option<SplitSource> {
        SplitSource::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// What decides splits: `[split] by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Groups: what shares a commit, a CVE or code is in one split.
    Group,
    /// Each pair's own dataset, where it has splits, whatever leaks; pairs without one go by their group.
    Upstream,
    /// Groups in which all pairs of a project are together too. Datasets' own splits cut through every large project, so they say nothing.
    Project,
}

impl SplitBy {
    /// Returns the name in the configuration and in the column `split_by`.
    pub fn as_str(self) -> &'static str {
        match self {
            SplitBy::Group => "group",
            SplitBy::Upstream => "upstream",
            SplitBy::Project => "project",
        }
    }
}

/// How splits are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitOptions {
    /// What decides.
    pub by: SplitBy,
    /// The share of all pairs, from 0 to 1, past which a group counts as too large.
    pub max_group_share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_datasets_are_told_apart_and_unknown_ones_say_nothing() {
        assert_eq!(Split::of_dataset("sven", "val"), Some(Split::Test));
        assert_eq!(Split::of_dataset("primevul", "val"), Some(Split::Validation));
        assert_eq!(Split::of_dataset("primevul", "valid"), Some(Split::Validation));
        assert_eq!(Split::of_dataset("primevul", "extra"), None);
    }

    #[test]
    fn every_name_reads_back() {
        assert!(Split::ALL.into_iter().all(|split| Split::parse(split.as_str()) == Some(split)));
        assert!(SplitSource::ALL.into_iter().all(|source| SplitSource::parse(source.as_str()) == Some(source)));
    }
}
