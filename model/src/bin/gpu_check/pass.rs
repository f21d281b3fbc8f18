//! The pass that is checked and timed, in one place.

use std::collections::BTreeMap;

use candle_core::Tensor;
use secprm_model::loss::{weight_sum, weighted_cross_entropy};
use secprm_model::{PackedBatch, StepModel, TrainedParameters};

use crate::Result;

/// Weights of the classes, different so that mixing them up shows.
pub const CLASS_WEIGHTS: [f64; 2] = [1.4, 0.8];

/// Loss and gradients of a batch; all parameters are trained.
pub struct Pass {
    pub loss: f64,
    pub gradients: BTreeMap<String, Tensor>,
}

/// Runs forward and backward once.
pub fn training_pass(model: &StepModel, batch: &PackedBatch, labels: &[u8]) -> Result<Pass> {
    let logits = model.forward_batch(batch, Some(TrainedParameters::All))?;
    let loss = weighted_cross_entropy(&logits, labels, CLASS_WEIGHTS, weight_sum(labels, CLASS_WEIGHTS))?;
    let mut store = loss.backward()?;
    let mut gradients = BTreeMap::new();
    for (name, parameter) in model.parameters() {
        let gradient = store.remove(parameter.as_tensor()).ok_or_else(|| format!("{name} received no gradient"))?;
        gradients.insert(name.clone(), gradient.detach());
    }
    Ok(Pass { loss: f64::from(loss.to_scalar::<f32>()?), gradients })
}
