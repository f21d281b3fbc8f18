//! `[model]` and `[train]`: presets and what overrides them.

use std::path::Path;
use std::sync::Arc;

use secprm_model::{Cadence, Precision, Preset, Qwen2Config, TrainConfig, TrainStage};
use secprm_stages::label::LabelMode;
use secprm_stages::train::Habits;
use secprm_storage::ShardCache;
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
    /// What weights are in.
    pub dtype: Option<Precision>,
    /// Sequences per optimiser step.
    pub batch_size: Option<usize>,
    /// Tokens in flight at a time on a rank.
    pub micro_batch_tokens: Option<usize>,
    /// Keeps only each layer's input and computes the rest again in the backward: less memory, more time.
    pub gradient_checkpointing: Option<bool>,
    /// AdamW's decoupled weight decay.
    pub weight_decay: Option<f64>,
    /// Gradients are scaled down to this norm.
    pub max_grad_norm: Option<f64>,
    /// Weights of the classes [vulnerable, secure]; counted from the labels when not given.
    pub class_weights: Option<[f64; 2]>,
    /// Saves the run after every so many steps, so that a killed one goes on from there; 0 never.
    pub checkpoint_every: u64,
    /// How many checkpoints of an unfinished run are kept, beside the one that did best on held-out examples.
    pub keep_checkpoints: usize,
    /// Evaluates on examples of the split validation after every so many steps; 0 never.
    pub evaluate_every: u64,
    /// How many examples of the split validation it is evaluated on.
    pub evaluate_examples: usize,
    /// A folder on the local disk for files of a remote warehouse's shards, relative to the configuration file; without it rows are read from
    /// the store alone.
    pub cache: Option<String>,
    /// How large that folder may grow, in MiB.
    pub cache_mib: u64,
    /// A folder for TensorBoard's event files, relative to the configuration file.
    pub tensorboard: Option<String>,
    /// What one rank's hardware can do at most, in 10¹² floating-point operations a second: for the utilisation in `train_metrics`.
    pub peak_tflops: Option<f64>,
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
            dtype: None,
            batch_size: None,
            micro_batch_tokens: None,
            gradient_checkpointing: None,
            weight_decay: None,
            max_grad_norm: None,
            class_weights: None,
            checkpoint_every: 200,
            keep_checkpoints: 2,
            evaluate_every: 100,
            evaluate_examples: 64,
            cache: None,
            cache_mib: 100 * 1024,
            tensorboard: None,
            peak_tflops: None,
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
        settings.dtype = self.dtype.unwrap_or(settings.dtype);
        settings.batch_size = self.batch_size.unwrap_or(settings.batch_size);
        settings.micro_batch_tokens = self.micro_batch_tokens.unwrap_or(settings.micro_batch_tokens);
        settings.gradient_checkpointing = self.gradient_checkpointing.unwrap_or(settings.gradient_checkpointing);
        settings.weight_decay = self.weight_decay.unwrap_or(settings.weight_decay);
        settings.max_grad_norm = self.max_grad_norm.unwrap_or(settings.max_grad_norm);
        settings.class_weights = self.class_weights.or(settings.class_weights);
        if !self.stage.is_empty() {
            settings.stages.clone_from(&self.stage);
        }
        settings.validate().map_err(|error| Error::from(error).context("[train]"))?;
        if self.peak_tflops.is_some_and(|peak| !(peak.is_finite() && peak > 0.0)) {
            return Err(Error::usage("[train] peak_tflops: must be positive"));
        }
        Ok(settings)
    }

    /// Opens the cache of shards; `folder` is the configuration file's.
    ///
    /// # Errors
    /// The cache's folder cannot be made.
    pub fn cache(&self, folder: &Path) -> Result<Option<Arc<ShardCache>>> {
        let open = |path: &String| ShardCache::open(&folder.join(path), self.cache_mib << 20);
        Ok(self.cache.as_ref().map(open).transpose()?)
    }

    /// Returns what a run of so many ranks does beside training; `folder` is the configuration file's.
    pub fn habits(&self, folder: &Path, ranks: usize) -> Habits {
        let unless_0 = |every: u64| (every > 0).then_some(every);
        Habits {
            cadence: Cadence {
                checkpoint_every: unless_0(self.checkpoint_every),
                evaluate_every: unless_0(self.evaluate_every),
            },
            keep: self.keep_checkpoints,
            peak_flops: self.peak_tflops.map(|peak| peak * 1e12 * ranks as f64),
            events: self.tensorboard.as_ref().map(|path| folder.join(path)),
        }
    }
}
