//! A seeded bootstrap over groups of pairs.
//!
//! Poisson's: in each draw a group counts 0, 1, 2, … times, each drawn for itself (Chamandy et al., "Estimating Uncertainty for Massive
//! Data Streams", 2012). What a group gets depends on its name and the seed alone, so rows may come in any order.

/// Draws of a bootstrap: the ends of a 95 % interval are then the tenth from below and from above.
pub const DRAWS: usize = 400;

/// The counts of one group in all draws.
pub type GroupCounts = [u8; DRAWS];

/// The probability that a Poisson variable of mean 1 is at most 0, 1, 2, …
const AT_MOST: [f64; 7] = [
    0.367_879_441_171_442_3,
    0.735_758_882_342_884_6,
    0.919_698_602_928_605_8,
    0.981_011_843_123_846_2,
    0.996_340_153_172_656_3,
    0.999_405_815_182_418_3,
    0.999_916_758_850_711_9,
];

/// Draws how often a group counts.
pub fn counts_of(group_id: &str, seed: u64) -> GroupCounts {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(group_id.as_bytes());
    let mut bytes = [0u8; DRAWS * 4];
    hasher.finalize_xof().fill(&mut bytes);
    let mut counts = [0; DRAWS];
    for (count, four) in counts.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let uniform = f64::from(u32::from_le_bytes(*four)) / (f64::from(u32::MAX) + 1.0);
        *count = AT_MOST.iter().filter(|limit| uniform >= **limit).count() as u8;
    }
    counts
}

/// A number, and what it is in each draw; `None` where it is not defined.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Its value over all rows.
    pub value: Option<f64>,
    /// Its values in the draws.
    pub drawn: Vec<Option<f64>>,
}

impl Estimate {
    /// Computes a statistic once with every group counted once and once a draw; `statistic` is given how often each group counts.
    pub fn of(groups: &[GroupCounts], statistic: impl Fn(&dyn Fn(usize) -> f64) -> Option<f64>) -> Estimate {
        let drawn =
            (0..DRAWS).map(|draw| statistic(&|group| groups.get(group).map_or(0.0, |counts| f64::from(counts[draw]))));
        Estimate { value: statistic(&|_| 1.0), drawn: drawn.collect() }
    }

    /// Returns by how much this number is larger, draw by draw: both judges meet the same rows in each.
    pub fn excess_over(&self, other: &Estimate) -> Estimate {
        let minus = |left: &Option<f64>, right: &Option<f64>| Some((*left)? - (*right)?);
        let drawn = self.drawn.iter().zip(&other.drawn).map(|(left, right)| minus(left, right)).collect();
        Estimate { value: minus(&self.value, &other.value), drawn }
    }

    /// Returns the ends of the 95 % interval: the 2.5th and 97.5th percentile of the draws. `None` where the number is not defined in more
    /// than one draw of twenty, since the others tell too little then.
    pub fn interval(&self) -> Option<[f64; 2]> {
        let mut defined: Vec<f64> = self.drawn.iter().copied().flatten().collect();
        if self.value.is_none() || defined.len() * 20 < self.drawn.len() * 19 {
            return None;
        }
        defined.sort_by(f64::total_cmp);
        let at = |share: f64| defined.get(((defined.len() - 1) as f64 * share).round() as usize).copied();
        Some([at(0.025)?, at(0.975)?])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_counts_once_on_average_and_the_same_for_the_same_seed() {
        let all: Vec<f64> = (0..50).flat_map(|group| counts_of(&group.to_string(), 7).map(f64::from)).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(counts_of("a", 1), counts_of("a", 1));
        assert_ne!(counts_of("a", 1), counts_of("a", 2));
        assert_ne!(counts_of("a", 1), counts_of("b", 1));
    }

    #[test]
    fn the_interval_of_a_share_is_as_wide_as_theory_says() {
        let groups: Vec<GroupCounts> = (0..100).map(|group| counts_of(&group.to_string(), 0)).collect();
        let share = Estimate::of(&groups, |count| {
            let [hits, all] = [0..50, 0..100].map(|range| range.map(count).sum::<f64>());
            (all > 0.0).then(|| hits / all)
        });
        assert_eq!(share.value, Some(0.5));
        let [low, high] = share.interval().unwrap();
        // 1.96 standard errors of 0.05 on either side.
        assert!((low - 0.402).abs() < 0.03 && (high - 0.598).abs() < 0.03, "{low} {high}");
        assert_eq!(share.excess_over(&share).interval(), Some([0.0, 0.0]));
    }

    #[test]
    fn a_number_that_few_draws_define_has_no_interval() {
        let drawn = (0..DRAWS).map(|draw| (draw % 2 == 0).then_some(0.5)).collect();
        assert_eq!(Estimate { value: Some(0.5), drawn }.interval(), None);
    }
}
