//! Loss and gradients of one batch: sequences side by side on the CPU's threads, sums in the batch's order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::Tensor;
use rayon::prelude::*;

use crate::batch::PackedBatch;
use crate::error::{ModelError, Result};
use crate::examples::{Example, SupervisedSteps};
use crate::loss::{weight_sum, weighted_cross_entropy};
use crate::qwen2::StepModel;
use crate::train_config::TrainedParameters;

/// Hidden states of a head-only stage are kept up to this many numbers (256 MB), else computed again each epoch.
const HIDDEN_CACHE_NUMBERS: usize = 64 << 20;

/// Up to this many parameters each sequence runs on its own thread with its own gradients: their matrix products are
/// too small to share among threads. Larger models run all sequences of a part as one.
const SEPARATE_PARAMETERS: usize = 20_000_000;

/// One example with what its loss needs.
pub(crate) struct Supervised<'a> {
    /// The example's index in its source.
    pub index: usize,
    pub example: Cow<'a, Example>,
    pub steps: SupervisedSteps,
}

/// Loss, gradients by name and counts of one batch.
#[derive(Default)]
pub(crate) struct BatchGradients {
    pub loss: f64,
    pub gradients: BTreeMap<String, Tensor>,
    pub tokens: u64,
    pub supervised_steps: u64,
}

impl BatchGradients {
    fn add(&mut self, loss: f64, gradients: BTreeMap<String, Tensor>) -> Result<()> {
        self.loss += loss;
        for (name, gradient) in gradients {
            let total = match self.gradients.remove(&name) {
                Some(before) => (before + gradient)?,
                None => gradient,
            };
            self.gradients.insert(name, total);
        }
        Ok(())
    }
}

/// Computes loss and gradients of a batch in parts of at most `part_tokens` tokens (or one sequence) at a time.
///
/// The result does not depend on the number of threads.
pub(crate) fn batch_gradients(
    model: &StepModel,
    batch: &[Supervised],
    parameters: TrainedParameters,
    class_weights: [f64; 2],
    part_tokens: usize,
    hidden: &mut HiddenCache,
) -> Result<BatchGradients> {
    let normaliser = batch.iter().map(|one| weight_sum(&one.steps.labels, class_weights)).sum();
    let separate = model.device().is_cpu() && model.parameter_count() <= SEPARATE_PARAMETERS;
    let mut total = BatchGradients::default();
    let mut rest = batch;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(part_size(rest, part_tokens));
        rest = after;
        let together = if separate { 1 } else { part.len() };
        let passes: Vec<&[Supervised]> = part.chunks(together).collect();
        let results: Vec<(f64, BTreeMap<String, Tensor>)> = match parameters {
            TrainedParameters::All => {
                let pass = |sequences: &&[Supervised]| {
                    let logits = model.forward_batch(&packed(sequences)?, Some(parameters))?;
                    backward(model, &logits, sequences, parameters, class_weights, normaliser)
                };
                passes.par_iter().with_max_len(1).map(pass).collect::<Result<_>>()?
            }
            TrainedParameters::Head => {
                let logits = model.head(&hidden.get(model, part, together)?)?;
                vec![backward(model, &logits, part, parameters, class_weights, normaliser)?]
            }
        };
        for (loss, gradients) in results {
            total.add(loss, gradients)?;
        }
        for one in part {
            total.tokens += one.example.input_ids.len() as u64;
            total.supervised_steps += one.steps.labels.len() as u64;
        }
    }
    Ok(total)
}

/// How many of the next sequences run at a time: at least one.
fn part_size(sequences: &[Supervised], part_tokens: usize) -> usize {
    let mut tokens = 0;
    let fits = sequences.iter().take_while(|one| {
        tokens += one.example.input_ids.len();
        tokens <= part_tokens
    });
    fits.count().max(1)
}

fn packed(sequences: &[Supervised]) -> Result<PackedBatch> {
    let mut packed = PackedBatch::new();
    for one in sequences {
        packed.push(&one.example.input_ids, &one.steps.positions)?;
    }
    Ok(packed)
}

