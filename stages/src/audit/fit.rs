//! The classifier over structure: a forest of regression trees on 0 and 1.
//!
//! A forest, since what structure tells is rarely linear ("an empty step", "a short step between long ones"). The mean of its leaves is
//! the share of vulnerable rows among those like the one at hand.

use smartcore::ensemble::random_forest_regressor::{RandomForestRegressor, RandomForestRegressorParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::error::{Result, StageError};

/// Trees of a forest; time grows with them.
const TREES: usize = 40;
/// Splits on the way to a leaf.
const DEPTH: u16 = 8;
/// Rows of a leaf: few enough for a rule that holds in one row of fifty, many enough not to learn rows by heart.
const LEAST_LEAF: usize = 10;

type Trees = RandomForestRegressor<f64, f64, DenseMatrix<f64>, Vec<f64>>;

/// A fitted forest.
pub struct Forest {
    trees: Trees,
    /// For each fitted row, what the trees that did not see it say.
    pub held_out: Vec<f64>,
}

impl Forest {
    /// Fits a forest to rows of features, all of one width, and their labels.
    ///
    /// # Errors
    /// Of kind stage if there are no rows or no features.
    pub fn fit(rows: Vec<Vec<f64>>, labels: &[bool], seed: u64) -> Result<Forest> {
        let targets: Vec<f64> = labels.iter().map(|label| if *label { 1.0 } else { 0.0 }).collect();
        let parameters = RandomForestRegressorParameters::default()
            .with_n_trees(TREES)
            .with_max_depth(DEPTH)
            .with_min_samples_leaf(LEAST_LEAF)
            .with_keep_samples(true)
            .with_seed(seed);
        let rows = matrix(&rows)?;
        let trees = Trees::fit(&rows, &targets, parameters).map_err(failed)?;
        let held_out = trees.predict_oob(&rows).map_err(failed)?;
        Ok(Forest { trees, held_out })
    }

    /// Returns for each row the share of vulnerable ones among those like it.
    ///
    /// # Errors
    /// Of kind stage if there are no rows.
    pub fn score(&self, rows: Vec<Vec<f64>>) -> Result<Vec<f64>> {
        self.trees.predict(&matrix(&rows)?).map_err(failed)
    }
}

/// What a threshold is to be the best for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Accuracy: for versions, of which half are vulnerable. The best F1 would call all of them so.
    Accuracy,
    /// F1: for steps, of which few are.
    F1,
}

/// Returns the threshold from which on calling rows vulnerable is best for a goal; of equally good ones the highest.
///
/// Scores that are no numbers, of rows that every tree has seen, are left out.
pub fn best_threshold(goal: Goal, scores: &[f64], labels: &[bool]) -> f64 {
    let mut rows: Vec<(f64, bool)> =
        scores.iter().copied().zip(labels.iter().copied()).filter(|(score, _)| score.is_finite()).collect();
    rows.sort_by(|left, right| right.0.total_cmp(&left.0));
    let positives = rows.iter().filter(|(_, label)| *label).count() as f64;
    let worth = |called: f64, hits: f64| match goal {
        // Right calls less wrong ones: accuracy, but for what is the same at every threshold.
        Goal::Accuracy => 2.0 * hits - called,
        Goal::F1 => 2.0 * hits / (called + positives),
    };
    let (mut called, mut hits) = (0.0, 0.0);
    let mut best = (0.0, f64::INFINITY);
    for tied in rows.chunk_by(|left, right| left.0 == right.0) {
        called += tied.len() as f64;
        hits += tied.iter().filter(|(_, label)| *label).count() as f64;
        if let Some((score, _)) = tied.first().filter(|_| worth(called, hits) > best.0) {
            best = (worth(called, hits), *score);
        }
    }
    best.1
}

fn matrix(rows: &Vec<Vec<f64>>) -> Result<DenseMatrix<f64>> {
    DenseMatrix::from_2d_vec(rows).map_err(failed)
}

/// What the classifiers' crate could not do.
pub fn failed(error: smartcore::error::Failed) -> StageError {
    StageError::Fit(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_the_best_for_their_goal() {
        let scores = [0.9, 0.8, 0.7, 0.6, 0.5];
        let labels = [true, false, true, true, false];
        assert_eq!(best_threshold(Goal::F1, &scores, &labels), 0.6);
        assert_eq!(best_threshold(Goal::Accuracy, &scores, &labels), 0.6);
        let rare = [true, false, false, true, false];
        assert_eq!(best_threshold(Goal::F1, &scores, &rare), 0.9);
        assert_eq!(best_threshold(Goal::Accuracy, &scores, &rare), 0.9);
        let few = [false, false, true, true, false];
        assert_eq!(best_threshold(Goal::F1, &scores, &few), 0.6);
        assert_eq!(best_threshold(Goal::Accuracy, &scores, &few), f64::INFINITY);
        assert_eq!(best_threshold(Goal::F1, &[f64::NAN, 0.3], &[true, true]), 0.3);
    }

    #[test]
    fn a_forest_finds_what_no_line_separates() {
        let rows: Vec<Vec<f64>> = (0..400).map(|row| vec![f64::from(row % 7), f64::from(row % 3)]).collect();
        let labels: Vec<bool> = rows.iter().map(|row| row[0] == 3.0).collect();
        let forest = Forest::fit(rows.clone(), &labels, 0).unwrap_or_else(|error| panic!("{error}"));
        let scores = forest.score(rows).unwrap_or_else(|error| panic!("{error}"));
        let right = scores.iter().zip(&labels).filter(|(score, label)| (**score > 0.5) == **label).count();
        assert_eq!(right, 400);
        assert_eq!(forest.held_out.len(), 400);
    }
}
