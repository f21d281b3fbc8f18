//! Loss and gradients of one packed batch.
//!
//! Gradients are handed over as soon as they are finished, the last layer's first, so that a caller may share them out among ranks and drop
//! them while the rest is still being computed. With activation checkpointing only each layer's input is kept; the backward runs the layer
//! again, its MLP in blocks of rows, so that memory beside these inputs is that of one layer's attention.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use crate::batch::PackedBatch;
use crate::blocks::{RotaryTable, linear, rms_norm, select_rows};
use crate::error::{ModelError, Result};
use crate::loss::weighted_cross_entropy;
use crate::parameters::{EMBEDDING, FINAL_NORM, LayerWeights, Weights, is_head, layer_prefix};
use crate::qwen2::StepModel;
use crate::train_config::TrainedParameters;

/// Rows of an MLP that are computed at a time under checkpointing.
const MLP_ROWS: usize = 4096;

/// Takes the finished gradient of the parameter of a name.
pub type GradientSink<'a> = dyn FnMut(&str, Tensor) -> Result<()> + 'a;

/// What a batch is trained towards.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// A label for each separator of the batch: 0 vulnerable, 1 secure.
    pub labels: &'a [u8],
    /// Weights of the classes [vulnerable, secure].
    pub class_weights: [f64; 2],
    /// What the weighted sum is divided by: the weights of all labels of the global batch.
    pub normaliser: f64,
}

impl Target<'_> {
    fn loss(&self, logits: &Tensor) -> Result<(Tensor, f64)> {
        let loss = weighted_cross_entropy(logits, self.labels, self.class_weights, self.normaliser)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        Ok((loss, value))
    }
}

impl StepModel {
    /// Computes a batch's share of the loss and hands each trained parameter's gradient to `sink`: the head's first, then the layers' from
    /// the last to the first, then the embedding's.
    ///
    /// # Errors
    /// An id is out of range, labels and separators differ in number, or the sink's error.
    pub fn training_pass(
        &self,
        batch: &PackedBatch,
        target: Target,
        trained: TrainedParameters,
        checkpointing: bool,
        sink: &mut GradientSink,
    ) -> Result<f64> {
        if checkpointing && trained == TrainedParameters::All {
            return Recomputed { model: self, batch, rotary: self.prepare(batch)? }.pass(target, sink);
        }
        let logits = self.forward_batch(batch, Some(trained))?;
        self.backward_from(&logits, target, trained, sink)
    }

    /// As [`Self::training_pass`], with all gradients by name at the end.
    ///
    /// # Errors
    /// As [`Self::training_pass`].
    pub fn gradients(
        &self,
        batch: &PackedBatch,
        target: Target,
        trained: TrainedParameters,
        checkpointing: bool,
    ) -> Result<(f64, BTreeMap<String, Tensor>)> {
        let mut gradients = BTreeMap::new();
        let loss = self.training_pass(batch, target, trained, checkpointing, &mut |name, gradient| {
            gradients.insert(name.to_owned(), gradient);
            Ok(())
        })?;
        Ok((loss, gradients))
    }

    /// As [`Self::training_pass`], from logits that recorded the gradients of the trained parameters.
    pub(crate) fn backward_from(
        &self,
        logits: &Tensor,
        target: Target,
        trained: TrainedParameters,
        sink: &mut GradientSink,
    ) -> Result<f64> {
        let (loss, value) = target.loss(logits)?;
        let mut store = loss.backward()?;
        for group in self.gradient_groups(trained) {
            hand_over(self.parameters(), &group, &mut store, sink)?;
        }
        Ok(value)
    }

    /// Returns the trained parameters in groups, in the order in which their gradients are finished: what follows the last layer, the
    /// layers from the last to the first, the embedding.
    pub fn gradient_groups(&self, trained: TrainedParameters) -> Vec<Vec<String>> {
        let group = |belongs: &dyn Fn(&str) -> bool| -> Vec<String> {
            let names = self.parameters().keys().filter(|name| trained.includes(name) && belongs(name));
            names.cloned().collect()
        };
        let layers = (0..self.config().num_hidden_layers).rev().map(layer_prefix);
        let mut groups = vec![group(&|name| is_head(name) || name == FINAL_NORM)];
        groups.extend(layers.map(|prefix| group(&|name| name.starts_with(&prefix))));
        groups.push(group(&|name| name == EMBEDDING));
        groups.retain(|group| !group.is_empty());
        groups
    }
}

fn hand_over(
    parameters: &BTreeMap<String, Var>,
    group: &[String],
    store: &mut GradStore,
    sink: &mut GradientSink,
) -> Result<()> {
    for name in group {
        let gradient = parameters.get(name).and_then(|parameter| store.remove(parameter.as_tensor()));
        let gradient = gradient.ok_or_else(|| ModelError::Numeric(format!("{name} received no gradient")))?;
        sink(name, gradient.detach())?;
    }
    Ok(())
}

/// Runs the backward of an output whose gradient is known. A tensor's own backward starts from ones.
fn backward_with(output: &Tensor, gradient: &Tensor) -> Result<GradStore> {
    Ok((output * gradient.detach())?.sum_all()?.backward()?)
}

