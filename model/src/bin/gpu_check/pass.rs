//! The pass that is checked and timed, in one place.

use std::collections::BTreeMap;

use candle_core::Tensor;
use secprm_model::backward::Target;
use secprm_model::loss::weight_sum;
use secprm_model::{PackedBatch, StepModel, TrainedParameters};

use crate::Result;

/// Weights of the classes, different so that mixing them up shows.
pub const CLASS_WEIGHTS: [f64; 2] = [1.4, 0.8];

/// Loss and gradients of a batch; all parameters are trained.
pub struct Pass {
    pub loss: f64,
    pub gradients: BTreeMap<String, Tensor>,
}

/// Runs forward and backward once; with `checkpointing` each layer's activations are computed again in the backward.
pub fn training_pass(model: &StepModel, batch: &PackedBatch, labels: &[u8], checkpointing: bool) -> Result<Pass> {
    let normaliser = weight_sum(labels, CLASS_WEIGHTS);
    let target = Target { labels, class_weights: CLASS_WEIGHTS, normaliser };
    let (loss, gradients) = model.gradients(batch, target, TrainedParameters::All, checkpointing)?;
    Ok(Pass { loss, gradients })
}
