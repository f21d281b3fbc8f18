//! The audit of one dataset in one label mode: pairs in, numbers out.

use super::draws::Estimate;
use super::fit::Goal;
use super::judge::{Judge, Task};
use super::measure::{Judged, JudgedPair, accuracy, auroc, both_right, f1, pair_accuracy};
use super::pair::AuditPair;
use super::rows::{Pairs, Row, difference_rows, step_rows, version_rows};
use super::scores::{Scores, has_an_empty_step, judge_rows, share_of_the_code};
use crate::error::Result;
use crate::splits::Split;

/// With fewer pairs to fit, or to measure, an audit says nothing.
pub const LEAST_PAIRS: usize = 20;

/// One number of the audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditNumber {
    /// Whose.
    pub judge: Judge,
    /// What was judged.
    pub task: Task,
    /// The split it was measured on: test, and train too for the rule that is fitted to nothing.
    pub split: Split,
    /// The metric's name; one that ends in `_excess_over_length` says by how much the judge is better than whole-code length alone.
    pub metric: &'static str,
    /// Its value; `None` where it is not defined or there are too few pairs.
    pub value: Option<f64>,
    /// The ends of its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// Versions, pairs or steps it was computed from.
    pub n: usize,
}

/// Fits every judge to the pairs of the training split and measures it on those of the test split; the empty-step rule on both.
///
/// The order of pairs does not matter. With fewer than [`LEAST_PAIRS`] in either split all numbers are there without a value.
///
/// # Errors
/// Of kind stage if a classifier cannot be fitted.
pub fn audit(train: &[AuditPair], test: &[AuditPair], seed: u64) -> Result<Vec<AuditNumber>> {
    let (train, test) = (Pairs::new(train, seed), Pairs::new(test, seed));
    if train.all.len() < LEAST_PAIRS || test.all.len() < LEAST_PAIRS {
        return Ok(Judge::ALL.iter().flat_map(|judge| without_values(*judge, &test)).collect());
    }
    let mut numbers = Vec::new();
    let mut bar: Option<Measured> = None;
    for judge in Judge::ALL {
        let measured = measure(judge, &train, &test, seed)?;
        numbers.extend(measured.numbers(judge, Split::Test));
        match &bar {
            None => bar = Some(measured),
            Some(bar) => numbers.extend(measured.excess_over(bar, judge)),
        }
        if judge == Judge::EmptyStep {
            numbers.extend(measure_rule(&train).numbers(judge, Split::Train));
        }
    }
    Ok(numbers)
}

/// What a judge is worth at every task.
struct Measured {
    numbers: Vec<(Task, &'static str, usize, Estimate)>,
}

/// The metrics that a judge is compared with the bar by.
const COMPARED: [(Task, &str, &str); 4] = [
    (Task::Detection, "auroc", "auroc_excess_over_length"),
    (Task::Pair, "accuracy", "accuracy_excess_over_length"),
    (Task::Step, "auroc", "auroc_excess_over_length"),
    (Task::Step, "f1", "f1_excess_over_length"),
];

impl Measured {
    fn numbers(&self, judge: Judge, split: Split) -> Vec<AuditNumber> {
        let number = |(task, metric, n, estimate): &(Task, &'static str, usize, Estimate)| AuditNumber {
            judge,
            task: *task,
            split,
            metric,
            value: estimate.value,
            interval: estimate.interval(),
            n: *n,
        };
        self.numbers.iter().map(number).collect()
    }

    fn find(&self, task: Task, metric: &str) -> Option<(usize, &Estimate)> {
        let found = self.numbers.iter().find(|(known, name, _, _)| *known == task && *name == metric);
        found.map(|(_, _, n, estimate)| (*n, estimate))
    }

