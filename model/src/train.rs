//! Training: stages over examples in an order that is a function of (seed, epoch, keys, repeats) alone, on one rank or many.
//!
//! Clocks only measure here; no result depends on one.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::collective::{Collective, OneRank};
use crate::error::{ModelError, Result};
use crate::evaluate::{Evaluation, evaluate};
use crate::examples::{ExampleSource, Reading, epoch_len, require_unique, supervised_steps};
use crate::gradients::{HiddenCache, Objective, Supervised};
use crate::loss::class_weights;
use crate::optimizer::{AdamW, clip_scale, global_norm};
use crate::optimizer_state::SavedOptimizer;
use crate::order::epoch_order;
use crate::qwen2::StepModel;
use crate::share::share_batch;
use crate::train_config::{TrainConfig, TrainStage};
use crate::train_state::TrainState;
use crate::zero::{Layout, ShardedGradients};

/// Reports one optimiser step of all ranks together.
#[derive(Debug, Clone, PartialEq)]
pub struct StepMetrics {
    /// The stage's name.
    pub stage: String,
    /// Steps since the run's start, from 0, skipped ones included.
    pub step: u64,
    /// Epoch within the stage, from 0.
    pub epoch: u64,
    /// The batch's loss before the update.
    pub loss: f64,
    /// The rate of this update.
    pub learning_rate: f64,
    /// Norm of all gradients before clipping.
    pub grad_norm: f64,
    /// Tokens of the batch, prompts included.
    pub tokens: u64,
    /// Supervised steps of the batch.
    pub supervised_steps: u64,
    /// Floating-point operations that the batch needs by the model's shape, recomputation not counted.
    pub flops: u64,
    /// Whether loss or gradient was not finite, so that no update was made.
    pub skipped: bool,
    /// How long the step took on this rank.
    pub elapsed: Duration,
    /// How much of it this rank waited for examples.
    pub data_wait: Duration,
}

/// Reports a whole run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSummary {
    /// Optimiser steps, skipped ones included.
    pub steps: u64,
    /// Steps left out because their numbers were not finite.
    pub skipped_steps: u64,
    /// Tokens seen over all epochs.
    pub tokens: u64,
    /// Supervised steps per class [vulnerable, secure] in one epoch, repeats counted.
    pub label_counts: [u64; 2],
    /// The class weights used.
    pub class_weights: [f64; 2],
    /// The first step's loss; with a fresh head near ln 2.
    pub first_loss: Option<f64>,
    /// The mean loss of the last epoch, finite steps only.
    pub last_epoch_loss: Option<f64>,
    /// Whether the observer ended the run.
    pub stopped_early: bool,
    /// What the user should know, such as that only one class is present.
    pub warnings: Vec<String>,
}

/// Everything that can be saved at a step, so that a later run goes on from there.
pub struct Snapshot<'a> {
    /// Where the run stands.
    pub state: &'a TrainState,
    /// The model with its weights.
    pub model: &'a StepModel,
    /// This rank's share of the optimiser's state.
    pub optimizer: &'a AdamW,
}

/// Hears of a run's progress.
pub trait TrainObserver {
    /// Called after each step on every rank; breaking on any rank ends the run on all.
    fn step(&mut self, metrics: &StepMetrics) -> ControlFlow<()>;

    /// Called on every rank with what the model does on held-out examples.
    ///
    /// # Errors
    /// Ends the run.
    fn evaluated(&mut self, _evaluation: &Evaluation) -> Result<()> {
        Ok(())
    }

    /// Called on every rank where a checkpoint is due.
    ///
    /// # Errors
    /// Ends the run.
    fn checkpoint(&mut self, _snapshot: Snapshot) -> Result<()> {
        Ok(())
    }
}

impl<F: FnMut(&StepMetrics) -> ControlFlow<()>> TrainObserver for F {
    fn step(&mut self, metrics: &StepMetrics) -> ControlFlow<()> {
        self(metrics)
    }
}

/// When a run does more than training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cadence {
    /// A checkpoint after every so many steps.
    pub checkpoint_every: Option<u64>,
    /// An evaluation on held-out examples after every so many steps.
    pub evaluate_every: Option<u64>,
}

/// A run of training.
pub struct Training<'a> {
    /// The model that is trained in place.
    pub model: &'a StepModel,
    /// The examples.
    pub source: &'a dyn ExampleSource,
    /// Examples that the model is evaluated on, by the cadence.
    pub held_out: Option<&'a dyn ExampleSource>,
    /// The settings.
    pub config: &'a TrainConfig,
    /// When to save and to evaluate.
    pub cadence: Cadence,
    /// The ranks that train together.
    pub collective: &'a dyn Collective,
}

impl<'a> Training<'a> {
    /// Describes a run of one rank that neither saves nor evaluates on the way.
    pub fn alone(model: &'a StepModel, source: &'a dyn ExampleSource, config: &'a TrainConfig) -> Self {
        Self { model, source, held_out: None, config, cadence: Cadence::default(), collective: &OneRank }
    }

