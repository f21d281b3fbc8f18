//! The tables that splits are written to.

use arrow::datatypes::DataType;
use secprm_storage::TableSpec;

use crate::tables::{Column, sliced_table, whole_table};

/// The split of each pair.
pub const SPLITS: &str = "splits";
/// The group of each pair, and why.
pub const SPLIT_GROUPS: &str = "split_groups";

/// Near-duplicates.
pub const NEAR_DUPLICATES: &str = "near_duplicates";

/// Returns the declarations of `splits`, `near_duplicates` and `split_groups`, in the order they are committed: `split_groups` last, since
/// its fingerprint says that all are complete.
///
/// Splits and groups are two because most stages read the split alone: a group that grew rewrites a row of each of its pairs here, but no split, and so
/// makes no labels stale.
pub fn split_tables() -> [TableSpec; 3] {
    [
        sliced_table(
            SPLITS,
            "The split each pair belongs to; apart from `pairs`, so that a new assignment rewrites no code",
            splits_columns(),
        ),
        whole_table(
            NEAR_DUPLICATES,
            "Two pairs of nearly equal code; not all there are, since what is in one group already is not compared",
            near_columns(),
        ),
        whole_table(SPLIT_GROUPS, "The group of each pair: the pairs that are kept in one split", groups_columns()),
    ]
}

fn splits_columns() -> Vec<Column> {
    vec![
        ("pair_id", DataType::Utf8, false, "The pair"),
        ("split", DataType::Utf8, false, "train, validation or test: what training and evaluation go by"),
        (
            "split_source",
            DataType::Utf8,
            false,
            "What put the pair there: upstream (the split its dataset gives it or another member of its group), time (its group's latest date) \
             or hash (its group has no date)",
        ),
    ]
}

fn near_columns() -> Vec<Column> {
    vec![
        ("pair_id", DataType::Utf8, false, "The pair with the smaller identifier"),
        ("other_pair_id", DataType::Utf8, false, "The other pair"),
        ("similarity", DataType::Float64, false, "Estimated share of runs of five tokens in common, from 0.8 to 1"),
        (
            "is_joined",
            DataType::Boolean,
            false,
            "Whether they are in one group for it; not where the group would have grown past [split] max_group_share",
        ),
    ]
}

fn groups_columns() -> Vec<Column> {
    vec![
        ("pair_id", DataType::Utf8, false, "The pair"),
        ("group_id", DataType::Utf8, false, "Its group: the smallest pair_id in it"),
        ("group_size", DataType::Int64, false, "Pairs in the group"),
        (
            "joined_by",
            DataType::Utf8,
            true,
            "What the pair shares with others of its group: commit, cve, code, near_code or project, joined by +; null where it is alone",
        ),
        (
            "near_code_dropped",
            DataType::Boolean,
            false,
            "Whether near-duplicates were left apart, since the group would have grown past [split] max_group_share",
        ),
        ("over_limit", DataType::Boolean, false, "Whether the group is larger than that without any near-duplicate"),
        ("split_by", DataType::Utf8, false, "The rule: group, upstream or project"),
        ("dataset", DataType::Utf8, false, "The dataset"),
    ]
}
