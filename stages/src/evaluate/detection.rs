//! Detection metrics with 95 % intervals; positive is vulnerable (FORMULAS.md, "Detection metrics").

/// z of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// One sample's truth and judgement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Whether the sample is labelled vulnerable.
    pub vulnerable: bool,
    /// Whether it was called vulnerable.
    pub called_vulnerable: bool,
    /// The reward R: the lower, the more vulnerable.
    pub reward: f64,
}

/// A metric's value and interval; all `None` where the metric is not defined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measure {
    /// The metric's name: accuracy, precision, recall, f1 or auroc.
    pub name: &'static str,
    /// Its value.
    pub value: Option<f64>,
    /// Lower end of the 95 % interval.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub high: Option<f64>,
}

/// Computes accuracy, precision, recall, F1 and AUROC of −R.
///
/// Intervals: Wilson's for proportions; for F1 the same on its equivalent proportion 2TP of 2TP + FP + FN (halved, since each true
/// positive counts twice); Hanley and McNeil's for AUROC, cut at 0 and 1. A proportion of nothing is `None`, never 0.
pub fn detection_metrics(verdicts: &[Verdict]) -> [Measure; 5] {
    let count = |vulnerable: bool, called: bool| {
        verdicts
            .iter()
            .filter(|verdict| verdict.vulnerable == vulnerable && verdict.called_vulnerable == called)
            .count() as f64
    };
    let (true_positives, false_negatives) = (count(true, true), count(true, false));
    let (false_positives, true_negatives) = (count(false, true), count(false, false));
    let all = verdicts.len() as f64;
    let wrong = false_positives + false_negatives;
    [
        proportion("accuracy", true_positives + true_negatives, all),
        proportion("precision", true_positives, true_positives + false_positives),
        proportion("recall", true_positives, true_positives + false_negatives),
        proportion("f1", true_positives, true_positives + wrong / 2.0),
        auroc_measure(verdicts, true_positives + false_negatives, false_positives + true_negatives),
    ]
}

fn proportion(name: &'static str, hits: f64, of: f64) -> Measure {
    if of == 0.0 {
        return Measure { name, value: None, low: None, high: None };
    }
    let share = hits / of;
    let centre = share + Z * Z / (2.0 * of);
    let spread = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
    let scale = 1.0 + Z * Z / of;
    let [low, high] = [(centre - spread) / scale, (centre + spread) / scale];
    Measure { name, value: Some(share), low: Some(low.clamp(0.0, 1.0)), high: Some(high.clamp(0.0, 1.0)) }
}

fn auroc_measure(verdicts: &[Verdict], positives: f64, negatives: f64) -> Measure {
    let Some(area) = auroc(verdicts) else {
        return Measure { name: "auroc", value: None, low: None, high: None };
    };
    let both_above = area / (2.0 - area);
    let one_above_both = 2.0 * area * area / (1.0 + area);
    let variance = (area * (1.0 - area)
        + (positives - 1.0) * (both_above - area * area)
        + (negatives - 1.0) * (one_above_both - area * area))
        / (positives * negatives);
    let spread = Z * variance.max(0.0).sqrt();
    let [low, high] = [area - spread, area + spread].map(|end| Some(end.clamp(0.0, 1.0)));
    Measure { name: "auroc", value: Some(area), low, high }
}

/// Returns the probability that a vulnerable sample has a lower reward than a secure one, ties counted half; `None` unless both kinds
/// are there. O(n log n).
pub fn auroc(verdicts: &[Verdict]) -> Option<f64> {
    let mut sorted: Vec<&Verdict> = verdicts.iter().collect();
    sorted.sort_by(|left, right| left.reward.total_cmp(&right.reward));
    let positives = verdicts.iter().filter(|verdict| verdict.vulnerable).count() as f64;
    let negatives = verdicts.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let mut concordant = 0.0;
    let mut secure_left = negatives;
    for tied in sorted.chunk_by(|left, right| left.reward == right.reward) {
        let vulnerable_here = tied.iter().filter(|verdict| verdict.vulnerable).count() as f64;
        let secure_here = tied.len() as f64 - vulnerable_here;
        secure_left -= secure_here;
        concordant += vulnerable_here * (secure_left + secure_here / 2.0);
    }
    Some(concordant / (positives * negatives))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn verdict(vulnerable: bool, reward: f64) -> Verdict {
        Verdict { vulnerable, called_vulnerable: reward < 0.0, reward }
    }

    #[test]
    fn a_perfect_judge_scores_one_and_a_reversed_one_zero() {
        let verdicts = [verdict(true, -1.0), verdict(true, -0.5), verdict(false, 0.2), verdict(false, 0.9)];
        assert!(detection_metrics(&verdicts).iter().all(|measure| measure.value == Some(1.0)));
        let reversed = verdicts.map(|v| verdict(v.vulnerable, -v.reward));
        assert_eq!(auroc(&reversed), Some(0.0));
    }

    #[test]
    fn known_counts_give_known_numbers() {
        // 3 true positives, 1 false negative, 2 false positives, 4 true negatives.
        let verdicts: Vec<Verdict> = [(true, -1.0, 3), (true, 1.0, 1), (false, -1.0, 2), (false, 1.0, 4)]
            .into_iter()
            .flat_map(|(vulnerable, reward, times)| vec![verdict(vulnerable, reward); times])
            .collect();
        let values = detection_metrics(&verdicts).map(|measure| measure.value.unwrap());
        let expected = [
            0.7,
            0.6,
            0.75,
            2.0 * 0.6 * 0.75 / 1.35,
            0.5 * 0.75 * (1.0 / 3.0) + 0.75 * (2.0 / 3.0) + 0.5 * 0.25 * (2.0 / 3.0),
        ];
        for (value, expected) in values.into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-12, "{value} is not {expected}");
        }
        // Wilson's interval of 7 of 10, as printed in textbooks.
        let accuracy = detection_metrics(&verdicts)[0];
        assert!((accuracy.low.unwrap() - 0.3968).abs() < 1e-4 && (accuracy.high.unwrap() - 0.8922).abs() < 1e-4);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        assert!(detection_metrics(&[]).iter().all(|measure| measure.value.is_none()));
        let one_class = detection_metrics(&[verdict(false, 1.0), verdict(false, 0.5)]);
        assert_eq!(one_class.map(|measure| measure.value.is_some()), [true, false, false, false, false]);
    }

    proptest! {
        #[test]
        fn auroc_equals_counting_all_pairs(rows in prop::collection::vec((any::<bool>(), -5i8..5), 0..60)) {
            let verdicts: Vec<Verdict> = rows.iter().map(|(vulnerable, reward)| verdict(*vulnerable, f64::from(*reward))).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for positive in verdicts.iter().filter(|v| v.vulnerable) {
                for negative in verdicts.iter().filter(|v| !v.vulnerable) {
                    pairs += 1.0;
                    wins += if positive.reward < negative.reward { 1.0 } else if positive.reward == negative.reward { 0.5 } else { 0.0 };
                }
            }
            match auroc(&verdicts) {
                None => prop_assert_eq!(pairs, 0.0),
                Some(area) => prop_assert!((area - wins / pairs).abs() < 1e-12),
            }
        }
    }
}