    /// Trains to the end, from the beginning or from a saved state.
    ///
    /// With the same examples (in any order), repeats, configuration and start, one rank gives the same weights bit by bit, stopped and
    /// resumed or not. More ranks see the same batches and differ by the order of sums.
    ///
    /// # Errors
    /// No supervised step at all, keys that repeat, examples that do not fit the model, more skipped steps than allowed, a state of another
    /// configuration, or what the observer and the source say.
    pub fn run(
        &self,
        from: Option<(TrainState, SavedOptimizer)>,
        observer: &mut dyn TrainObserver,
    ) -> Result<TrainSummary> {
        self.config.validate()?;
        let listed = self.source.listed();
        require_unique(listed)?;
        let label_counts = supervised_steps(listed);
        if label_counts == [0, 0] {
            let reason = "no step of any example is supervised, there is nothing to learn from";
            return Err(ModelError::Input(reason.to_owned()));
        }
        let mut warnings = Vec::new();
        for (count, class) in label_counts.iter().zip(["vulnerable (0)", "secure (1)"]) {
            if *count == 0 {
                warnings.push(format!("no supervised step is {class}: the model will call everything the other class"));
            }
        }
        let class_weights = self.config.class_weights.unwrap_or_else(|| class_weights(label_counts));
        let (state, saved) = match from {
            Some((state, saved)) => (state, Some(saved)),
            None => (TrainState::default(), None),
        };
        state.require_fits(self.config)?;
        let mut run = Run { training: self, class_weights, state, saved };
        let mut stopped_early = false;
        while let Some(stage) = self.config.stages.get(run.state.stage) {
            if run.stage(stage, observer)?.is_break() {
                stopped_early = true;
                break;
            }
            run.state.next_stage();
        }
        Ok(run.state.summary(label_counts, class_weights, stopped_early, warnings))
    }
}

struct Run<'a> {
    training: &'a Training<'a>,
    class_weights: [f64; 2],
    state: TrainState,
    /// The optimiser to go on with in the first stage.
    saved: Option<SavedOptimizer>,
}

/// What this rank does in one batch.
struct Share {
    /// Indices of all sequences of the batch that have a supervised step.
    indices: Vec<usize>,
    /// This rank's passes, indices into `indices`.
    own: Vec<Vec<usize>>,
    /// Passes of the rank that has most.
    passes: usize,
}

