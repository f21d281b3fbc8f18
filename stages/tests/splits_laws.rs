//! Laws of splits by group (LABELS.md, rule 13), for any pairs.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use secprm_stages::splits::{Placed, Signature, Split, SplitBy, SplitOptions, SplitPair, place as place_all};

const BY_GROUP: SplitOptions = SplitOptions { by: SplitBy::Group, max_group_share: 0.05 };

fn place(pairs: Vec<SplitPair>, options: &SplitOptions) -> Vec<Placed> {
    place_all(pairs, options).pairs
}

/// A pair that shares nothing with any other.
fn alone(pair_id: u128) -> SplitPair {
    SplitPair {
        pair_id,
        dataset: Arc::from("bigvul"),
        slice: 0,
        commit_id: None,
        cve: None,
        project: None,
        upstream: None,
        date: None,
        code_hashes: vec![pair_id as i64],
        signatures: Vec::new(),
        earlier: None,
    }
}

/// Code of 200 tokens, the same for equal seeds, with some tokens of its own.
fn signature(seed: u32, own: u32) -> Signature {
    let word = |token: u32| match token % 100 {
        7 if own > 0 => format!("own{own}_{token} "),
        _ => format!("w{seed}_{token} "),
    };
    Signature::of((0..200).map(word).collect::<String>().as_bytes()).unwrap()
}

fn split_name() -> impl Strategy<Value = Option<Split>> {
    prop_oneof![3 => Just(None), 1 => prop::sample::select(Split::ALL.to_vec()).prop_map(Some)]
}

prop_compose! {
    /// Pairs with few different keys, so that many share one.
    fn some_pairs()(
        rows in prop::collection::vec(
            (
                (prop::option::of(0u32..12), prop::option::of(0u32..20), prop::option::of(0u32..4)),
                (split_name(), prop::option::of(0i64..50), prop::collection::vec(0i64..40, 0..3)),
                prop::option::of((0u32..6, 0u32..3)),
            ),
            1..40,
        )
    ) -> Vec<SplitPair> {
        (1u128..)
            .zip(rows)
            .map(|(number, ((commit, cve, project), (upstream, date, code_hashes), code))| SplitPair {
                // Identifiers are hashes: their order is not that of anything else.
                pair_id: number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
                dataset: Arc::from(["bigvul", "sven"][number as usize % 2]),
                slice: number as i32 % 3,
                commit_id: commit.map(|commit| format!("{commit:040x}").into()),
                cve: cve.map(|cve| format!("CVE-2020-{cve}").into()),
                project: project.map(|project| format!("owner/{project}").into()),
                code_hashes,
                signatures: code.map(|(seed, own)| signature(seed, own)).into_iter().collect(),
                ..SplitPair { upstream, date, ..alone(0) }
            })
            .collect()
    }
}

fn by_id(placed: &[Placed]) -> BTreeMap<u128, &Placed> {
    placed.iter().map(|placed| (placed.pair_id, placed)).collect()
}

/// The pairs as the next run finds them, with the splits this one gave.
fn with_earlier(pairs: &[SplitPair], placed: &[Placed]) -> Vec<SplitPair> {
    let placed = by_id(placed);
    let earlier = |pair: &SplitPair| placed.get(&pair.pair_id).map(|placed| (placed.split, placed.source));
    pairs.iter().map(|pair| SplitPair { earlier: earlier(pair), ..pair.clone() }).collect()
}

/// Everything that two pairs must not share across splits, near-duplicates left aside.
fn keys(pair: &SplitPair) -> Vec<Arc<str>> {
    let code = pair.code_hashes.iter().map(|hash| format!("code {hash}").into());
    pair.commit_id.clone().into_iter().chain(pair.cve.clone()).chain(code).collect()
}