fn backward(
    model: &StepModel,
    logits: &Tensor,
    sequences: &[Supervised],
    parameters: TrainedParameters,
    class_weights: [f64; 2],
    normaliser: f64,
) -> Result<(f64, BTreeMap<String, Tensor>)> {
    let labels: Vec<u8> = sequences.iter().flat_map(|one| one.steps.labels.iter().copied()).collect();
    let loss = weighted_cross_entropy(logits, &labels, class_weights, normaliser)?;
    let mut store = loss.backward()?;
    let mut gradients = BTreeMap::new();
    for (name, parameter) in model.parameters() {
        if parameters.includes(name) {
            let gradient = store.remove(parameter.as_tensor());
            let gradient = gradient.ok_or_else(|| ModelError::Numeric(format!("{name} received no gradient")))?;
            gradients.insert(name.clone(), gradient.detach());
        }
    }
    Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
}

/// Keeps what the head reads while the backbone stands still, so that only a stage's first epoch runs the backbone.
pub(crate) struct HiddenCache {
    enabled: bool,
    rows: BTreeMap<usize, Tensor>,
}

impl HiddenCache {
    /// Starts empty; the number of different `supervised_steps` decides whether the cache may fill.
    pub(crate) fn new(model: &StepModel, supervised_steps: u64) -> Self {
        let numbers = (supervised_steps as usize).saturating_mul(model.config().hidden_size);
        Self { enabled: numbers <= HIDDEN_CACHE_NUMBERS, rows: BTreeMap::new() }
    }

    /// Returns the hidden rows `[supervised steps, hidden]` of sequences, of which `together` run in one pass.
    fn get(&mut self, model: &StepModel, sequences: &[Supervised], together: usize) -> Result<Tensor> {
        let known: Vec<&Tensor> = sequences.iter().filter_map(|one| self.rows.get(&one.index)).collect();
        if known.len() == sequences.len() {
            return Ok(Tensor::cat(&known, 0)?);
        }
        let passes: Vec<&[Supervised]> = sequences.chunks(together).collect();
        let run = |sequences: &&[Supervised]| model.hidden(&packed(sequences)?);
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

    fn sequence(index: usize, tokens: u32) -> Supervised<'static> {
        let example = Example {
            key: index.to_string(),
            input_ids: (0..tokens).map(|i| (i * 7 + tokens) % 300).collect(),
            step_positions: vec![2, tokens - 1],
            step_labels: vec![0, 1],
            step_supervised: vec![true, true],
        };
        let steps = SupervisedSteps::of(&example);
        Supervised { index, example: Cow::Owned(example), steps }
    }

    #[test]
    fn a_cached_hidden_state_equals_a_fresh_one() {
        let model = StepModel::random(Qwen2Config::small(300), 2).unwrap();
        let batch = [sequence(0, 20), sequence(1, 31)];
        let mut cache = HiddenCache::new(&model, 4);
        let fresh = cache.get(&model, &batch, 1).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(cache.rows.len(), 2);
        assert_eq!(cache.get(&model, &batch, 1).unwrap().to_vec2::<f32>().unwrap(), fresh);
        let reversed = [sequence(1, 31), sequence(0, 20)];
        let other = cache.get(&model, &reversed, 1).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!((&other[0], &other[2]), (&fresh[2], &fresh[0]));
    }

    #[test]
    fn gradients_of_sequences_side_by_side_equal_those_of_one_pass() {
        let model = StepModel::random(Qwen2Config::small(300), 2).unwrap();
        let batch = [sequence(0, 20), sequence(1, 70), sequence(2, 9)];
        let mut cache = HiddenCache::new(&model, 6);
        let all = TrainedParameters::All;
        let split = batch_gradients(&model, &batch, all, [1.0, 2.0], 1000, &mut cache).unwrap();
        let logits = model.forward_batch(&packed(&batch).unwrap(), Some(all)).unwrap();
        let (loss, whole) = backward(&model, &logits, &batch, all, [1.0, 2.0], 9.0).unwrap();
        assert!((split.loss - loss).abs() < 1e-6);
        for (name, gradient) in &whole {
            let difference = (gradient - &split.gradients[name]).unwrap().abs().unwrap().flatten_all().unwrap();
            let largest = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            let difference = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
            assert!(difference <= 2e-5 * largest, "{name}: {difference} of {largest}");
        }
    }
}
