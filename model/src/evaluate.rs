//! What a model does on held-out examples while it is being trained.

use crate::collective::Collective;
use crate::error::Result;
use crate::examples::{Example, ExampleSource, SupervisedSteps};
use crate::qwen2::StepModel;
use crate::score::score_sequences;

/// Examples that are scored at a time.
const AT_ONCE: usize = 32;

/// Loss and detection over the supervised steps of held-out examples; positive is vulnerable.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evaluation {
    /// The loss of training (equation 3), with training's class weights, normalised over all steps.
    pub loss: f64,
    /// Share of steps called right.
    pub accuracy: f64,
    /// Share of steps called vulnerable that are; `None` where none was called so.
    pub precision: Option<f64>,
    /// Share of vulnerable steps called so; `None` where there is none.
    pub recall: Option<f64>,
    /// Harmonic mean of both; `None` where there is neither a vulnerable step nor one called so.
    pub f1: Option<f64>,
    /// Supervised steps.
    pub steps: u64,
}

/// Scores every supervised step, each rank a share of the examples; `step` is where training stands, for whoever watches over the ranks.
///
/// # Errors
/// An example can't be read or scored, or a rank is gone.
pub fn evaluate(
    model: &StepModel,
    source: &dyn ExampleSource,
    class_weights: [f64; 2],
    collective: &dyn Collective,
    step: u64,
) -> Result<Evaluation> {
    let supervised = (0..source.listed().len()).filter(|index| source.listed()[*index].supervised != [0, 0]);
    let own = supervised.skip(collective.rank()).step_by(collective.ranks()).collect();
    let mut sums = Sums::default();
    let mut reading = source.read(own);
    loop {
        collective.progress(step, "evaluation");
        let some: Vec<Example> = reading.by_ref().take(AT_ONCE).collect::<Result<_>>()?;
        if some.is_empty() {
            break;
        }
        let steps: Vec<SupervisedSteps> = some.iter().map(SupervisedSteps::of).collect();
        let sequences: Vec<(&[u32], &[u32])> = some
            .iter()
            .zip(&steps)
            .map(|(one, steps)| (one.input_ids.as_slice(), steps.positions.as_slice()))
            .collect();
        for (scores, steps) in score_sequences(model, &sequences)?.iter().zip(&steps) {
            for (score, label) in scores.iter().zip(&steps.labels) {
                sums.add(score.p_secure, *label != 0, class_weights);
            }
        }
    }
    collective.sum(&mut sums.0)?;
    Ok(sums.evaluation())
}

/// Weighted loss, weights, and steps by (secure, called secure): 00, 01, 10, 11.
#[derive(Default)]
struct Sums([f64; 6]);

impl Sums {
    fn add(&mut self, p_secure: f64, is_secure: bool, class_weights: [f64; 2]) {
        let weight = class_weights[usize::from(is_secure)];
        let p_label = if is_secure { p_secure } else { 1.0 - p_secure };
        // f32 logits saturate near here: an infinite loss would say no more.
        self.0[0] -= weight * p_label.max(1e-30).ln();
        self.0[1] += weight;
        let is_called_secure = p_secure >= 0.5;
        self.0[2 + 2 * usize::from(is_secure) + usize::from(is_called_secure)] += 1.0;
    }

    fn evaluation(&self) -> Evaluation {
        let [loss, weight, hits, misses, alarms, quiet] = self.0;
        let ratio = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let steps = hits + misses + alarms + quiet;
        Evaluation {
            loss: ratio(loss, weight).unwrap_or(0.0),
            accuracy: ratio(hits + quiet, steps).unwrap_or(0.0),
            precision: ratio(hits, hits + alarms),
            recall: ratio(hits, hits + misses),
            f1: ratio(2.0 * hits, 2.0 * hits + misses + alarms),
            steps: steps as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::collective::OneRank;
    use crate::collective::threads::with_ranks;
    use crate::config::Qwen2Config;
    use crate::examples::MixedExamples;
    use crate::loss::{weight_sum, weighted_cross_entropy};

    #[test]
    fn precision_and_recall_are_of_vulnerable_steps() {
        let mut sums = Sums::default();
        for (p_secure, is_secure) in [(0.1, false), (0.2, false), (0.9, false), (0.3, true), (0.8, true)] {
            sums.add(p_secure, is_secure, [1.0, 1.0]);
        }
        let found = sums.evaluation();
        assert_eq!((found.accuracy, found.steps), (0.6, 5));
        assert_eq!((found.precision, found.recall), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        assert!((found.f1.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(Sums::default().evaluation().f1, None);
    }

    #[test]
    fn ranks_together_find_the_loss_that_training_computes() {
        let model = StepModel::random(Qwen2Config { initializer_range: 0.3, ..Qwen2Config::small(300) }, 5).unwrap();
        let examples: Vec<Example> = (0..7u32)
            .map(|n| Example {
                key: n.to_string(),
                input_ids: (0..20 + n).map(|at| (at * 31 + n) % 300).collect(),
                step_positions: vec![4, 19],
                step_labels: vec![(n % 2) as u8, 1],
                step_supervised: vec![true, n != 3],
            })
            .collect();
        let weights = [1.7, 0.6];
        let (mut sum, mut normaliser) = (0.0, 0.0);
        for example in &examples {
            let steps = SupervisedSteps::of(example);
            let logits = model.forward(&example.input_ids, &steps.positions).unwrap();
            sum += f64::from(
                weighted_cross_entropy(&logits, &steps.labels, weights, 1.0).unwrap().to_scalar::<f32>().unwrap(),
            );
            normaliser += weight_sum(&steps.labels, weights);
        }
        let source = MixedExamples::once(examples).unwrap();
        let alone = evaluate(&model, &source, weights, &OneRank, 0).unwrap();
        assert!((alone.loss - sum / normaliser).abs() < 1e-5, "{alone:?} and {}", sum / normaliser);
        assert_eq!(alone.steps, 13);
        for found in with_ranks(3, |rank| evaluate(&model, &source, weights, rank, 0).unwrap()) {
            assert!((found.loss - alone.loss).abs() < 1e-12);
            assert_eq!((found.accuracy, found.steps), (alone.accuracy, alone.steps));
        }
    }
}
