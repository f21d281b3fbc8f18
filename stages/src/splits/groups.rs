//! Groups: the pairs that must not be in two splits.

use super::edges::{JoinedBy, join_equal};
use super::near::{NearEdge, join_near};
use super::pair::SplitPair;
use super::split::{SplitBy, SplitOptions};
use super::union_find::UnionFind;

/// A group of so many pairs is never too large, so that the share of a small dataset does not cut it up.
pub const LEAST_LARGEST_GROUP: u32 = 100;

/// The groups of a list of pairs; each list but the last has one entry a pair, in the pairs' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The position of the first pair of the pair's group.
    pub group_of: Vec<u32>,
    /// How many pairs the pair's group has.
    pub size_of: Vec<u32>,
    /// What the pair shares with others of its group; nothing where it is alone.
    pub joined_by: Vec<JoinedBy>,
    /// Whether the pair's group would have grown past the limit, so that its near-duplicate edges were dropped.
    pub near_code_dropped: Vec<bool>,
    /// Whether the pair's group is past the limit all the same.
    pub over_limit: Vec<bool>,
    /// Near-duplicates; this list has not one entry a pair.
    pub near: Vec<NearPair>,
}

/// Two pairs of nearly equal code, by their positions.
///
/// Not all there are: what other edges join already, directly or through others, is not compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearPair {
    /// One of them.
    pub first: u32,
    /// The other.
    pub second: u32,
    /// The estimated share of shingles in common, from 0 to 1.
    pub similarity: f64,
    /// Whether they are in one group for it; not where the group would have grown past the limit.
    pub is_joined: bool,
}

/// Returns the most pairs that a group may have before it counts as too large.
pub fn largest_group(pairs: usize, max_group_share: f64) -> u32 {
    // A cast from float to integer saturates, and a share that is no number gives 0.
    ((pairs as f64 * max_group_share) as u32).max(LEAST_LARGEST_GROUP)
}

/// Groups pairs, which are ordered by identifier and each there once.
///
/// First by what is equal, then by what is nearly equal. Where the second makes a group of more than `largest_group` pairs, its
/// near-duplicate edges, the weakest evidence, are dropped. Edges of equal keys are never dropped: a group that is too large by them alone
/// is kept and marked.
pub fn group(pairs: &[SplitPair], options: &SplitOptions) -> Groups {
    let largest = largest_group(pairs.len(), options.max_group_share);
    let mut joined_by = vec![JoinedBy::default(); pairs.len()];
    let mut sets = UnionFind::new(pairs.len());
    join_equal(pairs, options.by == SplitBy::Project, &mut sets, &mut joined_by);
    let mut with_near = sets.clone();
    let edges = join_near(pairs, &mut with_near);
    let near_sizes = with_near.sizes();
    let mut dropped = vec![false; pairs.len()];
    let mut near = Vec::with_capacity(edges.len());
    for NearEdge { first, second, similarity } in edges {
        let set = with_near.find(first) as usize;
        let is_joined = near_sizes.get(set).is_none_or(|size| *size <= largest);
        near.push(NearPair { first, second, similarity, is_joined });
        if !is_joined {
            if let Some(dropped) = dropped.get_mut(set) {
                *dropped = true;
            }
            continue;
        }
        sets.union(first, second);
        for number in [first, second] {
            if let Some(joined) = joined_by.get_mut(number as usize) {
                joined.add(JoinedBy::NEAR_CODE);
            }
        }
    }
    let sizes = sets.sizes();
    let numbers = || 0..pairs.len() as u32;
    let group_of: Vec<u32> = numbers().map(|number| sets.find(number)).collect();
    let size_of: Vec<u32> = group_of.iter().filter_map(|group| sizes.get(*group as usize).copied()).collect();
    let was_dropped = |number| dropped.get(with_near.find(number) as usize).copied().unwrap_or_default();
    Groups {
        near_code_dropped: numbers().map(was_dropped).collect(),
        over_limit: size_of.iter().map(|size| *size > largest).collect(),
        group_of,
        size_of,
        near,
        joined_by,
    }
}
