//! What must hold before a long run is worth starting: found out in three optimiser steps. The model is not of use afterwards.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use candle_core::Tensor;

use crate::backward::Target;
use crate::batch::PackedBatch;
use crate::error::Result;
use crate::examples::{Example, SupervisedSteps, supervised_steps};
use crate::loss::{class_weights, weight_sum};
use crate::optimizer_state::{SavedOptimizer, write_optimizer};
use crate::order::epoch_order;
use crate::train::{Cadence, Snapshot, StepMetrics, TrainObserver, Training};
use crate::train_config::{TrainConfig, TrainStage, TrainedParameters};
use crate::train_state::TrainState;

/// The first loss may lie this far above the prior's entropy: a batch is not the whole data.
const LOSS_MARGIN: f64 = 0.2;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfCheck {
    /// What must hold.
    pub name: &'static str,
    /// Whether it does.
    pub passed: bool,
    /// What was found.
    pub detail: String,
}

/// Looks at gradients, encoded positions, the first loss, and whether a run that stops and goes on ends where one ends that does not stop.
///
/// # Errors
/// What training itself refuses, see [`Training::run`].
pub fn self_check(training: &Training) -> Result<Vec<SelfCheck>> {
    let examples = first_examples(training)?;
    let weights =
        training.config.class_weights.unwrap_or_else(|| class_weights(supervised_steps(training.source.listed())));
    let (gradients, loss) = gradients(training, &examples, weights)?;
    Ok(vec![gradients, positions(&examples), first_loss(training, loss, weights), resume(training)?])
}

/// The first examples of the first epoch, as many as one pass holds.
fn first_examples(training: &Training) -> Result<Vec<Example>> {
    let listed = training.source.listed();
    let mut order = epoch_order(training.config.seed, 0, listed);
    order.retain(|index| listed[*index].supervised != [0, 0]);
    order.truncate(training.config.batch_size);
    let mut tokens = 0;
    let mut examples = Vec::new();
    for example in training.source.read(order) {
        let example = example?;
        tokens += example.input_ids.len();
        if !examples.is_empty() && tokens > training.config.micro_batch_tokens {
            break;
        }
        examples.push(example);
    }
    Ok(examples)
}

