//! Which split each group goes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::edges::JoinedBy;
use super::groups::{Groups, group};
use super::pair::SplitPair;
use super::split::{Split, SplitBy, SplitOptions, SplitSource};

/// Where the shares of train and of validation end, in tenths of the pairs.
const TRAIN_TENTHS: u64 = 8;
const VALIDATION_TENTHS: u64 = 9;

/// A pair with its group and its split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The pair.
    pub pair_id: u128,
    /// Its dataset.
    pub dataset: Arc<str>,
    /// Its slice.
    pub slice: i32,
    /// Its split.
    pub split: Split,
    /// What put it there.
    pub source: SplitSource,
    /// Its group: the smallest identifier in it.
    pub group_id: u128,
    /// How many pairs its group has.
    pub group_size: u32,
    /// What it shares with others of its group.
    pub joined_by: JoinedBy,
    /// Whether the near-duplicate edges of its group were dropped.
    pub near_code_dropped: bool,
    /// Whether its group is larger than the limit.
    pub over_limit: bool,
}

/// Two pairs of nearly equal code, by their identifiers, the smaller one first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearDuplicates {
    /// The two pairs.
    pub pair_ids: [u128; 2],
    /// The estimated share of shingles in common, from 0 to 1.
    pub similarity: f64,
    /// Whether they are in one group for it.
    pub is_joined: bool,
}

/// Where all pairs go.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// Each pair, in the order dataset, slice, identifier.
    pub pairs: Vec<Placed>,
    /// The near-duplicates that were found, in the order of their identifiers; as [`super::NearPair`].
    pub near: Vec<NearDuplicates>,
}

/// What decides about a group.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    /// The strongest split that a member brings with it.
    claim: Option<(Split, SplitSource)>,
    /// The latest date of a member.
    latest: Option<i64>,
    size: u64,
}

/// Groups pairs and gives each a split; the answer does not depend on the order of `pairs`.
///
/// A group goes where its members' own words put it: the split an earlier run gave them, and their dataset's (not by project), test
/// before validation before train. So a pair that has a split moves only when its group meets another, and only towards test.
///
/// A group without a word goes by time, 80/10/10 of the pairs in all groups that go by time, by its *latest* date: nothing that is trained
/// on is then newer than the boundary, which a group's earliest date would not give, since its later members would come along. (An old
/// member of a test group costs nothing: it is no knowledge of the future.) A group as large as a split lies where its middle lies. Groups
/// without a date go by a hash of their identifier.
///
/// Boundaries count earlier pairs too, which stay where they are. So once pairs were added, time orders what a run assigned and not what
/// several runs did; `--full-refresh` draws all boundaries anew.
pub fn place(mut pairs: Vec<SplitPair>, options: &SplitOptions) -> Placement {
    pairs.sort_unstable_by_key(|pair| pair.pair_id);
    let groups = group(&pairs, options);
    let decided = decide(&pairs, &groups, options.by);
    for pair in &mut pairs {
        // Half of what a pair takes, and not needed any more.
        (pair.code_hashes, pair.signatures) = (Vec::new(), Vec::new());
    }
    let mut placed: Vec<Placed> = pairs
        .iter()
        .enumerate()
        .filter_map(|(at, pair)| {
            let group = *groups.group_of.get(at)?;
            let of_group = *decided.get(&group)?;
            let own = pair.upstream.filter(|_| options.by == SplitBy::Upstream);
            let (split, source) = own.map_or(of_group, |split| (split, SplitSource::Upstream));
            Some(Placed {
                pair_id: pair.pair_id,
                dataset: pair.dataset.clone(),
                slice: pair.slice,
                split,
                source,
                group_id: pairs.get(group as usize)?.pair_id,
                group_size: *groups.size_of.get(at)?,
                joined_by: *groups.joined_by.get(at)?,
                near_code_dropped: *groups.near_code_dropped.get(at)?,
                over_limit: *groups.over_limit.get(at)?,
            })
        })
        .collect();
    placed.sort_unstable_by(|first, second| {
        (&first.dataset, first.slice, first.pair_id).cmp(&(&second.dataset, second.slice, second.pair_id))
    });
    Placement { pairs: placed, near: near_duplicates(&pairs, &groups) }
}

fn near_duplicates(pairs: &[SplitPair], groups: &Groups) -> Vec<NearDuplicates> {
    let id = |at: u32| pairs.get(at as usize).map(|pair| pair.pair_id);
    let named = groups.near.iter().filter_map(|near| {
        // Pairs are ordered by identifier, so positions compare as identifiers do.
        let (first, second) = (near.first.min(near.second), near.first.max(near.second));
        let pair_ids = [id(first)?, id(second)?];
        Some(NearDuplicates { pair_ids, similarity: near.similarity, is_joined: near.is_joined })
    });
    let mut near: Vec<NearDuplicates> = named.collect();
    near.sort_unstable_by_key(|near| near.pair_ids);
    near
}

/// Decides about every group, by its number.
fn decide(pairs: &[SplitPair], groups: &Groups, by: SplitBy) -> BTreeMap<u32, (Split, SplitSource)> {
    let mut standings: BTreeMap<u32, Standing> = BTreeMap::new();
    for (pair, number) in pairs.iter().zip(&groups.group_of) {
        let standing = standings.entry(*number).or_default();
        let upstream = pair.upstream.filter(|_| by != SplitBy::Project).map(|split| (split, SplitSource::Upstream));
        standing.claim = standing.claim.max(pair.earlier).max(upstream);
        standing.latest = standing.latest.max(pair.date);
        standing.size += 1;
    }
    let by_time = splits_by_time(&standings);
    let decision = |number: &u32, standing: &Standing| {
        standing.claim.or_else(|| by_time.get(number).map(|split| (*split, SplitSource::Time))).unwrap_or_else(|| {
            let first = pairs.get(*number as usize).map_or(0, |pair| pair.pair_id);
            (split_by_hash(first), SplitSource::Hash)
        })
    };
    standings.iter().map(|(number, standing)| (*number, decision(number, standing))).collect()
}

/// Cuts the groups that have a date and no dataset's split into 80/10/10 of their pairs, the oldest first.
fn splits_by_time(standings: &BTreeMap<u32, Standing>) -> BTreeMap<u32, Split> {
    let goes_by_time = |standing: &Standing| standing.claim.is_none_or(|(_, source)| source != SplitSource::Upstream);
    let mut dated: Vec<(i64, u32, u64)> = standings
        .iter()
        .filter(|(_, standing)| goes_by_time(standing))
        .filter_map(|(number, standing)| Some((standing.latest?, *number, standing.size)))
        .collect();
    dated.sort_unstable();
    let total: u64 = dated.iter().map(|(_, _, size)| size).sum();
    let mut before = 0;
    let mut splits = BTreeMap::new();
    for (_, number, size) in dated {
        // Twice the pairs before the group's middle, in tenths of twice all.
        let middle = (2 * before + size) * 10;
        splits.insert(number, split_at(middle, 2 * total));
        before += size;
    }
    splits
}

fn split_at(position: u64, tenth: u64) -> Split {
    if position < TRAIN_TENTHS * tenth {
        Split::Train
    } else if position < VALIDATION_TENTHS * tenth {
        Split::Validation
    } else {
        Split::Test
    }
}

fn split_by_hash(group_id: u128) -> Split {
    let hash = blake3::hash(&group_id.to_be_bytes());
    let number = hash.as_bytes().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    split_at(number % 100, 10)
}