fn gradient_of(input: &Var, store: &mut GradStore) -> Result<Tensor> {
    let gradient = store.remove(input.as_tensor());
    Ok(gradient.ok_or_else(|| ModelError::Numeric("a layer's input received no gradient".to_owned()))?.detach())
}

/// A pass that keeps each layer's input and computes everything else again.
struct Recomputed<'a> {
    model: &'a StepModel,
    batch: &'a PackedBatch,
    rotary: RotaryTable,
}

impl Recomputed<'_> {
    fn pass(&self, target: Target, sink: &mut GradientSink) -> Result<f64> {
        let (model, layers) = (self.model, self.model.config().num_hidden_layers);
        let trained = Some(TrainedParameters::All);
        let ends = Weights::new(model.parameters(), 0, None)?;
        let mut inputs = Vec::with_capacity(layers);
        let mut stream = select_rows(&ends.embedding, self.batch.input_ids())?;
        for layer in 0..layers {
            let weights = LayerWeights::new(model.parameters(), layer, None)?;
            let attended = self.attend(layer, &weights, &stream)?;
            inputs.push(stream);
            stream = self.feed_forward(&weights, &attended)?;
        }
        let ends = Weights::new(model.parameters(), 0, trained)?;
        let top = Var::from_tensor(&stream)?;
        drop(stream);
        let hidden = rms_norm(top.as_tensor(), &ends.final_norm, model.config().rms_norm_eps)?;
        let (loss, value) = target.loss(&linear(&hidden, &ends.head, Some(&ends.head_bias))?)?;
        let mut store = loss.backward()?;
        let groups = model.gradient_groups(TrainedParameters::All);
        let [of_ends, of_layers @ .., of_embedding] = groups.as_slice() else {
            return Err(ModelError::Numeric("a model has no parameters".to_owned()));
        };
        hand_over(model.parameters(), of_ends, &mut store, sink)?;
        let mut gradient = gradient_of(&top, &mut store)?;
        for (layer, group) in (0..layers).rev().zip(of_layers) {
            let input = inputs.pop().ok_or_else(|| ModelError::Numeric("a layer's input is missing".to_owned()))?;
            let (of_input, mut store) = self.layer_backward(layer, &input, &gradient)?;
            hand_over(model.parameters(), group, &mut store, sink)?;
            gradient = of_input;
        }
        let embedded = select_rows(&ends.embedding, self.batch.input_ids())?;
        hand_over(model.parameters(), of_embedding, &mut backward_with(&embedded, &gradient)?, sink)?;
        Ok(value)
    }

    fn attend(&self, layer: usize, weights: &LayerWeights, stream: &Tensor) -> Result<Tensor> {
        self.model.attend(layer, weights, stream, self.batch, &self.rotary)
    }

    /// The MLP without recording, in blocks of rows.
    fn feed_forward(&self, weights: &LayerWeights, attended: &Tensor) -> Result<Tensor> {
        let rows = attended.dim(0)?;
        let block = |start| self.model.feed_forward(weights, &attended.narrow(0, start, MLP_ROWS.min(rows - start))?);
        let blocks: Vec<Tensor> = (0..rows).step_by(MLP_ROWS).map(block).collect::<Result<_>>()?;
        Ok(Tensor::cat(&blocks, 0)?)
    }

    /// Returns the gradient of a layer's input, and those of its parameters.
    fn layer_backward(&self, layer: usize, input: &Tensor, gradient: &Tensor) -> Result<(Tensor, GradStore)> {
        let weights = LayerWeights::new(self.model.parameters(), layer, Some(TrainedParameters::All))?;
        let input = Var::from_tensor(input)?;
        let attended = self.attend(layer, &weights, input.as_tensor())?;
        let rows = attended.dim(0)?;
        let mut of_attended = Vec::new();
        let mut of_mlp: Option<GradStore> = None;
        for start in (0..rows).step_by(MLP_ROWS) {
            let count = MLP_ROWS.min(rows - start);
            let block = Var::from_tensor(&attended.narrow(0, start, count)?)?;
            let output = self.model.feed_forward(&weights, block.as_tensor())?;
            let mut store = backward_with(&output, &gradient.narrow(0, start, count)?)?;
            of_attended.push(gradient_of(&block, &mut store)?);
            of_mlp = Some(match of_mlp {
                Some(before) => add_stores(before, store, weights.of_mlp())?,
                None => store,
            });
        }
        let mut store = backward_with(&attended, &Tensor::cat(&of_attended, 0)?)?;
        if let Some(mut of_mlp) = of_mlp {
            for parameter in weights.of_mlp() {
                if let Some(gradient) = of_mlp.remove(parameter) {
                    store.insert(parameter, gradient);
                }
            }
        }
        Ok((gradient_of(&input, &mut store)?, store))
    }
}

/// Adds the gradients of some parameters.
fn add_stores(mut left: GradStore, mut right: GradStore, parameters: [&Tensor; 4]) -> Result<GradStore> {
    for parameter in parameters {
        if let (Some(before), Some(gradient)) = (left.remove(parameter), right.remove(parameter)) {
            left.insert(parameter, (before + gradient)?);
        }
    }
    Ok(left)
}

#[cfg(test)]
#[path = "backward_tests.rs"]
mod tests;