fn gradients(training: &Training, examples: &[Example], class_weights: [f64; 2]) -> Result<(SelfCheck, f64)> {
    let (mut batch, mut labels) = (PackedBatch::new(), Vec::new());
    for example in examples {
        let steps = SupervisedSteps::of(example);
        batch.push(&example.input_ids, &steps.positions)?;
        labels.extend(steps.labels);
    }
    let normaliser = weight_sum(&labels, class_weights);
    let target = Target { labels: &labels, class_weights, normaliser };
    let mut norms: BTreeMap<String, f64> = BTreeMap::new();
    let mut sink = |name: &str, gradient: Tensor| {
        let sum = gradient.to_dtype(candle_core::DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()?;
        norms.insert(name.to_owned(), f64::from(sum).sqrt());
        Ok(())
    };
    let checkpointing = training.config.gradient_checkpointing;
    let loss = training.model.training_pass(&batch, target, TrainedParameters::All, checkpointing, &mut sink)?;
    let without: Vec<&String> = training
        .model
        .parameters()
        .keys()
        .filter(|name| !norms.get(*name).is_some_and(|norm| norm.is_finite()))
        .collect();
    // A bias may be without influence on a batch, a matrix may not.
    let idle: Vec<&String> =
        norms.iter().filter(|(name, norm)| **norm == 0.0 && !name.ends_with(".bias")).map(|(name, _)| name).collect();
    let detail = match (without.as_slice(), idle.as_slice()) {
        ([], []) => format!("{} parameters", norms.len()),
        ([], [first, ..]) => format!("{} of {} are 0, {first} among them", idle.len(), norms.len()),
        ([first, ..], _) => {
            format!("{} of {} are missing or not finite, {first} among them", without.len(), norms.len())
        }
    };
    let passed = without.is_empty() && idle.is_empty();
    Ok((SelfCheck { name: "every parameter gets a finite gradient", passed, detail }, loss))
}

fn positions(examples: &[Example]) -> SelfCheck {
    let steps: usize = examples.iter().map(|example| example.step_positions.len()).sum();
    let fits = |example: &&Example| example.validate().is_ok();
    let mut separators: Vec<u32> = examples
        .iter()
        .filter(fits)
        .flat_map(|example| example.step_positions.iter().map(|position| example.input_ids[*position as usize]))
        .collect();
    let read = separators.len();
    separators.sort_unstable();
    separators.dedup();
    SelfCheck {
        name: "every step has one position, at the separator",
        passed: read == steps && separators.len() == 1,
        detail: format!("{read} positions for {steps} steps, token {separators:?}"),
    }
}

fn first_loss(training: &Training, loss: f64, weights: [f64; 2]) -> SelfCheck {
    let counts = supervised_steps(training.source.listed());
    let weighted = [0, 1].map(|class| counts[class] as f64 * weights[class]);
    let total: f64 = weighted.iter().sum();
    let entropy: f64 = weighted.iter().filter(|w| **w > 0.0).map(|w| -w / total * (w / total).ln()).sum();
    SelfCheck {
        name: "the first loss is not above the prior's entropy",
        passed: loss.is_finite() && loss <= entropy + LOSS_MARGIN,
        detail: format!("{loss:.4}, entropy {entropy:.4}"),
    }
}

/// Trains a step, notes everything, trains another one; goes back and trains it again.
fn resume(training: &Training) -> Result<SelfCheck> {
    let last = training.config.stages.last().cloned().into_iter().map(|stage| TrainStage {
        parameters: TrainedParameters::All,
        epochs: stage.epochs.max(2),
        max_steps: Some(2),
        ..stage
    });
    let config = TrainConfig { stages: last.collect(), ..training.config.clone() };
    let run = Training { config: &config, held_out: None, ..*training };
    let run = Training { cadence: Cadence { checkpoint_every: Some(1), evaluate_every: None }, ..run };
    let mut first = Noted { weights: BTreeMap::new(), after_one: None };
    run.run(None, &mut first)?;
    let through = bits(training)?;
    let Some((state, optimizer)) = first.after_one else {
        let detail = "the data is too small for two steps".to_owned();
        return Ok(SelfCheck { name: "a run that stops goes on exactly", passed: true, detail });
    };
    for (name, weight) in &first.weights {
        training.model.parameters()[name].set(weight)?;
    }
    // Each rank needs what it owns, which its own file holds.
    let saved = SavedOptimizer::new(vec![("optimizer".to_owned(), optimizer)]);
    run.run(Some((state, saved)), &mut |_: &StepMetrics| ControlFlow::Continue(()))?;
    let again = bits(training)?;
    let differing = through.iter().zip(&again).filter(|(left, right)| left != right).count();
    Ok(SelfCheck {
        name: "a run that stops goes on exactly",
        passed: differing == 0,
        detail: format!("{differing} of {} numbers differ", through.len()),
    })
}

fn bits(training: &Training) -> Result<Vec<u32>> {
    let mut bits = Vec::with_capacity(training.model.parameter_count());
    for parameter in training.model.parameters().values() {
        let numbers = parameter.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        bits.extend(numbers.into_iter().map(f32::to_bits));
    }
    Ok(bits)
}

/// Remembers everything after the first step.
struct Noted {
    weights: BTreeMap<String, Tensor>,
    after_one: Option<(TrainState, Vec<u8>)>,
}

impl TrainObserver for Noted {
    fn step(&mut self, _: &StepMetrics) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn checkpoint(&mut self, snapshot: Snapshot) -> Result<()> {
        if snapshot.state.steps == 1 {
            for (name, parameter) in snapshot.model.parameters() {
                self.weights.insert(name.clone(), parameter.as_tensor().copy()?);
            }
            self.after_one = Some((snapshot.state.clone(), write_optimizer(snapshot.optimizer)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::collective::threads::with_ranks;
    use crate::config::Qwen2Config;
    use crate::examples::{ExampleSource, MixedExamples};
    use crate::qwen2::StepModel;

    fn source() -> MixedExamples {
        let example = |n: u32| Example {
            key: n.to_string(),
            input_ids: (0..20).map(|at| if at % 5 == 4 { 2 } else { 10 + (at * n) % 50 }).collect(),
            step_positions: vec![4, 9, 14],
            step_labels: vec![1, (n % 2) as u8, 1],
            step_supervised: vec![true; 3],
        };
        MixedExamples::once((1..9).map(example)).unwrap()
    }

    fn model() -> StepModel {
        StepModel::random(Qwen2Config::small(64), 1).unwrap()
    }

    #[test]
    fn a_sound_run_passes_on_one_rank_and_on_several() {
        let (source, config) = (source(), TrainConfig::small());
        for checks in with_ranks(2, |rank| {
            let model = model();
            self_check(&Training { collective: rank, ..Training::alone(&model, &source, &config) }).unwrap()
        }) {
            assert_eq!(checks.len(), 4);
            assert!(checks.iter().all(|check| check.passed), "{checks:?}");
        }
    }

    #[test]
    fn a_dead_parameter_a_wrong_position_and_a_bad_start_are_found() {
        let config = TrainConfig::small();
        let model = model();
        let up = &model.parameters()["model.layers.0.mlp.up_proj.weight"];
        up.set(&up.zeros_like().unwrap()).unwrap();
        let bias = &model.parameters()["score.bias"];
        bias.set(&Tensor::new(&[30f32, 0.0], model.device()).unwrap()).unwrap();
        let sound = source();
        let mut examples: Vec<Example> = sound.read(vec![0, 1]).map(|one| one.unwrap()).collect();
        examples[0].step_positions[1] = 8;
        let source = MixedExamples::once(examples).unwrap();
        let checks = self_check(&Training::alone(&model, &source, &config)).unwrap();
        assert_eq!(
            checks.iter().map(|check| check.passed).collect::<Vec<_>>(),
            [false, false, false, true],
            "{checks:?}"
        );
        assert!(checks[0].detail.contains("down_proj"), "{checks:?}");
    }
}
