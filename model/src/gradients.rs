//! Loss and gradients of a batch: this rank's passes, sequences of a small model side by side on the CPU's threads.

use std::collections::BTreeMap;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::backward::{GradientSink, Target};
use crate::batch::PackedBatch;
use crate::error::Result;
use crate::examples::{Example, SupervisedSteps};
use crate::qwen2::StepModel;
use crate::train_config::TrainedParameters;

/// Hidden states of a head-only stage are kept up to this many numbers (256 MB), else computed again each epoch.
const HIDDEN_CACHE_NUMBERS: usize = 64 << 20;

/// Up to this many parameters each sequence runs on its own thread with its own gradients: their matrix products are
/// too small to share among threads. Larger models run all sequences of a pass as one.
const SEPARATE_PARAMETERS: usize = 20_000_000;

/// A sequence on its own thread holds its activations apart; longer ones use all threads for themselves.
const SEPARATE_TOKENS: usize = 4096;

/// One example with what its loss needs.
pub(crate) struct Supervised {
    /// The example's index in its source.
    pub index: usize,
    pub example: Example,
    pub steps: SupervisedSteps,
}

impl Supervised {
    pub(crate) fn new(index: usize, example: Example) -> Self {
        let steps = SupervisedSteps::of(&example);
        Self { index, example, steps }
    }
}

/// What is the same for all passes of a step.
pub(crate) struct Objective {
    pub parameters: TrainedParameters,
    pub class_weights: [f64; 2],
    pub normaliser: f64,
    pub checkpointing: bool,
}

impl Objective {
    fn target<'a>(&self, labels: &'a [u8]) -> Target<'a> {
        Target { labels, class_weights: self.class_weights, normaliser: self.normaliser }
    }

    /// Computes a pass's share of the loss and hands each parameter's gradient to `sink`. The result does not depend on the number of threads.
    pub(crate) fn pass(
        &self,
        model: &StepModel,
        sequences: &[&Supervised],
        hidden: &mut HiddenCache,
        sink: &mut GradientSink,
    ) -> Result<f64> {
        let apart = runs_apart(model, sequences);
        match self.parameters {
            TrainedParameters::Head => {
                let hidden = hidden.get(model, sequences, apart)?;
                model.head_pass(&hidden, self.target(&labels_of(sequences)), sink)
            }
            TrainedParameters::All if apart => self.side_by_side(model, sequences, sink),
            TrainedParameters::All => self.together(model, sequences, sink),
        }
    }

    fn together(&self, model: &StepModel, sequences: &[&Supervised], sink: &mut GradientSink) -> Result<f64> {
        let labels = labels_of(sequences);
        model.training_pass(&packed(sequences)?, self.target(&labels), self.parameters, self.checkpointing, sink)
    }

    /// Sums in the order of sequences, whichever thread is done first.
    fn side_by_side(&self, model: &StepModel, sequences: &[&Supervised], sink: &mut GradientSink) -> Result<f64> {
        let alone = |sequence: &&Supervised| {
            let target = self.target(&sequence.steps.labels);
            model.gradients(&packed(&[*sequence])?, target, self.parameters, self.checkpointing)
        };
        let results: Vec<_> = sequences.par_iter().with_max_len(1).map(alone).collect::<Result<_>>()?;
        let mut total = 0.0;
        let mut sums: BTreeMap<String, Tensor> = BTreeMap::new();
        for (loss, gradients) in results {
            total += loss;
            for (name, gradient) in gradients {
                let sum = match sums.remove(&name) {
                    Some(before) => (before + gradient)?,
                    None => gradient,
                };
                sums.insert(name, sum);
            }
        }
        for name in model.gradient_groups(self.parameters).iter().flatten() {
            if let Some(gradient) = sums.remove(name) {
                sink(name, gradient)?;
            }
        }
        Ok(total)
    }
}

fn runs_apart(model: &StepModel, sequences: &[&Supervised]) -> bool {
    model.device().is_cpu()
        && model.parameter_count() <= SEPARATE_PARAMETERS
        && sequences.iter().all(|one| one.example.input_ids.len() <= SEPARATE_TOKENS)
}

fn labels_of(sequences: &[&Supervised]) -> Vec<u8> {
    sequences.iter().flat_map(|one| one.steps.labels.iter().copied()).collect()
}

