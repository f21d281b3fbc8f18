//! Loss and gradients of one packed batch.
//!
//! Gradients are handed over as soon as they are finished, the last layer's first, so that a caller may share them out among ranks and drop
//! them while the rest is still being computed. A layer's backward reads what its forward kept (`layer.rs`). With activation
//! checkpointing only each layer's input is kept; the backward runs the layer again, its MLP in blocks of rows, so that memory beside these
//! inputs is that of one layer's attention.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};

use crate::batch::PackedBatch;
use crate::blocks::{
    RotaryTable, bias_gradient, input_gradient, rms_norm, rms_norm_backward, select_rows, select_rows_backward,
    weight_gradient,
};
use crate::error::{ModelError, Result};
use crate::layer::{AttentionTape, Layer, LayerGradients, MlpTape};
use crate::loss::weighted_cross_entropy;
use crate::parameters::{EMBEDDING, FINAL_NORM, HEAD_BIAS, HEAD_WEIGHT, LayerWeights, Weights, is_head, layer_prefix};
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
        match trained {
            TrainedParameters::All => {
                Pass { model: self, batch, rotary: self.prepare(batch)?, checkpointing }.run(target, sink)
            }
            TrainedParameters::Head => self.head_pass(&self.hidden(batch)?, target, sink),
        }
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

    /// As [`Self::training_pass`] of the head alone, from what [`Self::hidden`] gives.
    pub(crate) fn head_pass(&self, hidden: &Tensor, target: Target, sink: &mut GradientSink) -> Result<f64> {
        let (value, gradients, _) = self.head_backward(hidden, target)?;
        hand_over(&self.gradient_groups(TrainedParameters::Head).concat(), gradients, sink)?;
        Ok(value)
    }

    /// Computes the loss, the gradients of the head, and that of the logits.
    fn head_backward(&self, hidden: &Tensor, target: Target) -> Result<(f64, BTreeMap<String, Tensor>, Tensor)> {
        let logits = Var::from_tensor(&self.head(hidden)?)?;
        let (loss, value) = target.loss(logits.as_tensor())?;
        let of_logits = loss.backward()?.remove(logits.as_tensor());
        let of_logits = of_logits.ok_or_else(|| ModelError::Numeric("the logits received no gradient".to_owned()))?;
        let of_logits = of_logits.detach();
        let gradients = BTreeMap::from([
            (HEAD_WEIGHT.to_owned(), weight_gradient(hidden, &of_logits)?),
            (HEAD_BIAS.to_owned(), bias_gradient(&of_logits)?),
        ]);
        Ok((value, gradients, of_logits))
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

/// Hands over the gradients of a group that is finished.
fn hand_over(group: &[String], mut gradients: BTreeMap<String, Tensor>, sink: &mut GradientSink) -> Result<()> {
    for name in group {
        let gradient = gradients.remove(name);
        let gradient = gradient.ok_or_else(|| ModelError::Numeric(format!("{name} received no gradient")))?;
        sink(name, gradient)?;
    }
    Ok(())
}

/// A pass forward and back that trains everything.
struct Pass<'a> {
    model: &'a StepModel,
    batch: &'a PackedBatch,
    rotary: RotaryTable,
    checkpointing: bool,
}

/// What the forward keeps of a layer for the backward.
struct Kept {
    input: Tensor,
    /// What attention and MLP leave, and what lies between them; nothing where it is computed again.
    tapes: Option<(AttentionTape, Tensor, MlpTape)>,
}