    fn excess_over(&self, bar: &Measured, judge: Judge) -> Vec<AuditNumber> {
        let compare = |(task, metric, name): (Task, &'static str, &'static str)| {
            let (n, estimate) = self.find(task, metric)?;
            let excess = estimate.excess_over(bar.find(task, metric)?.1);
            let interval = excess.interval();
            Some(AuditNumber { judge, task, split: Split::Test, metric: name, value: excess.value, interval, n })
        };
        COMPARED.into_iter().filter_map(compare).collect()
    }
}

fn measure(judge: Judge, train: &Pairs<'_>, test: &Pairs<'_>, seed: u64) -> Result<Measured> {
    let [fitted, asked] = [train, test].map(|pairs| version_rows(judge, pairs));
    let versions = judge_rows(judge, Goal::Accuracy, &fitted, &asked, seed)?;
    let margins = match judge {
        // Odds of words add up, so the versions' scores differ by the score of their difference.
        Judge::Words | Judge::EmptyStep => versions.scores.clone(),
        _ => judge_rows(judge, Goal::Accuracy, &difference_rows(&fitted), &difference_rows(&asked), seed)?.scores,
    };
    let [fitted_steps, asked_steps] = [train, test].map(|pairs| step_rows(judge, pairs));
    let steps = match judge {
        _ if fitted_steps.is_empty() || asked_steps.is_empty() => None,
        Judge::Length => Some(share_of_the_code(&fitted_steps, &asked_steps)),
        _ => Some(judge_rows(judge, Goal::F1, &fitted_steps, &asked_steps, seed)?),
    };
    Ok(measured(test, (&asked, &versions), &margins, steps.as_ref().map(|steps| (asked_steps.as_slice(), steps))))
}

/// The empty-step rule on pairs of the training split, which it knows as little as those of any other.
fn measure_rule(pairs: &Pairs<'_>) -> Measured {
    let [versions, steps] = [version_rows(Judge::EmptyStep, pairs), step_rows(Judge::EmptyStep, pairs)];
    let [of_versions, of_steps] = [has_an_empty_step(&versions), has_an_empty_step(&steps)];
    measured(pairs, (&versions, &of_versions), &of_versions.scores, Some((&steps, &of_steps)))
}

/// Measures scores of versions, of what they differ in (two numbers a pair), and of steps.
fn measured(
    pairs: &Pairs<'_>,
    (versions, of_versions): (&[Row<'_>], &Scores),
    margins: &[f64],
    steps: Option<(&[Row<'_>], &Scores)>,
) -> Measured {
    let counts = &pairs.counts;
    let versions = judged(versions, of_versions);
    let judged_pairs: Vec<JudgedPair> = versions
        .as_chunks::<2>()
        .0
        .iter()
        .zip(margins.as_chunks::<2>().0)
        .map(|([vulnerable, fixed], [of_vulnerable, of_fixed])| JudgedPair {
            group: vulnerable.group,
            margin: of_vulnerable - of_fixed,
            both_right: vulnerable.is_called && !fixed.is_called,
        })
        .collect();
    let steps = steps.map(|(rows, scores)| judged(rows, scores)).unwrap_or_default();
    let mut numbers = Vec::new();
    let mut add = |task, n, metric, estimate| numbers.push((task, metric, n, estimate));
    for (task, rows) in [(Task::Detection, &versions), (Task::Step, &steps)] {
        add(task, rows.len(), "auroc", auroc(rows, counts));
        add(task, rows.len(), "accuracy", accuracy(rows, counts));
        add(task, rows.len(), "f1", f1(rows, counts));
    }
    add(Task::Pair, judged_pairs.len(), "accuracy", pair_accuracy(&judged_pairs, counts));
    add(Task::Pair, judged_pairs.len(), "both_right", both_right(&judged_pairs, counts));
    Measured { numbers }
}

fn judged(rows: &[Row<'_>], of_rows: &Scores) -> Vec<Judged> {
    let judged = rows.iter().zip(&of_rows.scores).map(|(row, score)| Judged {
        group: row.group,
        is_vulnerable: row.is_vulnerable,
        score: *score,
        is_called: *score >= of_rows.threshold,
    });
    judged.collect()
}

fn without_values(judge: Judge, test: &Pairs<'_>) -> Vec<AuditNumber> {
    let [versions, steps] = [version_rows(judge, test), step_rows(judge, test)];
    let nothing = |rows: &[Row<'_>]| Scores { scores: vec![0.0; rows.len()], threshold: 1.0 };
    let (of_versions, of_steps) = (nothing(&versions), nothing(&steps));
    let measured = measured(test, (&versions, &of_versions), &of_versions.scores, Some((&steps, &of_steps)));
    let numbers = measured.numbers(judge, Split::Test).into_iter();
    numbers.map(|number| AuditNumber { value: None, interval: None, ..number }).collect()
}
