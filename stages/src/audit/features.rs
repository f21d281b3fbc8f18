//! What judges that see no meaning are told of a version and of a step.
//!
//! All of it is computed from shapes: covering every letter up changes nothing.

use super::judge::Judge;
use super::pair::StepShape;

/// Stands for a neighbour that is not there.
const NONE: f64 = -1.0;

/// Returns what a judge is told of a version with steps of these shapes; always as many numbers for a judge.
pub fn version_features(judge: Judge, steps: &[StepShape]) -> Vec<f64> {
    let count = steps.len() as f64;
    match judge {
        Judge::Length => vec![visible(steps)],
        Judge::StepCount => vec![count],
        Judge::EmptyStep => vec![steps.iter().filter(|step| step.is_empty()).count() as f64],
        Judge::Separators => {
            let shares: Vec<f64> = shares(steps);
            let mut features = vec![count];
            features.extend(quantiles(&shares));
            features.extend([end(shares.first()), end(shares.last())]);
            features
        }
        Judge::StepLengths => {
            let chars: Vec<f64> = steps.iter().map(|step| f64::from(step.chars)).collect();
            let mut features = vec![count, visible(steps)];
            features.extend(quantiles(&chars));
            features.extend([end(chars.first()), end(chars.last())]);
            features.push(steps.iter().filter(|step| step.is_empty()).count() as f64 / count.max(1.0));
            features
        }
        Judge::Words => Vec::new(),
    }
}

/// Returns what a judge is told of each step of a version.
pub fn step_features(judge: Judge, steps: &[StepShape]) -> Vec<Vec<f64>> {
    let count = steps.len() as f64;
    let whole = visible(steps);
    let shares = shares(steps);
    let mut before = 0.0;
    let describe = |(index, step): (usize, &StepShape)| {
        let share = shares.get(index).copied().unwrap_or(NONE);
        before += share;
        let neighbour = |offset: isize| index.checked_add_signed(offset).and_then(|at| steps.get(at));
        let neighbour_share = |offset: isize| end(index.checked_add_signed(offset).and_then(|at| shares.get(at)));
        let chars = |step: Option<&StepShape>| step.map_or(NONE, |step| f64::from(step.chars));
        match judge {
            Judge::Length => vec![f64::from(step.visible) / whole.max(1.0)],
            Judge::StepCount => vec![count, index as f64],
            Judge::EmptyStep => vec![if step.is_empty() { 1.0 } else { 0.0 }],
            Judge::Separators => {
                vec![count, index as f64, share, before, neighbour_share(-1), neighbour_share(1)]
            }
            Judge::StepLengths => vec![
                f64::from(step.chars),
                f64::from(step.lines),
                chars(neighbour(-1)),
                chars(neighbour(1)),
                count,
                index as f64,
                whole,
                before,
            ],
            Judge::Words => Vec::new(),
        }
    };
    steps.iter().enumerate().map(describe).collect()
}

/// The code's own length: white space is left out, which steps of another label mode may have more or less of.
pub fn visible(steps: &[StepShape]) -> f64 {
    steps.iter().map(|step| f64::from(step.visible)).sum()
}

/// Each step's share of the text.
fn shares(steps: &[StepShape]) -> Vec<f64> {
    let all: f64 = steps.iter().map(|step| f64::from(step.chars)).sum();
    steps.iter().map(|step| f64::from(step.chars) / all.max(1.0)).collect()
}

/// Least, quartiles and largest.
fn quantiles(values: &[f64]) -> [f64; 5] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0, 1, 2, 3, 4].map(|quarter| end(sorted.get(sorted.len().saturating_sub(1) * quarter / 4)))
}

fn end(value: Option<&f64>) -> f64 {
    value.copied().unwrap_or(NONE)
}
