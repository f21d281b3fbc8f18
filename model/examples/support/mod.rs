//! What the examples that are run beside PyTorch share: the batch that a script hands over, and one training step.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use candle_core::{Device, Tensor};
use secprm_model::backward::Target;
use secprm_model::loss::weight_sum;
use secprm_model::optimizer::{AdamW, AdamWConfig};
use secprm_model::zero::{Layout, ShardedGradients};
use secprm_model::{OneRank, PackedBatch, Qwen2Config, StepModel, TrainedParameters};
use serde::Deserialize;

/// What the examples' functions return.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// One sequence with the positions that are supervised.
#[derive(Deserialize)]
pub struct Sequence {
    pub input_ids: Vec<u32>,
    pub positions: Vec<u32>,
    pub labels: Vec<u8>,
}

/// What both sides compute on.
#[derive(Deserialize)]
pub struct Job {
    pub sequences: Vec<Sequence>,
    pub class_weights: [f64; 2],
    pub learning_rate: f64,
    pub betas: [f64; 2],
    pub epsilon: f64,
    pub weight_decay: f64,
    /// Whether activations are computed again in the backward.
    #[serde(default)]
    pub gradient_checkpointing: bool,
}

impl Job {
    pub fn read(path: &Path) -> Outcome<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    pub fn packed(&self) -> Outcome<PackedBatch> {
        let mut batch = PackedBatch::new();
        for sequence in &self.sequences {
            batch.push(&sequence.input_ids, &sequence.positions)?;
        }
        Ok(batch)
    }

    /// The labels of all sequences.
    pub fn labels(&self) -> Vec<u8> {
        self.sequences.iter().flat_map(|sequence| sequence.labels.iter().copied()).collect()
    }

    /// Loss and gradients by name, all sequences in one pass.
    pub fn gradients(&self, model: &StepModel, batch: &PackedBatch) -> Outcome<(f64, BTreeMap<String, Tensor>)> {
        let labels = self.labels();
        let normaliser = weight_sum(&labels, self.class_weights);
        let target = Target { labels: &labels, class_weights: self.class_weights, normaliser };
        Ok(model.gradients(batch, target, TrainedParameters::All, self.gradient_checkpointing)?)
    }

    pub fn optimizer(&self, model: &StepModel) -> Outcome<AdamW> {
        let [beta1, beta2] = self.betas;
        let config = AdamWConfig { beta1, beta2, epsilon: self.epsilon, weight_decay: self.weight_decay };
        Ok(AdamW::new(config, Layout::new(model, TrainedParameters::All, &OneRank), model)?)
    }

    pub fn update(
        &self,
        optimizer: &mut AdamW,
        model: &StepModel,
        gradients: &BTreeMap<String, Tensor>,
    ) -> Outcome<()> {
        let mut sums = ShardedGradients::new(optimizer.layout(), model, &OneRank);
        for member in optimizer.layout().groups().iter().flat_map(|group| &group.members) {
            sums.take(&member.name, gradients[&member.name].clone())?;
        }
        let gradients = sums.finish()?;
        Ok(optimizer.step(model, &gradients, 1.0, self.learning_rate, &OneRank)?)
    }
}

/// Reads `config.json` and `model.safetensors`, without a tokenizer.
pub fn read_model(directory: &Path) -> Outcome<StepModel> {
    let config = Qwen2Config::from_json(&std::fs::read_to_string(directory.join("config.json"))?)?;
    let tensors = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu)?;
    Ok(StepModel::from_tensors(config, tensors.into_iter().collect())?)
}