proptest! {
    #[test]
    fn what_shares_a_key_or_a_group_is_in_one_split(pairs in some_pairs(), by_project: bool) {
        let by = if by_project { SplitBy::Project } else { SplitBy::Group };
        let placed = place(pairs.clone(), &SplitOptions { by, ..BY_GROUP });
        prop_assert_eq!(placed.len(), pairs.len());
        let placed = by_id(&placed);
        let mut splits: BTreeMap<Arc<str>, BTreeSet<Split>> = BTreeMap::new();
        for pair in &pairs {
            let placed = placed[&pair.pair_id];
            let project = pair.project.clone().filter(|_| by_project);
            for key in keys(pair).into_iter().chain(project).chain([format!("group {}", placed.group_id).into()]) {
                splits.entry(key).or_default().insert(placed.split);
            }
        }
        prop_assert!(splits.values().all(|splits| splits.len() == 1), "{splits:?}");
    }

    #[test]
    fn the_order_of_pairs_does_not_matter(pairs in some_pairs(), turned in 0usize..40) {
        let mut others = pairs.clone();
        others.reverse();
        let middle = turned % others.len();
        others.rotate_left(middle);
        prop_assert_eq!(place_all(pairs, &BY_GROUP), place_all(others, &BY_GROUP));
    }

    #[test]
    fn an_added_pair_moves_an_earlier_one_only_towards_test_and_only_into_the_split_of_a_member(
        pairs in some_pairs(),
        first in 0usize..40,
    ) {
        let first = &pairs[..first.min(pairs.len())];
        let before = place(first.to_vec(), &BY_GROUP);
        let mut all = with_earlier(first, &before);
        all.extend_from_slice(&pairs[first.len()..]);
        let after = place(all.clone(), &BY_GROUP);
        let (before, after) = (by_id(&before), by_id(&after));
        for pair in first {
            let (old, new) = (before[&pair.pair_id], after[&pair.pair_id]);
            prop_assert!(new.split >= old.split);
            let brings = |other: &SplitPair| {
                after[&other.pair_id].group_id == new.group_id
                    && (other.upstream == Some(new.split) || other.earlier.is_some_and(|(split, _)| split == new.split))
            };
            prop_assert!(new.split == old.split || all.iter().any(brings));
        }
    }

    #[test]
    fn a_second_run_over_the_same_pairs_changes_nothing(pairs in some_pairs(), rule in 0usize..3) {
        let by = [SplitBy::Group, SplitBy::Upstream, SplitBy::Project][rule];
        let options = SplitOptions { by, ..BY_GROUP };
        let once = place(pairs.clone(), &options);
        prop_assert_eq!(&place(with_earlier(&pairs, &once), &options), &once);
    }

    #[test]
    fn by_upstream_every_pair_keeps_the_split_of_its_dataset(pairs in some_pairs()) {
        let placed = place(pairs.clone(), &SplitOptions { by: SplitBy::Upstream, ..BY_GROUP });
        let placed = by_id(&placed);
        prop_assert!(pairs.iter().all(|pair| pair.upstream.is_none_or(|split| placed[&pair.pair_id].split == split)));
    }

    #[test]
    fn a_group_with_a_dataset_s_split_goes_to_the_strictest_of_its_members(pairs in some_pairs()) {
        let placed = place(pairs.clone(), &BY_GROUP);
        let placed = by_id(&placed);
        let mut strictest: BTreeMap<u128, Split> = BTreeMap::new();
        for pair in &pairs {
            if let Some(split) = pair.upstream {
                let known = strictest.entry(placed[&pair.pair_id].group_id).or_insert(split);
                *known = split.max(*known);
            }
        }
        let as_expected = |placed: &&Placed| strictest.get(&placed.group_id).is_none_or(|split| *split == placed.split);
        prop_assert!(placed.values().all(as_expected));
    }
}

fn shares(placed: &[Placed]) -> [usize; 3] {
    Split::ALL.map(|split| placed.iter().filter(|placed| placed.split == split).count())
}

#[test]
fn dated_pairs_without_a_split_are_cut_at_80_and_90_percent_of_time() {
    let dated = |number: u128| SplitPair { date: Some((number as i64 * 7919) % 1000), ..alone(number) };
    let pairs: Vec<SplitPair> = (0..1000).map(dated).collect();
    let dates: BTreeMap<u128, i64> = pairs.iter().map(|pair| (pair.pair_id, pair.date.unwrap())).collect();
    let placed = place(pairs, &BY_GROUP);
    assert_eq!(shares(&placed), [800, 100, 100]);
    let of = |split| placed.iter().filter(move |placed| placed.split == split).map(|placed| dates[&placed.pair_id]);
    assert!(of(Split::Train).max() < of(Split::Validation).min());
    assert!(of(Split::Validation).max() < of(Split::Test).min());
}

#[test]
fn nothing_that_is_trained_on_is_newer_than_the_first_group_that_is_tested_on() {
    // Groups of two: an old pair, and one whose date runs through the years.
    let pair = |number: u128| SplitPair {
        cve: Some(format!("CVE-2020-{}", number / 2).into()),
        date: Some(if number.is_multiple_of(2) { 0 } else { number as i64 }),
        ..alone(number)
    };
    let placed = place((0..1000).map(pair).collect(), &BY_GROUP);
    assert_eq!(shares(&placed), [800, 100, 100]);
    let newest = |split| placed.iter().filter(move |placed| placed.split == split).map(|placed| placed.pair_id | 1);
    assert!(newest(Split::Train).max() < newest(Split::Test).min());
}

