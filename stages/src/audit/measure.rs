//! What a judge's scores are worth: AUROC, accuracy and F1, and for pairs how often the right version is named.

use super::draws::{Estimate, GroupCounts};

/// A row that was judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Its group, by number.
    pub group: usize,
    /// Whether it is vulnerable.
    pub is_vulnerable: bool,
    /// The higher, the more vulnerable.
    pub score: f64,
    /// Whether it was called vulnerable.
    pub is_called: bool,
}

/// A pair that was judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedPair {
    /// Its group, by number.
    pub group: usize,
    /// By how much the vulnerable version looks more vulnerable than the fixed one; 0 is a tie.
    pub margin: f64,
    /// Whether the vulnerable version alone was called vulnerable (table 2's P-C).
    pub both_right: bool,
}

/// Returns AUROC: the probability that a vulnerable row has a higher score than a secure one, ties counted half.
pub fn auroc(rows: &[Judged], groups: &[GroupCounts]) -> Estimate {
    let mut sorted: Vec<&Judged> = rows.iter().collect();
    sorted.sort_by(|left, right| left.score.total_cmp(&right.score));
    Estimate::of(groups, |count| {
        let (mut secure_below, mut vulnerable, mut concordant) = (0.0, 0.0, 0.0);
        for tied in sorted.chunk_by(|left, right| left.score == right.score) {
            let [mut vulnerable_here, mut secure_here] = [0.0, 0.0];
            for row in tied {
                let side = if row.is_vulnerable { &mut vulnerable_here } else { &mut secure_here };
                *side += count(row.group);
            }
            concordant += vulnerable_here * (secure_below + secure_here / 2.0);
            secure_below += secure_here;
            vulnerable += vulnerable_here;
        }
        ratio(concordant, vulnerable * secure_below)
    })
}

/// Returns F1 of what was called vulnerable.
pub fn f1(rows: &[Judged], groups: &[GroupCounts]) -> Estimate {
    Estimate::of(groups, |count| {
        let (mut hits, mut calls_and_positives) = (0.0, 0.0);
        for row in rows {
            let weight = count(row.group);
            hits += if row.is_called && row.is_vulnerable { weight } else { 0.0 };
            calls_and_positives +=
                weight * (f64::from(u8::from(row.is_called)) + f64::from(u8::from(row.is_vulnerable)));
        }
        ratio(2.0 * hits, calls_and_positives)
    })
}

/// Returns the share of rows that are what they were called.
pub fn accuracy(rows: &[Judged], groups: &[GroupCounts]) -> Estimate {
    mean(rows, groups, |row| (row.group, f64::from(u8::from(row.is_called == row.is_vulnerable))))
}

/// Returns the share of pairs whose vulnerable version looks the more vulnerable one, ties counted half.
pub fn pair_accuracy(pairs: &[JudgedPair], groups: &[GroupCounts]) -> Estimate {
    let won = |margin: f64| {
        if margin > 0.0 {
            1.0
        } else if margin == 0.0 {
            0.5
        } else {
            0.0
        }
    };
    mean(pairs, groups, |pair| (pair.group, won(pair.margin)))
}

/// Returns the share of pairs whose versions are both called what they are.
pub fn both_right(pairs: &[JudgedPair], groups: &[GroupCounts]) -> Estimate {
    mean(pairs, groups, |pair| (pair.group, f64::from(u8::from(pair.both_right))))
}

fn mean<Row>(rows: &[Row], groups: &[GroupCounts], value: impl Fn(&Row) -> (usize, f64)) -> Estimate {
    Estimate::of(groups, |count| {
        let (mut sum, mut all) = (0.0, 0.0);
        for row in rows {
            let (group, value) = value(row);
            sum += count(group) * value;
            all += count(group);
        }
        ratio(sum, all)
    })
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::draws::counts_of;
    use super::*;
    use crate::evaluate::{self, Verdict, detection_metrics};

    fn groups(count: usize) -> Vec<GroupCounts> {
        (0..count).map(|group| counts_of(&group.to_string(), 0)).collect()
    }

    #[test]
    fn ties_of_a_pair_count_half() {
        let pair = |margin| JudgedPair { group: 0, margin, both_right: margin > 0.0 };
        let pairs = [pair(1.0), pair(0.0), pair(-1.0), pair(2.0)];
        assert_eq!(pair_accuracy(&pairs, &groups(1)).value, Some(0.625));
        assert_eq!(both_right(&pairs, &groups(1)).value, Some(0.5));
        assert_eq!(pair_accuracy(&[], &groups(1)).value, None);
    }

    proptest! {
        #[test]
        fn values_are_those_of_the_metrics_of_models(rows in prop::collection::vec((any::<bool>(), -5i8..5), 1..60)) {
            let judged: Vec<Judged> = rows
                .iter()
                .map(|(is_vulnerable, score)| {
                    Judged { group: 0, is_vulnerable: *is_vulnerable, score: f64::from(*score), is_called: *score > 0 }
                })
                .collect();
            let verdicts: Vec<Verdict> = judged
                .iter()
                .map(|row| Verdict { vulnerable: row.is_vulnerable, called_vulnerable: row.is_called, reward: -row.score })
                .collect();
            let [expected_accuracy, _, _, expected_f1, _] = detection_metrics(&verdicts);
            let groups = groups(1);
            let close = |ours: Option<f64>, theirs: Option<f64>| match (ours, theirs) {
                (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1e-12,
                (ours, theirs) => ours == theirs,
            };
            prop_assert!(close(auroc(&judged, &groups).value, evaluate::auroc(&verdicts)));
            prop_assert!(close(accuracy(&judged, &groups).value, expected_accuracy.value));
            prop_assert!(close(f1(&judged, &groups).value, expected_f1.value));
        }
    }
}
