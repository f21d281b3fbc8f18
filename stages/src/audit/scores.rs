//! A judge at work: fitted to the rows of the training split, asked about others.

use super::fit::{Forest, Goal, best_threshold};
use super::judge::Judge;
use super::rows::Row;
use super::words::WordJudge;
use crate::error::Result;

/// What a judge says of some rows.
pub struct Scores {
    /// One a row; the higher, the more vulnerable.
    pub scores: Vec<f64>,
    /// From this score on a row is called vulnerable.
    pub threshold: f64,
}

/// Fits a judge to `train` and asks it about `test`; neither may be empty.
///
/// The threshold is the best one for `goal` on training rows that were not fitted: of a forest by the trees that did not see a row, of
/// the bag of words by fitting each half of the groups and asking about the other.
///
/// # Errors
/// Of kind stage if nothing can be fitted.
pub fn judge_rows(judge: Judge, goal: Goal, train: &[Row<'_>], test: &[Row<'_>], seed: u64) -> Result<Scores> {
    let labels = || train.iter().map(|row| row.is_vulnerable).collect::<Vec<bool>>();
    match judge {
        Judge::EmptyStep => Ok(has_an_empty_step(test)),
        Judge::Words => {
            let held_out = held_out_by_halves(train)?;
            let fitted = fit_words(train.iter())?;
            let scores = test.iter().map(|row| fitted.score(row.words.iter().copied())).collect();
            Ok(Scores { scores, threshold: best_threshold(goal, &held_out, &labels()) })
        }
        Judge::Length | Judge::StepCount | Judge::Separators | Judge::StepLengths => {
            let features = |rows: &[Row<'_>]| rows.iter().map(|row| row.features.clone()).collect();
            let forest = Forest::fit(features(train), &labels(), seed)?;
            let threshold = best_threshold(goal, &forest.held_out, &labels());
            Ok(Scores { scores: forest.score(features(test))?, threshold })
        }
    }
}

/// The bar of the step task: the larger a step's share of the code, the likelier a change falls on it. Only the threshold is fitted, for
/// a classifier would learn which lengths the cutting itself gives to what is labelled 0.
pub fn share_of_the_code(train: &[Row<'_>], test: &[Row<'_>]) -> Scores {
    let shares = |rows: &[Row<'_>]| rows.iter().filter_map(|row| row.features.first().copied()).collect::<Vec<f64>>();
    let labels: Vec<bool> = train.iter().map(|row| row.is_vulnerable).collect();
    Scores { scores: shares(test), threshold: best_threshold(Goal::F1, &shares(train), &labels) }
}

/// The rule that is fitted to nothing.
pub fn has_an_empty_step(rows: &[Row<'_>]) -> Scores {
    let scores = rows.iter().map(|row| if row.features.iter().any(|count| *count > 0.0) { 1.0 } else { 0.0 }).collect();
    Scores { scores, threshold: 1.0 }
}

fn fit_words<'rows>(rows: impl Iterator<Item = &'rows Row<'rows>>) -> Result<WordJudge> {
    WordJudge::fit(rows.flat_map(|row| row.words.iter().map(|words| (*words, row.is_vulnerable))))
}

fn held_out_by_halves(rows: &[Row<'_>]) -> Result<Vec<f64>> {
    let half = |parity: usize| fit_words(rows.iter().filter(move |row| row.group % 2 == parity));
    let halves = [half(0)?, half(1)?];
    Ok(rows.iter().map(|row| halves[1 - row.group % 2].score(row.words.iter().copied())).collect())
}
