//! The step model: a Qwen2 backbone and a linear head that gives [vulnerable, secure] logits at separators.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::batch::PackedBatch;
use crate::blocks::{RotaryTable, linear, rms_norm, select_rows};
use crate::config::Qwen2Config;
use crate::error::{ModelError, Result};
use crate::layer::Layer;
use crate::parameters::{LayerWeights, Weights, parameter_shapes, random_parameter, random_parameter_on};
use crate::train_config::TrainedParameters;

/// Holds a model's configuration and its parameters by Hugging Face name.
#[derive(Debug, Clone)]
pub struct StepModel {
    config: Qwen2Config,
    parameters: BTreeMap<String, Var>,
    device: Device,
}

impl StepModel {
    /// Draws a model's parameters on the CPU in f32: the same for the same configuration and seed, everywhere.
    ///
    /// # Errors
    /// The configuration does not fit together.
    pub fn random(config: Qwen2Config, seed: u64) -> Result<Self> {
        Self::random_on(config, seed, DType::F32, &Device::Cpu)
    }

    /// Draws a model's parameters in `dtype` on `device`: on the CPU those of [`Self::random`], rounded; elsewhere with
    /// the device's own generator, which is fast and gives other numbers than the CPU.
    ///
    /// # Errors
    /// The configuration does not fit together, or the device refuses memory.
    pub fn random_on(config: Qwen2Config, seed: u64, dtype: DType, device: &Device) -> Result<Self> {
        config.validate()?;
        if !device.is_cpu() {
            device.set_seed(seed)?;
        }
        let tensors = parameter_shapes(&config).into_iter().map(|(name, shape)| {
            let tensor = if device.is_cpu() {
                random_parameter(&name, &shape, &config, seed, device)?.to_dtype(dtype)?
            } else {
                random_parameter_on(&name, &shape, &config, dtype, device)?
            };
            Ok((name, tensor))
        });
        let tensors = tensors.collect::<Result<_>>()?;
        Self::from_tensors(config, tensors)
    }

    /// Takes parameters by name, all in one dtype, which is that of the model.
    ///
    /// # Errors
    /// Names what is missing, extra, misshapen or of another dtype, and what the configuration asks for.
    pub fn from_tensors(config: Qwen2Config, mut tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        config.validate()?;
        let mut parameters = BTreeMap::new();
        let mut device = Device::Cpu;
        let mut common = None;
        for (name, shape) in parameter_shapes(&config) {
            let Some(tensor) = tensors.remove(&name) else {
                return Err(ModelError::Checkpoint(format!("tensor {name} of shape {shape:?} is missing")));
            };
            if tensor.dims() != shape {
                let found = tensor.dims();
                let reason = format!("tensor {name} has shape {found:?}, config.json asks for {shape:?}");
                return Err(ModelError::Checkpoint(reason));
            }
            let common = *common.get_or_insert(tensor.dtype());
            if tensor.dtype() != common {
                let reason = format!("tensor {name} is in {:?}, those before it in {common:?}", tensor.dtype());
                return Err(ModelError::Checkpoint(reason));
            }
            device = tensor.device().clone();
            parameters.insert(name, Var::from_tensor(&tensor)?);
        }
        if !tensors.is_empty() {
            let names: Vec<_> = tensors.keys().take(5).cloned().collect();
            let reason = format!("{} tensors belong to no parameter: {}", tensors.len(), names.join(", "));
            return Err(ModelError::Checkpoint(reason));
        }
        Ok(Self { config, parameters, device })
    }

    /// Returns the architecture's numbers.
    pub fn config(&self) -> &Qwen2Config {
        &self.config
    }

    /// Returns the parameters by name; setting one changes the model.
    pub fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    /// Returns the parameters' dtype.
    pub fn dtype(&self) -> DType {
        self.parameters.values().next().map_or(DType::F32, |parameter| parameter.dtype())
    }

    /// Returns the device that holds the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Counts the parameters' numbers.
    pub fn parameter_count(&self) -> usize {
        self.parameters.values().map(|parameter| parameter.elem_count()).sum()
    }

