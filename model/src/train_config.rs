//! The settings of a training run, with the paper's and a small preset.

use candle_core::DType;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::optimizer::AdamWConfig;
use crate::parameters::is_head;
use crate::schedule::Schedule;

/// Names a ready-made [`TrainConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// Table 8 of the paper: fits a pretrained backbone, teaches random weights nothing.
    Paper,
    /// Fits random weights of [`crate::Qwen2Config::small`].
    Small,
}

impl Preset {
    /// Returns the preset's settings.
    pub fn config(self) -> TrainConfig {
        match self {
            Self::Paper => TrainConfig::paper(),
            Self::Small => TrainConfig::small(),
        }
    }
}

/// Names the parameters a stage updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainedParameters {
    /// `score.weight` and `score.bias`.
    Head,
    /// Every parameter.
    All,
}

impl TrainedParameters {
    /// Tells whether a parameter is updated.
    pub fn includes(self, name: &str) -> bool {
        match self {
            Self::Head => is_head(name),
            Self::All => true,
        }
    }
}

/// Names the numbers that weights are held and multiplied in. The optimiser's own copy of them is in f32 either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of 32: what GPUs multiply fastest, and slow on CPUs.
    Bf16,
}

impl Precision {
    /// Returns it as tensors have it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// Says what one stage of training does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainStage {
    /// The stage's name in metrics.
    pub name: String,
    /// What is updated.
    pub parameters: TrainedParameters,
    /// Passes over all examples.
    pub epochs: u64,
    /// Ends the stage after this many steps, if that comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// How the rate changes after the warm-up.
    #[serde(default)]
    pub schedule: Schedule,
    /// Steps until the peak rate.
    #[serde(default)]
    pub warmup_steps: u64,
}

/// Says how a model is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Decides the order of examples.
    pub seed: u64,
    /// What weights are in.
    #[serde(default)]
    pub dtype: Precision,
    /// Sequences per optimiser step, of all ranks together.
    pub batch_size: usize,
    /// Tokens in flight at a time on a rank: a batch is accumulated in passes of whole sequences up to this size, at least one.
    pub micro_batch_tokens: usize,
    /// Keeps only each layer's input and computes the rest again in the backward: less memory, one more forward.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// Gradients are scaled down to this norm over all parameters.
    pub max_grad_norm: f64,
    /// AdamW's decoupled weight decay, on every parameter.
    pub weight_decay: f64,
    /// AdamW's decay of the first moment.
    pub beta1: f64,
    /// AdamW's decay of the second moment.
    pub beta2: f64,
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// Weights of the classes [vulnerable, secure]; counted from the labels where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<[f64; 2]>,
    /// Steps with numbers that are not finite are skipped; one more than this many ends the run with an error.
    pub max_skipped_steps: u64,
    /// The stages, in order; each starts with a fresh optimiser.
    pub stages: Vec<TrainStage>,
}

impl TrainConfig {
    /// Returns table 8 of the paper: the head for 3 epochs at 1e-4, then everything for 1 epoch at 1e-6, in bf16.
    pub fn paper() -> Self {
        Self {
            seed: 0,
            dtype: Precision::Bf16,
            batch_size: 8,
            micro_batch_tokens: 16_384,
            gradient_checkpointing: true,
            max_grad_norm: 1.0,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            class_weights: None,
            max_skipped_steps: 10,
            stages: vec![
                TrainStage {
                    name: "head".to_owned(),
                    parameters: TrainedParameters::Head,
                    epochs: 3,
                    max_steps: None,
                    learning_rate: 1e-4,
                    schedule: Schedule::Constant,
                    warmup_steps: 0,
                },
                TrainStage {
                    name: "all".to_owned(),
                    parameters: TrainedParameters::All,
                    epochs: 1,
                    max_steps: None,
                    learning_rate: 1e-6,
                    schedule: Schedule::Constant,
                    warmup_steps: 0,
                },
            ],
        }
    }