impl Run<'_> {
    fn stage(&mut self, stage: &TrainStage, observer: &mut dyn TrainObserver) -> Result<ControlFlow<()>> {
        let Training { model, source, config, collective, .. } = *self.training;
        let listed = source.listed();
        let planned = config.steps_of(stage, epoch_len(listed));
        let layout = Layout::new(model, stage.parameters, collective);
        let mut optimizer = AdamW::new(config.optimizer(), layout, model)?;
        if let Some(saved) = self.saved.take() {
            saved.restore(&mut optimizer)?;
        }
        let different = listed.iter().map(|one| u64::from(one.supervised[0]) + u64::from(one.supervised[1])).sum();
        let mut hidden = HiddenCache::new(model, different);
        let epochs_before: u64 = config.stages[..self.state.stage].iter().map(|stage| stage.epochs).sum();
        while self.state.epoch < stage.epochs {
            let order = epoch_order(config.seed, epochs_before + self.state.epoch, listed);
            let rest: Vec<Share> = order
                .chunks(config.batch_size)
                .skip(self.state.batch as usize)
                .map(|batch| self.share(batch))
                .collect();
            let own = rest.iter().flat_map(|share| share.own.iter().flatten().map(|at| share.indices[*at]));
            let mut reading = source.read(own.collect());
            for share in rest {
                if self.state.step_in_stage == planned {
                    return Ok(ControlFlow::Continue(()));
                }
                let factor = stage.schedule.factor(self.state.step_in_stage, planned, stage.warmup_steps);
                self.state.step_in_stage += 1;
                self.state.batch += 1;
                if share.indices.is_empty() {
                    continue;
                }
                let rate = stage.learning_rate * factor;
                let metrics = self.step(stage, rate, &share, &mut optimizer, &mut hidden, &mut reading)?;
                let stop = observer.step(&metrics);
                if self.after_step(stop, &optimizer, observer)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            self.state.next_epoch();
        }
        Ok(ControlFlow::Continue(()))
    }

    fn share(&self, batch: &[usize]) -> Share {
        let Training { source, config, collective, .. } = self.training;
        let listed = source.listed();
        let indices: Vec<usize> = batch.iter().copied().filter(|index| listed[*index].supervised != [0, 0]).collect();
        let tokens: Vec<u32> = indices.iter().map(|index| listed[*index].tokens).collect();
        let mut shares = share_batch(&tokens, collective.ranks(), config.micro_batch_tokens);
        let passes = shares.iter().map(Vec::len).max().unwrap_or(0);
        Share { indices, own: std::mem::take(&mut shares[collective.rank()]), passes }
    }

    fn step(
        &mut self,
        stage: &TrainStage,
        learning_rate: f64,
        share: &Share,
        optimizer: &mut AdamW,
        hidden: &mut HiddenCache,
        reading: &mut Reading,
    ) -> Result<StepMetrics> {
        let start = Instant::now();
        let Training { model, source, config, collective, .. } = *self.training;
        let listed: Vec<_> = share.indices.iter().map(|index| &source.listed()[*index]).collect();
        let weight = |label: usize| listed.iter().map(|one| f64::from(one.supervised[label])).sum::<f64>();
        let objective = Objective {
            parameters: stage.parameters,
            class_weights: self.class_weights,
            normaliser: weight(0) * self.class_weights[0] + weight(1) * self.class_weights[1],
            checkpointing: config.gradient_checkpointing,
        };
        let mut gradients = ShardedGradients::new(optimizer.layout(), model, collective);
        let (mut loss, mut data_wait) = ([0.0], Duration::ZERO);
        for pass in 0..share.passes {
            // A step may take longer than the watch over the ranks waits for a sign of progress.
            collective.progress(self.state.steps, &stage.name);
            let Some(own) = share.own.get(pass) else {
                gradients.take_nothing()?;
                continue;
            };
            let asked = Instant::now();
            let sequences = own.iter().map(|at| next_of(reading, share.indices[*at], source));
            let sequences: Vec<Supervised> = sequences.collect::<Result<_>>()?;
            data_wait += asked.elapsed();
            let sequences: Vec<&Supervised> = sequences.iter().collect();
            let mut sink = |name: &str, gradient| gradients.take(name, gradient);
            loss[0] += objective.pass(model, &sequences, hidden, &mut sink)?;
        }
        let gradients = gradients.finish()?;
        let grad_norm = global_norm(&gradients, collective)?;
        collective.sum(&mut loss)?;
        let loss = loss[0];
        let skipped = !(loss.is_finite() && grad_norm.is_finite());
        if skipped {
            self.state.count_skipped(config.max_skipped_steps, &stage.name)?;
        } else {
            let scale = clip_scale(grad_norm, config.max_grad_norm);
            optimizer.step(model, &gradients, scale, learning_rate, collective)?;
            self.state.count_loss(loss);
        }
        let tokens = listed.iter().map(|one| u64::from(one.tokens)).sum();
        let metrics = StepMetrics {
            stage: stage.name.clone(),
            step: self.state.steps,
            epoch: self.state.epoch,
            loss,
            learning_rate,
            grad_norm,
            tokens,
            supervised_steps: (weight(0) + weight(1)) as u64,
            flops: listed.iter().map(|one| model.config().training_flops(one.tokens.into(), stage.parameters)).sum(),
            skipped,
            elapsed: start.elapsed(),
            data_wait,
        };
        self.state.count_step(loss, tokens);
        collective.progress(self.state.steps, &stage.name);
        Ok(metrics)
    }

    /// Saves and evaluates where that is due, and finds out whether some rank wants to stop.
    fn after_step(
        &mut self,
        stop: ControlFlow<()>,
        optimizer: &AdamW,
        observer: &mut dyn TrainObserver,
    ) -> Result<ControlFlow<()>> {
        let Training { model, held_out, cadence, collective, .. } = *self.training;
        let mut stops = [f64::from(u8::from(stop.is_break()))];
        collective.sum(&mut stops)?;
        let is_stopped = stops[0] > 0.0;
        let is_due =
            |every: Option<u64>| every.is_some_and(|every| every > 0 && self.state.steps.is_multiple_of(every));
        if let Some(held_out) = held_out.filter(|_| is_due(cadence.evaluate_every)) {
            let evaluation = evaluate(model, held_out, self.class_weights, collective, self.state.steps)?;
            observer.evaluated(&evaluation)?;
        }
        if is_due(cadence.checkpoint_every) || (is_stopped && cadence.checkpoint_every.is_some()) {
            observer.checkpoint(Snapshot { state: &self.state, model, optimizer })?;
        }
        Ok(if is_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// Reads the next example, which must be the one at `index`.
fn next_of(reading: &mut Reading, index: usize, source: &dyn ExampleSource) -> Result<Supervised> {
    let listed = &source.listed()[index];
    let Some(example) = reading.next() else {
        return Err(ModelError::Input(format!("the examples ended before {}", listed.key)));
    };
    let example = example?;
    example.validate()?;
    if example.listed(listed.repeats) != *listed {
        let (found, expected) = (&example.key, &listed.key);
        return Err(ModelError::Input(format!("{found} was read where {expected} was due: the examples changed")));
    }
    Ok(Supervised::new(index, example))
}

#[cfg(test)]
#[path = "train_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "resume_tests.rs"]
mod resume_tests;