#[test]
fn pairs_without_date_or_split_go_by_a_hash() {
    let placed = place((0..5000).map(alone).collect(), &BY_GROUP);
    let [train, validation, test] = shares(&placed);
    assert!(train.abs_diff(4000) < 120 && validation.abs_diff(500) < 90 && test.abs_diff(500) < 90);
    assert!(placed.iter().all(|placed| placed.source.as_str() == "hash" && placed.joined_by.is_alone()));
}

#[test]
fn an_abbreviated_commit_is_each_commit_it_may_stand_for_and_other_names_count_within_their_project() {
    let pair = |number: u128, project: &str, commit: &str| SplitPair {
        commit_id: Some(commit.into()),
        project: Some(project.into()),
        ..alone(number)
    };
    let full = "0123456789abcdef0123456789abcdef01234567";
    let pairs = vec![
        pair(1, "o/r", full),
        pair(2, "r", &full.to_uppercase()),
        pair(3, "r", &full[..9]),
        pair(4, "r", "01234568"),
        pair(5, "r", "17"),
        pair(6, "x/y", "17"),
        pair(7, "r", "17"),
        pair(8, "r", "170"),
    ];
    let groups: Vec<u128> = place(pairs, &BY_GROUP).iter().map(|placed| placed.group_id).collect();
    assert_eq!(groups, [1, 1, 1, 4, 5, 6, 5, 8]);
}

#[test]
fn near_duplicates_are_joined_and_others_are_not() {
    let pair = |number: u128, seed, own| SplitPair { signatures: vec![signature(seed, own)], ..alone(number) };
    let placed = place(vec![pair(1, 1, 0), pair(2, 1, 5), pair(3, 2, 0), pair(4, 2, 0), pair(5, 3, 0)], &BY_GROUP);
    let found: Vec<(u128, String)> =
        placed.iter().map(|placed| (placed.group_id, placed.joined_by.to_string())).collect();
    let expected = [(1, "near_code"), (1, "near_code"), (3, "near_code"), (3, "near_code"), (5, "")];
    assert_eq!(found, expected.map(|(group, joined_by)| (group, joined_by.to_owned())));
}

#[test]
fn a_group_that_grew_too_large_loses_its_near_duplicates_and_is_reported_if_that_is_not_enough() {
    let near = |number: u128| SplitPair { signatures: vec![signature(1, number as u32)], ..alone(number) };
    let mut pairs: Vec<SplitPair> = (1..=120).map(near).collect();
    // Two of them share a commit, which stays.
    for pair in &mut pairs[..2] {
        pair.commit_id = Some("a".repeat(40).into());
    }
    pairs.extend((201..=330).map(|number| SplitPair { cve: Some("CVE-2020-1".into()), ..alone(number) }));
    pairs.push(alone(400));
    let placed = place(pairs, &BY_GROUP);
    let of = |from: u128, to: u128| placed.iter().filter(move |placed| (from..=to).contains(&placed.pair_id));
    assert!(of(1, 120).all(|placed| placed.near_code_dropped && !placed.over_limit));
    assert_eq!(of(1, 120).map(|placed| placed.group_size).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    assert_eq!(of(1, 2).map(|placed| placed.group_id).collect::<Vec<_>>(), [1, 1]);
    assert!(of(201, 330).all(|placed| placed.over_limit && placed.group_size == 130 && !placed.near_code_dropped));
    assert!(of(400, 400).all(|placed| !placed.over_limit && placed.group_size == 1));
}

/// 200,000 pairs (or `SECPRM_SPLIT_PAIRS`) as a large dataset has them: commits of a few functions, copies, near-copies, one pattern that
/// thousands share. Run with `--ignored --nocapture`; in a release build for a time that means something.
#[test]
#[ignore = "takes a while; prints how long"]
fn very_many_pairs_are_placed_in_time_proportional_to_their_number() {
    let pairs_wanted: u128 =
        std::env::var("SECPRM_SPLIT_PAIRS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let pair = |number: u128| {
        let seed = match number % 10 {
            0 => 1,
            1 | 2 => (number / 40) as u32,
            _ => number as u32,
        };
        SplitPair {
            pair_id: number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            commit_id: Some(format!("{:040x}", number / 6).into()),
            date: Some(number as i64),
            signatures: vec![signature(seed, (number % 7) as u32 + if seed == 1 { number as u32 } else { 0 })],
            ..alone(number)
        }
    };
    let pairs: Vec<SplitPair> = (0..pairs_wanted).map(pair).collect();
    let start = std::time::Instant::now();
    let placed = place(pairs, &BY_GROUP);
    let groups: BTreeSet<u128> = placed.iter().map(|placed| placed.group_id).collect();
    eprintln!("{} pairs in {} groups: {:.2} s", placed.len(), groups.len(), start.elapsed().as_secs_f64());
    assert_eq!(placed.len() as u128, pairs_wanted);
}