    /// Copies the model to a device, in a dtype; training the copy leaves this one alone.
    ///
    /// # Errors
    /// The device refuses memory.
    pub fn to(&self, dtype: DType, device: &Device) -> Result<Self> {
        let copies = self.parameters.iter().map(|(name, parameter)| {
            Ok((name.clone(), parameter.as_detached_tensor().to_device(device)?.to_dtype(dtype)?))
        });
        Self::from_tensors(self.config.clone(), copies.collect::<Result<_>>()?)
    }

    /// Computes logits `[positions, 2]` of one sequence at the given positions, recording gradients of all parameters.
    ///
    /// # Errors
    /// An id or a position is out of range, or there is none.
    pub fn forward(&self, input_ids: &[u32], step_positions: &[u32]) -> Result<Tensor> {
        self.forward_batch(&PackedBatch::of(input_ids, step_positions)?, Some(TrainedParameters::All))
    }

    /// Computes logits `[separators, 2]` of a batch; `trained` says which parameters record gradients.
    ///
    /// # Errors
    /// An id is out of range or there is no separator.
    pub fn forward_batch(&self, batch: &PackedBatch, trained: Option<TrainedParameters>) -> Result<Tensor> {
        let weights = Weights::new(&self.parameters, self.config.num_hidden_layers, trained)?;
        let hidden = self.hidden_of(batch, &weights)?;
        Ok(linear(&hidden, &weights.head, Some(&weights.head_bias))?)
    }

    /// Computes what the head reads, `[separators, hidden]`, without recording gradients.
    ///
    /// # Errors
    /// As [`Self::forward_batch`].
    pub fn hidden(&self, batch: &PackedBatch) -> Result<Tensor> {
        let weights = Weights::new(&self.parameters, self.config.num_hidden_layers, None)?;
        self.hidden_of(batch, &weights)
    }

    /// Applies the head to the output of [`Self::hidden`], without recording gradients.
    ///
    /// # Errors
    /// The width is not the model's.
    pub fn head(&self, hidden: &Tensor) -> Result<Tensor> {
        let weights = Weights::new(&self.parameters, 0, None)?;
        Ok(linear(hidden, &weights.head, Some(&weights.head_bias))?)
    }

    fn hidden_of(&self, batch: &PackedBatch, weights: &Weights) -> Result<Tensor> {
        let rotary = self.prepare(batch)?;
        let mut stream = select_rows(&weights.embedding, batch.input_ids())?;
        for (index, weights) in weights.layers.iter().enumerate() {
            let layer = self.layer(index, weights.clone(), batch, &rotary);
            let attended = layer.attend(&stream)?.1;
            stream = layer.feed_forward(&attended)?.1;
        }
        Ok(rms_norm(&stream, &weights.final_norm, self.config.rms_norm_eps)?)
    }

    /// Checks a batch and computes its rotary angles.
    pub(crate) fn prepare(&self, batch: &PackedBatch) -> Result<RotaryTable> {
        if let Some(id) = batch.input_ids().iter().find(|id| **id as usize >= self.config.vocab_size) {
            let reason = format!(
                "token id {id} is not in the model's vocabulary of {}: tokenizer and model do not belong together",
                self.config.vocab_size
            );
            return Err(ModelError::Input(reason));
        }
        if batch.separators().is_empty() {
            return Err(ModelError::Input("a batch has no step position to give logits for".to_owned()));
        }
        let (head_dim, theta) = (self.config.head_dim, self.config.rope_theta);
        Ok(RotaryTable::new(batch.positions(), head_dim, theta, self.dtype(), &self.device)?)
    }

    /// A layer on a batch.
    pub(crate) fn layer<'a>(
        &'a self,
        index: usize,
        weights: LayerWeights,
        batch: &'a PackedBatch,
        rotary: &'a RotaryTable,
    ) -> Layer<'a> {
        Layer { config: &self.config, index, weights, batch, rotary }
    }
}

#[cfg(test)]
#[path = "qwen2_tests.rs"]
mod tests;
