//! Training: stages over examples in an order that is a function of (seed, epoch, keys, repeats) alone.

use std::ops::ControlFlow;

use crate::error::{ModelError, Result};
use crate::examples::{ExampleSource, StepCounts, SupervisedSteps, require_unique};
use crate::gradients::{BatchGradients, HiddenCache, Supervised, batch_gradients};
use crate::loss::class_weights;
use crate::optimizer::{AdamW, clip_by_global_norm};
use crate::order::epoch_order;
use crate::qwen2::StepModel;
use crate::train_config::{TrainConfig, TrainStage, TrainedParameters};

/// Reports one optimiser step.
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
    /// Whether loss or gradient was not finite, so that no update was made.
    pub skipped: bool,
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

/// Trains a model in place and reports each step to `observer`, which may end the run.
///
/// With the same examples (in any order), repeats, configuration, start and number of threads, the weights come out bit by bit
/// the same.
///
/// # Errors
/// No supervised step at all, keys that repeat, examples that do not fit the model, or more skipped steps than allowed.
pub fn train<S: ExampleSource + ?Sized>(
    model: &StepModel,
    source: &S,
    config: &TrainConfig,
    observer: &mut dyn FnMut(&StepMetrics) -> ControlFlow<()>,
) -> Result<TrainSummary> {
    config.validate()?;
    require_unique(&source.keys())?;
    let counts = StepCounts::of(source)?;
    let label_counts = counts.mixed;
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
    let mut run = Run {
        model,
        source,
        config,
        epoch_len: epoch_len(source),
        different_steps: counts.different,
        summary: TrainSummary {
            steps: 0,
            skipped_steps: 0,
            tokens: 0,
            label_counts,
            class_weights: config.class_weights.unwrap_or_else(|| class_weights(label_counts)),
            first_loss: None,
            last_epoch_loss: None,
            stopped_early: false,
            warnings,
        },
    };
    let mut epochs_before = 0;
    for stage in &config.stages {
        if run.stage(stage, epochs_before, observer)?.is_break() {
            run.summary.stopped_early = true;
            break;
        }
        epochs_before += stage.epochs;
    }
    Ok(run.summary)
}

fn epoch_len<S: ExampleSource + ?Sized>(source: &S) -> u64 {
    (0..source.keys().len()).map(|index| u64::from(source.repeats(index))).sum()
}

struct Run<'a, S: ?Sized> {
    model: &'a StepModel,
    source: &'a S,
    config: &'a TrainConfig,
    /// Examples of an epoch, repeats counted.
    epoch_len: u64,
    /// Supervised steps, repeats not counted.
    different_steps: u64,
    summary: TrainSummary,
}

impl<S: ExampleSource + ?Sized> Run<'_, S> {
    fn stage(
        &mut self,
        stage: &TrainStage,
        epochs_before: u64,
        observer: &mut dyn FnMut(&StepMetrics) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let planned = self.config.steps_of(stage, self.epoch_len);
        let mut optimizer = AdamW::new(self.config.optimizer());
        let mut hidden = HiddenCache::new(self.model, self.different_steps);
        let mut step_in_stage = 0;
        for epoch in 0..stage.epochs {
            let mut losses = Vec::new();
            let order = epoch_order(self.config.seed, epochs_before + epoch, self.source);
            for indices in order.chunks(self.config.batch_size) {
                if step_in_stage == planned {
                    return Ok(ControlFlow::Continue(()));
                }
                let factor = stage.schedule.factor(step_in_stage, planned, stage.warmup_steps);
                step_in_stage += 1;
                let Some(mut batch) = self.batch(indices, stage.parameters, &mut hidden)? else {
                    continue;
                };
                let grad_norm = clip_by_global_norm(&mut batch.gradients, self.config.max_grad_norm)?;
                let skipped = !(batch.loss.is_finite() && grad_norm.is_finite());
                let learning_rate = stage.learning_rate * factor;
                if skipped {
                    self.count_skipped(&stage.name)?;
                } else {
                    optimizer.step(self.model.parameters(), &batch.gradients, learning_rate)?;
                    losses.push(batch.loss);
                    self.summary.last_epoch_loss = Some(losses.iter().sum::<f64>() / losses.len() as f64);
                }
                let metrics = StepMetrics {
                    stage: stage.name.clone(),
                    step: self.summary.steps,
                    epoch,
                    loss: batch.loss,
                    learning_rate,
                    grad_norm,
                    tokens: batch.tokens,
                    supervised_steps: batch.supervised_steps,
                    skipped,
                };
                self.summary.steps += 1;
                self.summary.tokens += batch.tokens;
                self.summary.first_loss.get_or_insert(batch.loss);
                if observer(&metrics).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn count_skipped(&mut self, stage: &str) -> Result<()> {
        self.summary.skipped_steps += 1;
        if self.summary.skipped_steps > self.config.max_skipped_steps {
            let reason = format!(
                "loss or gradient was not finite in {} steps, last in stage {stage}: lower its learning_rate",
                self.summary.skipped_steps
            );
            return Err(ModelError::Numeric(reason));
        }
        Ok(())
    }

    /// Loss and gradients of one batch; `None` where no step of it is supervised.
    fn batch(
        &self,
        indices: &[usize],
        parameters: TrainedParameters,
        hidden: &mut HiddenCache,
    ) -> Result<Option<BatchGradients>> {
        let mut batch = Vec::with_capacity(indices.len());
        for index in indices {
            let example = self.source.example(*index)?;
            let steps = SupervisedSteps::of(&example);
            if !steps.labels.is_empty() {
                batch.push(Supervised { index: *index, example, steps });
            }
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let (weights, part_tokens) = (self.summary.class_weights, self.config.micro_batch_tokens);
        batch_gradients(self.model, &batch, parameters, weights, part_tokens, hidden).map(Some)
    }
}

#[cfg(test)]
#[path = "train_tests.rs"]
mod tests;
