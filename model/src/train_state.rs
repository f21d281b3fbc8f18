//! Where a run of training stands: a plain value, from which it goes on exactly.

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::train::TrainSummary;
use crate::train_config::TrainConfig;

/// The position in stages, epochs and batches, and what the summary counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Index of the stage.
    pub stage: usize,
    /// Epoch within the stage.
    pub epoch: u64,
    /// Batches of the epoch that are done.
    pub batch: u64,
    /// Batches of the stage that are done.
    pub step_in_stage: u64,
    /// Optimiser steps of all stages, skipped ones included.
    pub steps: u64,
    /// Steps left out because their numbers were not finite.
    pub skipped_steps: u64,
    /// Tokens seen.
    pub tokens: u64,
    /// The first step's loss.
    #[serde(with = "crate::exact")]
    pub first_loss: Option<f64>,
    /// The sum of the epoch's finite losses.
    #[serde(with = "crate::exact")]
    pub epoch_loss_sum: Option<f64>,
    /// How many they are.
    pub epoch_losses: u64,
    /// The mean loss of the last epoch that had a finite one.
    #[serde(with = "crate::exact")]
    pub last_epoch_loss: Option<f64>,
}

impl TrainState {
    /// Checks that a state belongs to a configuration.
    pub(crate) fn require_fits(&self, config: &TrainConfig) -> Result<()> {
        let fits = match config.stages.get(self.stage) {
            Some(stage) => self.epoch <= stage.epochs,
            None => self.stage == config.stages.len(),
        };
        if fits {
            return Ok(());
        }
        let (stage, epoch) = (self.stage, self.epoch);
        Err(ModelError::Checkpoint(format!(
            "it stands in stage {stage}, epoch {epoch}, which the settings do not have"
        )))
    }

    pub(crate) fn next_stage(&mut self) {
        (self.stage, self.epoch, self.batch, self.step_in_stage) = (self.stage + 1, 0, 0, 0);
        (self.epoch_loss_sum, self.epoch_losses) = (None, 0);
    }

    pub(crate) fn next_epoch(&mut self) {
        (self.epoch, self.batch) = (self.epoch + 1, 0);
        (self.epoch_loss_sum, self.epoch_losses) = (None, 0);
    }

    pub(crate) fn count_skipped(&mut self, most: u64, stage: &str) -> Result<()> {
        self.skipped_steps += 1;
        if self.skipped_steps > most {
            let reason = format!(
                "loss or gradient was not finite in {} steps, last in stage {stage}: lower its learning_rate",
                self.skipped_steps
            );
            return Err(ModelError::Numeric(reason));
        }
        Ok(())
    }

    pub(crate) fn count_loss(&mut self, loss: f64) {
        let sum = self.epoch_loss_sum.unwrap_or(0.0) + loss;
        self.epoch_loss_sum = Some(sum);
        self.epoch_losses += 1;
        self.last_epoch_loss = Some(sum / self.epoch_losses as f64);
    }

    pub(crate) fn count_step(&mut self, loss: f64, tokens: u64) {
        self.steps += 1;
        self.tokens += tokens;
        self.first_loss.get_or_insert(loss);
    }

    pub(crate) fn summary(
        self,
        label_counts: [u64; 2],
        class_weights: [f64; 2],
        stopped_early: bool,
        warnings: Vec<String>,
    ) -> TrainSummary {
        TrainSummary {
            steps: self.steps,
            skipped_steps: self.skipped_steps,
            tokens: self.tokens,
            label_counts,
            class_weights,
            first_loss: self.first_loss,
            last_epoch_loss: self.last_epoch_loss,
            stopped_early,
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_state_reads_back_to_the_same_bits() {
        let mut state = TrainState { stage: 1, batch: 7, ..TrainState::default() };
        for loss in [0.1 + 0.2, 1e-310, 2f64.ln()] {
            state.count_loss(loss);
            state.count_step(loss, 10);
        }
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<TrainState>(&text).unwrap(), state);
        let state = TrainState { first_loss: Some(f64::INFINITY), ..state };
        assert_eq!(serde_json::from_str::<TrainState>(&serde_json::to_string(&state).unwrap()).unwrap(), state);
    }

    #[test]
    fn a_state_of_other_settings_is_refused() {
        let config = TrainConfig::small();
        TrainState { stage: 2, ..TrainState::default() }.require_fits(&config).unwrap();
        assert!(TrainState { stage: 3, ..TrainState::default() }.require_fits(&config).is_err());
        assert!(TrainState { stage: 0, epoch: 9, ..TrainState::default() }.require_fits(&config).is_err());
    }
}
