//! Tensors of safetensors files, checked one by one against the architecture and put on a device in one dtype.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors};

use crate::checkpoint::HeadInit;
use crate::config::Qwen2Config;
use crate::error::{ModelError, Result};
use crate::parameters::{is_head, parameter_shapes, random_parameter};
use crate::qwen2::StepModel;

/// Collects the parameters of a model.
pub(crate) struct CheckpointTensors {
    config: Qwen2Config,
    device: Device,
    dtype: DType,
    expected: BTreeMap<String, Vec<usize>>,
    found: BTreeMap<String, Tensor>,
    /// Names and shapes that belong to no parameter, with their file.
    extra: Vec<String>,
}

impl CheckpointTensors {
    /// Starts without a tensor.
    pub(crate) fn new(config: Qwen2Config, device: Device, dtype: DType) -> Self {
        let expected = parameter_shapes(&config);
        Self { config, device, dtype, expected, found: BTreeMap::new(), extra: Vec::new() }
    }

    /// Takes the tensors of one file; each is copied to the device as it is in the file and converted there.
    pub(crate) fn read(&mut self, file: &str, content: &[u8]) -> Result<()> {
        let refused = |reason: String| ModelError::Checkpoint(format!("{file}: {reason}"));
        let parsed = SafeTensors::deserialize(content).map_err(|error| refused(error.to_string()))?;
        for (name, view) in parsed.iter() {
            // Not parameters of a token classifier, but written by the causal model's authors.
            if name == "lm_head.weight" || name.ends_with("rotary_emb.inv_freq") {
                continue;
            }
            let found = view.shape();
            let Some(expected) = self.expected.get(name) else {
                self.extra.push(format!("{name} {found:?} in {file}"));
                continue;
            };
            if found != expected {
                let reason = format!("tensor {name} has shape {found:?}, config.json asks for {expected:?}");
                return Err(refused(reason));
            }
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                other => {
                    let reason = format!("tensor {name} has type {other:?}, only F32, F16 and BF16 are read");
                    return Err(refused(reason));
                }
            };
            let tensor = Tensor::from_raw_buffer(view.data(), dtype, found, &self.device)?.to_dtype(self.dtype)?;
            if self.found.insert(name.to_owned(), tensor).is_some() {
                return Err(refused(format!("tensor {name} is in another file as well")));
            }
        }
        Ok(())
    }

    /// Makes the model of what was read.
    pub(crate) fn into_model(mut self, head: HeadInit) -> Result<StepModel> {
        if !self.extra.is_empty() {
            let shown = self.extra.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let reason = format!(
                "{} tensors belong to no parameter of the architecture that config.json describes: {shown}",
                self.extra.len()
            );
            return Err(ModelError::Checkpoint(reason));
        }
        if let HeadInit::RandomIfMissing(seed) = head {
            for (name, shape) in &self.expected {
                if is_head(name) && !self.found.contains_key(name) {
                    let tensor = random_parameter(name, shape, &self.config, seed, &self.device)?;
                    self.found.insert(name.clone(), tensor.to_dtype(self.dtype)?);
                }
            }
        }
        let missing: Vec<String> = self
            .expected
            .iter()
            .filter(|(name, _)| !self.found.contains_key(*name))
            .map(|(name, shape)| format!("{name} of shape {shape:?}"))
            .collect();
        if !missing.is_empty() {
            let shown = missing.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            return Err(ModelError::Checkpoint(format!("{} tensors are missing: {shown}", missing.len())));
        }
        StepModel::from_tensors(self.config, self.found)
    }
}