    /// Returns settings under which a small model learns from random weights in seconds on a CPU.
    pub fn small() -> Self {
        let paper = Self::paper();
        let [mut head, mut all] = [paper.stages[0].clone(), paper.stages[1].clone()];
        head.epochs = 1;
        head.learning_rate = 1e-3;
        all.epochs = 7;
        all.learning_rate = 1e-3;
        all.schedule = Schedule::Cosine;
        all.warmup_steps = 10;
        Self {
            dtype: Precision::F32,
            batch_size: 4,
            micro_batch_tokens: 4096,
            gradient_checkpointing: false,
            stages: vec![head, all],
            ..paper
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// Names the first setting that makes no sense.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field: &str, reason: &str| Err(ModelError::config(field, reason));
        if self.batch_size == 0 {
            return refuse("batch_size", "must not be 0");
        }
        if self.micro_batch_tokens == 0 {
            return refuse("micro_batch_tokens", "must not be 0");
        }
        if self.max_grad_norm.is_nan() || self.max_grad_norm <= 0.0 {
            return refuse("max_grad_norm", "must be positive");
        }
        if self.epsilon.is_nan() || self.epsilon <= 0.0 {
            return refuse("epsilon", "must be positive");
        }
        if self.weight_decay.is_nan() || self.weight_decay < 0.0 {
            return refuse("weight_decay", "must not be negative");
        }
        for (field, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return refuse(field, "must lie in [0, 1)");
            }
        }
        if self.class_weights.is_some_and(|weights| weights.iter().any(|w| !(w.is_finite() && *w > 0.0))) {
            return refuse("class_weights", "must be two positive numbers, for vulnerable and secure");
        }
        if self.stages.is_empty() {
            return refuse("stages", "must name at least one stage");
        }
        for (index, stage) in self.stages.iter().enumerate() {
            if !(stage.learning_rate.is_finite() && stage.learning_rate >= 0.0) {
                return refuse(&format!("stages[{index}].learning_rate"), "must be a number that is not negative");
            }
        }
        Ok(())
    }

    /// Returns how many optimiser steps a stage takes over epochs of so many examples, repeats counted.
    pub fn steps_of(&self, stage: &TrainStage, epoch_len: u64) -> u64 {
        let steps = stage.epochs.saturating_mul(epoch_len.div_ceil(self.batch_size as u64));
        steps.min(stage.max_steps.unwrap_or(u64::MAX))
    }

    /// Returns how many optimiser steps all stages take.
    pub fn steps(&self, epoch_len: u64) -> u64 {
        self.stages.iter().map(|stage| self.steps_of(stage, epoch_len)).fold(0, u64::saturating_add)
    }

    /// Returns the optimiser's part.
    pub fn optimizer(&self) -> AdamWConfig {
        AdamWConfig { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon, weight_decay: self.weight_decay }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_paper_preset_is_table_8() {
        let config = Preset::Paper.config();
        let stages: Vec<_> = config.stages.iter().map(|s| (s.parameters, s.epochs, s.learning_rate)).collect();
        assert_eq!(stages, [(TrainedParameters::Head, 3, 1e-4), (TrainedParameters::All, 1, 1e-6)]);
        assert_eq!((config.beta1, config.beta2, config.weight_decay, config.batch_size), (0.9, 0.95, 0.1, 8));
    }

    #[test]
    fn settings_survive_serialisation_and_unknown_keys_are_refused() {
        let config = TrainConfig::small();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        let error = serde_json::from_str::<TrainConfig>(&text.replace("\"seed\"", "\"sede\"")).unwrap_err();
        assert!(error.to_string().contains("sede"), "{error}");
    }

    #[test]
    fn senseless_numbers_are_refused_by_name() {
        let broken = |change: fn(&mut TrainConfig)| {
            let mut config = TrainConfig::small();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(broken(|c| c.batch_size = 0).starts_with("batch_size"));
        assert!(broken(|c| c.beta2 = 1.0).starts_with("beta2"));
        assert!(broken(|c| c.max_grad_norm = f64::NAN).starts_with("max_grad_norm"));
        assert!(broken(|c| c.class_weights = Some([0.0, 1.0])).starts_with("class_weights"));
        assert!(broken(|c| c.stages[1].learning_rate = f64::NAN).starts_with("stages[1]"));
    }
}
