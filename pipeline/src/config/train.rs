//! `[model]` and `[train]`: presets and what overrides them.

use secprm_model::{Preset, Qwen2Config, TrainConfig, TrainStage};
use secprm_stages::label::LabelMode;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `[model]`: where the backbone comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// A folder in Hugging Face layout (config.json, safetensors) whose weights training starts from.
    pub path: Option<String>,
    /// A `config.json` to start from random weights of that shape; neither this nor `path` means the small default.
    pub config: Option<String>,
    /// Seed of random weights.
    pub seed: u64,
}

impl ModelConfig {
    /// Returns the shape for random weights, given `config`'s text if there is one.
    ///
    /// # Errors
    /// Of kind usage: a configuration that is no Qwen2.
    pub fn shape(&self, config_text: Option<&str>, vocab_size: usize) -> Result<Qwen2Config> {
        let mut shape = match config_text {
            Some(text) => Qwen2Config::from_json(text).map_err(|error| Error::from(error).context("[model] config"))?,
            None => return Ok(Qwen2Config::small(vocab_size)),
        };
        if shape.vocab_size < vocab_size {
            shape.vocab_size = vocab_size;
        }
        Ok(shape)
    }
}

/// When a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When the shards or the settings changed.
    #[default]
    Changed,
    /// When `--select` names it: nightly refreshes then only publish data.
    Manual,
}

/// `[train]`: a preset and what overrides it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSection {
    /// When a run trains.
    pub when: When,
    /// The label mode that is trained on and scored.
    pub label_mode: LabelMode,
    /// Where the settings start from.
    pub preset: Preset,
    /// Seed of the order of examples.
    pub seed: Option<u64>,
    /// Sequences per optimiser step.
    pub batch_size: Option<usize>,
    /// AdamW's decoupled weight decay.
    pub weight_decay: Option<f64>,
    /// Gradients are scaled down to this norm.
    pub max_grad_norm: Option<f64>,
    /// Weights of the classes [vulnerable, secure]; counted from the labels when not given.
    pub class_weights: Option<[f64; 2]>,
    /// The stages; they replace the preset's.
    pub stage: Vec<TrainStage>,
}

impl Default for TrainSection {
    fn default() -> Self {
        TrainSection {
            when: When::Changed,
            label_mode: LabelMode::Natural,
            preset: Preset::Small,
            seed: None,
            batch_size: None,
            weight_decay: None,
            max_grad_norm: None,
            class_weights: None,
            stage: Vec::new(),
        }
    }
}

impl TrainSection {
    /// Returns the preset's settings with what overrides them.
    ///
    /// # Errors
    /// Of kind usage: a setting that makes no sense, by name.
    pub fn settings(&self) -> Result<TrainConfig> {
        let mut settings = self.preset.config();
        settings.seed = self.seed.unwrap_or(settings.seed);
        settings.batch_size = self.batch_size.unwrap_or(settings.batch_size);
        settings.weight_decay = self.weight_decay.unwrap_or(settings.weight_decay);
        settings.max_grad_norm = self.max_grad_norm.unwrap_or(settings.max_grad_norm);
        settings.class_weights = self.class_weights.or(settings.class_weights);
        if !self.stage.is_empty() {
            settings.stages.clone_from(&self.stage);
        }
        settings.validate().map_err(|error| Error::from(error).context("[train]"))?;
        Ok(settings)
    }
}