impl Pass<'_> {
    fn run(&self, target: Target, sink: &mut GradientSink) -> Result<f64> {
        let (model, epsilon) = (self.model, self.model.config().rms_norm_eps);
        let groups = model.gradient_groups(TrainedParameters::All);
        let [of_ends, of_layers @ .., of_embedding] = groups.as_slice() else {
            return Err(ModelError::Numeric("a model has no parameters".to_owned()));
        };
        let ends = Weights::new(model.parameters(), 0, None)?;
        let (mut layers, top) = self.forward(select_rows(&ends.embedding, self.batch.input_ids())?)?;
        let hidden = rms_norm(&top, &ends.final_norm, epsilon)?;
        let (value, mut gradients, of_logits) = model.head_backward(&hidden, target)?;
        let of_hidden = input_gradient(&[(&of_logits, &ends.head)])?;
        let [mut gradient, of_norm] = rms_norm_backward(&top, &ends.final_norm, epsilon, &of_hidden)?;
        drop((top, hidden));
        gradients.insert(FINAL_NORM.to_owned(), of_norm);
        hand_over(of_ends, gradients, sink)?;
        for group in of_layers {
            let index = layers.len().saturating_sub(1);
            let kept = layers.pop().ok_or_else(|| ModelError::Numeric("a layer's input is missing".to_owned()))?;
            let mut sums = LayerGradients::default();
            gradient = self.layer_backward(&self.layer(index)?, kept, &gradient, &mut sums)?;
            hand_over(group, sums.into_inner(), sink)?;
        }
        let (vocabulary, ids) = (model.config().vocab_size, self.batch.input_ids());
        let of_table = select_rows_backward(vocabulary, ids, &gradient)?;
        hand_over(of_embedding, BTreeMap::from([(EMBEDDING.to_owned(), of_table)]), sink)?;
        Ok(value)
    }

    fn layer(&self, index: usize) -> Result<Layer<'_>> {
        let weights = LayerWeights::new(self.model.parameters(), index, None)?;
        Ok(self.model.layer(index, weights, self.batch, &self.rotary))
    }

    /// Returns what is kept of each layer, and what the last one gives.
    fn forward(&self, mut stream: Tensor) -> Result<(Vec<Kept>, Tensor)> {
        let mut layers = Vec::with_capacity(self.model.config().num_hidden_layers);
        for index in 0..self.model.config().num_hidden_layers {
            let layer = self.layer(index)?;
            let (attention, attended) = layer.attend(&stream)?;
            let (output, tapes) = if self.checkpointing {
                drop(attention);
                let blocks = row_blocks(&attended).map(|rows| Ok(layer.feed_forward(&rows?)?.1));
                (Tensor::cat(&blocks.collect::<Result<Vec<_>>>()?, 0)?, None)
            } else {
                let (mlp, output) = layer.feed_forward(&attended)?;
                (output, Some((attention, attended, mlp)))
            };
            layers.push(Kept { input: stream, tapes });
            stream = output;
        }
        Ok((layers, stream))
    }

    /// Returns the gradient of a layer's input.
    fn layer_backward(
        &self,
        layer: &Layer,
        kept: Kept,
        gradient: &Tensor,
        sums: &mut LayerGradients,
    ) -> Result<Tensor> {
        let Kept { input, tapes } = kept;
        let (attention, of_attended) = match tapes {
            Some((attention, attended, mlp)) => {
                (attention, layer.feed_forward_backward(mlp, &attended, gradient, sums)?)
            }
            None => {
                let (attention, attended) = layer.attend(&input)?;
                let mut parts = Vec::new();
                for (rows, gradient) in row_blocks(&attended).zip(row_blocks(gradient)) {
                    let (rows, gradient) = (rows?, gradient?);
                    let (mlp, _) = layer.feed_forward(&rows)?;
                    parts.push(layer.feed_forward_backward(mlp, &rows, &gradient, sums)?);
                }
                (attention, Tensor::cat(&parts, 0)?)
            }
        };
        layer.attend_backward(attention, &input, &of_attended, sums)
    }
}

/// Cuts rows into the blocks that an MLP runs in.
fn row_blocks(rows: &Tensor) -> impl Iterator<Item = candle_core::Result<Tensor>> + '_ {
    let count = rows.dims().first().copied().unwrap_or(0);
    (0..count).step_by(MLP_ROWS).map(move |start| rows.narrow(0, start, MLP_ROWS.min(count - start)))
}

#[cfg(test)]
#[path = "backward_tests.rs"]
mod tests;
