//! The rows that a judge is fitted to or measured on, for one task.

use std::collections::BTreeMap;

use super::draws::{GroupCounts, counts_of};
use super::features::{step_features, version_features};
use super::judge::Judge;
use super::pair::AuditPair;
use super::words::Words;

/// Pairs of one split, ordered by `pair_id`, and their groups.
pub struct Pairs<'pairs> {
    /// The pairs.
    pub all: Vec<&'pairs AuditPair>,
    /// The group of each, by number.
    pub groups: Vec<usize>,
    /// How often each group counts in the draws.
    pub counts: Vec<GroupCounts>,
}

impl<'pairs> Pairs<'pairs> {
    /// Orders pairs, which may come in any order, and draws their groups.
    pub fn new(pairs: &'pairs [AuditPair], seed: u64) -> Pairs<'pairs> {
        let mut all: Vec<&AuditPair> = pairs.iter().collect();
        all.sort_by(|left, right| left.pair_id.cmp(&right.pair_id));
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut counts = Vec::new();
        let mut groups = Vec::with_capacity(all.len());
        for pair in &all {
            let group = *numbers.entry(&pair.group_id).or_insert_with(|| {
                counts.push(counts_of(&pair.group_id, seed));
                counts.len() - 1
            });
            groups.push(group);
        }
        Pairs { all, groups, counts }
    }

    fn with_groups(&self) -> impl Iterator<Item = (&'pairs AuditPair, usize)> {
        self.all.iter().copied().zip(self.groups.iter().copied())
    }
}

/// One thing to judge.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'pairs> {
    /// What the judge is told; empty for the bag of words.
    pub features: Vec<f64>,
    /// The words, for the bag of words; empty for all others.
    pub words: Vec<&'pairs Words>,
    /// Whether it is vulnerable.
    pub is_vulnerable: bool,
    /// Its group, by number.
    pub group: usize,
}

/// Returns the versions of pairs, the vulnerable and the fixed one of each in turn.
pub fn version_rows<'pairs>(judge: Judge, pairs: &Pairs<'pairs>) -> Vec<Row<'pairs>> {
    let rows = pairs.with_groups().flat_map(|(pair, group)| {
        pair.versions().map(|version| Row {
            features: version_features(judge, &version.shapes()),
            words: match judge {
                Judge::Words => version.steps.iter().map(|step| &step.words).collect(),
                _ => Vec::new(),
            },
            is_vulnerable: version.is_vulnerable(),
            group,
        })
    });
    rows.collect()
}

/// Returns for each pair what its versions differ in, seen from the vulnerable one and then from the fixed one.
///
/// Between the versions of a pair a difference tells what the features of one version hide: a fix that is a line longer than what it
/// fixes says nothing among functions of all lengths.
pub fn difference_rows<'pairs>(versions: &[Row<'pairs>]) -> Vec<Row<'pairs>> {
    let minus =
        |left: &Row<'_>, right: &Row<'_>| left.features.iter().zip(&right.features).map(|(l, r)| l - r).collect();
    let rows = versions.as_chunks::<2>().0.iter().flat_map(|[vulnerable, fixed]| {
        [(vulnerable, fixed, true), (fixed, vulnerable, false)].map(|(this, other, is_vulnerable)| Row {
            features: minus(this, other),
            words: Vec::new(),
            is_vulnerable,
            group: this.group,
        })
    });
    rows.collect()
}

/// Returns the supervised steps of both versions of pairs.
pub fn step_rows<'pairs>(judge: Judge, pairs: &Pairs<'pairs>) -> Vec<Row<'pairs>> {
    let mut rows = Vec::new();
    for (pair, group) in pairs.with_groups() {
        for version in pair.versions() {
            let features = step_features(judge, &version.shapes());
            let steps = version.steps.iter().zip(features).filter(|(step, _)| step.is_supervised);
            rows.extend(steps.map(|(step, features)| Row {
                features,
                words: if judge == Judge::Words { vec![&step.words] } else { Vec::new() },
                is_vulnerable: step.is_vulnerable,
                group,
            }));
        }
    }
    rows
}