fn packed(sequences: &[&Supervised]) -> Result<PackedBatch> {
    let mut packed = PackedBatch::new();
    for one in sequences {
        packed.push(&one.example.input_ids, &one.steps.positions)?;
    }
    Ok(packed)
}

/// Keeps what the head reads while the backbone stands still, so that only a stage's first epoch runs the backbone.
pub(crate) struct HiddenCache {
    enabled: bool,
    rows: BTreeMap<usize, Tensor>,
}

impl HiddenCache {
    /// Starts empty; the number of different supervised steps decides whether the cache may fill.
    pub(crate) fn new(model: &StepModel, supervised_steps: u64) -> Self {
        let numbers = (supervised_steps as usize).saturating_mul(model.config().hidden_size);
        Self { enabled: numbers <= HIDDEN_CACHE_NUMBERS, rows: BTreeMap::new() }
    }

    /// Returns the hidden rows `[supervised steps, hidden]` of sequences, run apart or in one pass.
    fn get(&mut self, model: &StepModel, sequences: &[&Supervised], apart: bool) -> Result<Tensor> {
        let known: Vec<&Tensor> = sequences.iter().filter_map(|one| self.rows.get(&one.index)).collect();
        if known.len() == sequences.len() {
            return Ok(Tensor::cat(&known, 0)?);
        }
        let passes: Vec<&[&Supervised]> = sequences.chunks(if apart { 1 } else { sequences.len() }).collect();
        let run = |sequences: &&[&Supervised]| model.hidden(&packed(sequences)?);
        let hidden: Vec<Tensor> = passes.par_iter().with_max_len(1).map(run).collect::<Result<_>>()?;
        let hidden = Tensor::cat(&hidden, 0)?;
        if self.enabled {
            let mut before = 0;
            for one in sequences {
                let count = one.steps.positions.len();
                // A copy: a view would keep the whole batch alive.
                self.rows.insert(one.index, hidden.narrow(0, before, count)?.copy()?);
                before += count;
            }
        }
        Ok(hidden)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Qwen2Config;

    fn sequence(index: usize, tokens: u32) -> Supervised {
        let example = Example {
            key: index.to_string(),
            input_ids: (0..tokens).map(|i| (i * 7 + tokens) % 300).collect(),
            step_positions: vec![2, tokens - 1],
            step_labels: vec![0, 1],
            step_supervised: vec![true, true],
        };
        Supervised::new(index, example)
    }

    #[test]
    fn a_cached_hidden_state_equals_a_fresh_one() {
        let model = StepModel::random(Qwen2Config::small(300), 2).unwrap();
        let (first, second) = (sequence(0, 20), sequence(1, 31));
        let mut cache = HiddenCache::new(&model, 4);
        let fresh = cache.get(&model, &[&first, &second], true).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(cache.rows.len(), 2);
        assert_eq!(cache.get(&model, &[&first, &second], true).unwrap().to_vec2::<f32>().unwrap(), fresh);
        let other = cache.get(&model, &[&second, &first], true).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((&other[0], &other[2]), (&fresh[2], &fresh[0]));
    }

    #[test]
    fn gradients_of_sequences_side_by_side_equal_those_of_one_pass() {
        let model = StepModel::random(Qwen2Config::small(300), 2).unwrap();
        let batch = [sequence(0, 20), sequence(1, 70), sequence(2, 9)];
        let batch: Vec<&Supervised> = batch.iter().collect();
        let objective = Objective {
            parameters: TrainedParameters::All,
            class_weights: [1.0, 2.0],
            normaliser: 9.0,
            checkpointing: false,
        };
        let collect = |apart: bool| {
            let mut gradients = Vec::new();
            let mut sink = |name: &str, gradient: Tensor| {
                gradients.push((name.to_owned(), gradient));
                Ok(())
            };
            let loss = match apart {
                true => objective.side_by_side(&model, &batch, &mut sink).unwrap(),
                false => objective.together(&model, &batch, &mut sink).unwrap(),
            };
            (loss, gradients)
        };
        let ((split_loss, split), (loss, whole)) = (collect(true), collect(false));
        assert!((split_loss - loss).abs() < 1e-6);
        for ((name, gradient), (other, found)) in whole.iter().zip(&split) {
            assert_eq!(name, other);
            let difference = (gradient - found).unwrap().abs().unwrap().flatten_all().unwrap();
            let largest = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            let difference = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(difference <= 2e-5 * largest, "{name}: {difference} of {largest}");
        }
    }
}
