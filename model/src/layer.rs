//! One decoder layer: its forward with what its backward reads, and that backward.
//!
//! The backward calls each block's own, from the last to the first, and adds up what meets at a tensor where it is computed. A general store
//! of gradients would begin each sum with zeros and keep every gradient on the way.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::batch::PackedBatch;
use crate::blocks::{
    Attention, Heads, RotaryTable, bias_gradient, input_gradient, linear, rms_norm, rms_norm_backward, rotate,
    rotate_back, select_rows, select_rows_backward, swiglu, swiglu_backward, weight_gradient,
};
use crate::config::Qwen2Config;
use crate::error::Result;
use crate::parameters::{LayerWeights, layer_parameter};

/// A layer on a batch.
pub(crate) struct Layer<'a> {
    pub config: &'a Qwen2Config,
    pub index: usize,
    pub weights: LayerWeights,
    pub batch: &'a PackedBatch,
    pub rotary: &'a RotaryTable,
}

/// What the backward of a layer's attention reads, beside the layer's input.
pub(crate) struct AttentionTape {
    normed: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention: Attention,
    attended: Tensor,
    /// The rows that are read on: all, or in the last layer those at separators.
    read: Tensor,
}

/// What the backward of a layer's MLP reads, beside the MLP's input.
pub(crate) struct MlpTape {
    normed: Tensor,
    gate: Tensor,
    up: Tensor,
    gated: Tensor,
}

/// Gradients of a layer's parameters by name.
#[derive(Default)]
pub(crate) struct LayerGradients(BTreeMap<String, Tensor>);

impl LayerGradients {
    fn add(&mut self, layer: &Layer, name: &str, gradient: Tensor) -> Result<()> {
        let name = layer_parameter(layer.index, name);
        let sum = match self.0.remove(&name) {
            Some(before) => (before + gradient)?,
            None => gradient,
        };
        self.0.insert(name, sum);
        Ok(())
    }

    pub(crate) fn into_inner(self) -> BTreeMap<String, Tensor> {
        self.0
    }
}

impl Layer<'_> {
    /// Only separators are read at the end: what follows the last attention need not see the other tokens.
    fn separators(&self) -> Option<&[u32]> {
        (self.index + 1 == self.config.num_hidden_layers).then(|| self.batch.separators())
    }

    /// Adds the attention to the residual stream `[tokens, hidden]`; of the last layer only the rows at separators.
    pub(crate) fn attend(&self, stream: &Tensor) -> Result<(AttentionTape, Tensor)> {
        let (config, weights) = (self.config, &self.weights);
        let heads =
            Heads { query: config.num_attention_heads, key_value: config.num_key_value_heads, dim: config.head_dim };
        let normed = rms_norm(stream, &weights.input_norm, config.rms_norm_eps)?;
        let query = rotate(&linear(&normed, &weights.query, Some(&weights.query_bias))?, self.rotary)?;
        let key = rotate(&linear(&normed, &weights.key, Some(&weights.key_bias))?, self.rotary)?;
        let value = linear(&normed, &weights.value, Some(&weights.value_bias))?;
        let inputs = [&query, &key, &value];
        let attention = Attention::new(inputs, heads, self.batch.sequences(), config.attention_window(self.index))?;
        let attended = attention.attend(inputs)?;
        let (residual, read) = match self.separators() {
            Some(rows) => (select_rows(stream, rows)?, select_rows(&attended, rows)?),
            None => (stream.clone(), attended.clone()),
        };
        let output = (residual + linear(&read, &weights.output, None)?)?;
        Ok((AttentionTape { normed, query, key, value, attention, attended, read }, output))
    }

    /// Adds the MLP to the residual stream, row by row.
    pub(crate) fn feed_forward(&self, stream: &Tensor) -> Result<(MlpTape, Tensor)> {
        let weights = &self.weights;
        let normed = rms_norm(stream, &weights.mlp_norm, self.config.rms_norm_eps)?;
        let gate = linear(&normed, &weights.gate, None)?;
        let up = linear(&normed, &weights.up, None)?;
        let gated = swiglu(&gate, &up)?;
        let output = (stream + linear(&gated, &weights.down, None)?)?;
        Ok((MlpTape { normed, gate, up, gated }, output))
    }

    /// Returns the gradient of what [`Self::attend`] read, from that of its output, and adds those of its parameters.
    pub(crate) fn attend_backward(
        &self,
        tape: AttentionTape,
        stream: &Tensor,
        grad: &Tensor,
        sums: &mut LayerGradients,
    ) -> Result<Tensor> {
        let AttentionTape { normed, query, key, value, attention, attended, read } = tape;
        let (weights, tokens) = (&self.weights, stream.dim(0)?);
        sums.add(self, "self_attn.o_proj.weight", weight_gradient(&read, grad)?)?;
        drop(read);
        let of_read = input_gradient(&[(grad, &weights.output)])?;
        let (of_residual, of_attended) = match self.separators() {
            Some(rows) => (select_rows_backward(tokens, rows, grad)?, select_rows_backward(tokens, rows, &of_read)?),
            None => (grad.clone(), of_read),
        };
        let [of_query, of_key, of_value] = attention.backward([&query, &key, &value], &attended, &of_attended)?;
        drop((query, key, value, attended, of_attended));
        let (of_query, of_key) = (rotate_back(&of_query, self.rotary)?, rotate_back(&of_key, self.rotary)?);
        for (name, grad) in [("q_proj", &of_query), ("k_proj", &of_key), ("v_proj", &of_value)] {
            sums.add(self, &format!("self_attn.{name}.weight"), weight_gradient(&normed, grad)?)?;
            sums.add(self, &format!("self_attn.{name}.bias"), bias_gradient(grad)?)?;
        }
        let maps = [(&of_query, &weights.query), (&of_key, &weights.key), (&of_value, &weights.value)];
        let of_normed = input_gradient(&maps)?;
        let [of_stream, of_norm] =
            rms_norm_backward(stream, &weights.input_norm, self.config.rms_norm_eps, &of_normed)?;
        sums.add(self, "input_layernorm.weight", of_norm)?;
        Ok((of_residual + of_stream)?)
    }

    /// Returns the gradient of what [`Self::feed_forward`] read, from that of its output, and adds those of its parameters.
    pub(crate) fn feed_forward_backward(
        &self,
        tape: MlpTape,
        stream: &Tensor,
        grad: &Tensor,
        sums: &mut LayerGradients,
    ) -> Result<Tensor> {
        let MlpTape { normed, gate, up, gated } = tape;
        let weights = &self.weights;
        sums.add(self, "mlp.down_proj.weight", weight_gradient(&gated, grad)?)?;
        drop(gated);
        let [of_gate, of_up] = swiglu_backward(&gate, &up, &input_gradient(&[(grad, &weights.down)])?)?;
        drop((gate, up));
        sums.add(self, "mlp.gate_proj.weight", weight_gradient(&normed, &of_gate)?)?;
        sums.add(self, "mlp.up_proj.weight", weight_gradient(&normed, &of_up)?)?;
        let of_normed = input_gradient(&[(&of_gate, &weights.gate), (&of_up, &weights.up)])?;
        let [of_stream, of_norm] = rms_norm_backward(stream, &weights.mlp_norm, self.config.rms_norm_eps, &of_normed)?;
        sums.add(self, "post_attention_layernorm.weight", of_norm)?;
        Ok((grad + of_stream)?)
    }
}
