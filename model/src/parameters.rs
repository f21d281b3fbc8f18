//! The backbone's parameters: names and shapes as Hugging Face has them, and the views a forward pass works on.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};

use crate::config::{NUM_LABELS, Qwen2Config};
use crate::error::{ModelError, Result};
use crate::random::SeededRng;
use crate::train_config::TrainedParameters;

/// Name of the head's weight, `[2, hidden]`.
pub const HEAD_WEIGHT: &str = "score.weight";
/// Name of the head's bias, `[2]`.
pub const HEAD_BIAS: &str = "score.bias";

const HEAD_DEVIATION: f64 = 0.01;
/// Name of the token embeddings, `[vocabulary, hidden]`.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// Name of the norm before the head, `[hidden]`.
pub(crate) const FINAL_NORM: &str = "model.norm.weight";

/// Tells whether a parameter belongs to the head.
pub fn is_head(name: &str) -> bool {
    name == HEAD_WEIGHT || name == HEAD_BIAS
}

/// Lists the shape of every parameter by name.
pub fn parameter_shapes(config: &Qwen2Config) -> BTreeMap<String, Vec<usize>> {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let (query, shared) = (config.query_width(), config.key_value_width());
    let mut shapes = BTreeMap::from([
        (EMBEDDING.to_owned(), vec![config.vocab_size, hidden]),
        (FINAL_NORM.to_owned(), vec![hidden]),
        (HEAD_WEIGHT.to_owned(), vec![NUM_LABELS, hidden]),
        (HEAD_BIAS.to_owned(), vec![NUM_LABELS]),
    ]);
    let of_layer = [
        ("input_layernorm.weight", vec![hidden]),
        ("self_attn.q_proj.weight", vec![query, hidden]),
        ("self_attn.q_proj.bias", vec![query]),
        ("self_attn.k_proj.weight", vec![shared, hidden]),
        ("self_attn.k_proj.bias", vec![shared]),
        ("self_attn.v_proj.weight", vec![shared, hidden]),
        ("self_attn.v_proj.bias", vec![shared]),
        ("self_attn.o_proj.weight", vec![hidden, query]),
        ("post_attention_layernorm.weight", vec![hidden]),
        ("mlp.gate_proj.weight", vec![inner, hidden]),
        ("mlp.up_proj.weight", vec![inner, hidden]),
        ("mlp.down_proj.weight", vec![hidden, inner]),
    ];
    for layer in 0..config.num_hidden_layers {
        for (name, shape) in &of_layer {
            shapes.insert(layer_parameter(layer, name), shape.clone());
        }
    }
    shapes
}

/// Prefix of the names of a layer's parameters.
pub(crate) fn layer_prefix(layer: usize) -> String {
    format!("model.layers.{layer}.")
}

/// Name of a layer's parameter.
pub(crate) fn layer_parameter(layer: usize, name: &str) -> String {
    format!("{}{name}", layer_prefix(layer))
}

/// Draws a parameter: norms are 1, biases 0, the head normal with deviation 0.01, everything else normal with the
/// configuration's deviation.
///
/// The head is small so that a fresh model calls every step undecided and the first loss is near ln 2.
/// Each parameter has its own stream of the seed, so that one more layer changes no other layer.
///
/// # Errors
/// The device refuses memory.
pub fn random_parameter(
    name: &str,
    shape: &[usize],
    config: &Qwen2Config,
    seed: u64,
    device: &Device,
) -> Result<Tensor> {
    Ok(match Start::of(name, config) {
        Start::Constant(value) => Tensor::full(value, shape, device)?,
        Start::Normal { deviation } => {
            let values = SeededRng::new(seed, name).normals(shape.iter().product(), deviation);
            Tensor::from_vec(values, shape, device)?
        }
    })
}

/// Draws a parameter as [`random_parameter`] does, but with the device's own generator and in `dtype`: for models that
/// the host would take minutes to draw. What comes depends on the device's seed and on what was drawn before.
///
/// # Errors
/// The device refuses memory.
pub fn random_parameter_on(
    name: &str,
    shape: &[usize],
    config: &Qwen2Config,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    Ok(match Start::of(name, config) {
        Start::Constant(value) => Tensor::full(value, shape, device)?.to_dtype(dtype)?,
        // Devices draw no half precision.
        Start::Normal { deviation } => Tensor::randn(0f32, deviation as f32, shape, device)?.to_dtype(dtype)?,
    })
}

/// What a parameter is before training.
enum Start {
    Constant(f32),
    Normal { deviation: f64 },
}

impl Start {
    fn of(name: &str, config: &Qwen2Config) -> Self {
        if name.ends_with("norm.weight") {
            Self::Constant(1.0)
        } else if name.ends_with(".bias") {
            Self::Constant(0.0)
        } else {
            let deviation = if is_head(name) { HEAD_DEVIATION } else { config.initializer_range };
            Self::Normal { deviation }
        }
    }
}

/// The parameters of one decoder layer, as a forward pass reads them.
#[derive(Clone)]
pub(crate) struct LayerWeights {
    pub input_norm: Tensor,
    pub query: Tensor,
    pub query_bias: Tensor,
    pub key: Tensor,
    pub key_bias: Tensor,
    pub value: Tensor,
    pub value_bias: Tensor,
    pub output: Tensor,
    pub mlp_norm: Tensor,
    pub gate: Tensor,
    pub up: Tensor,
    pub down: Tensor,
}

impl LayerWeights {
    /// Views a layer's variables; see [`Weights::new`].
    pub(crate) fn new(
        variables: &BTreeMap<String, Var>,
        layer: usize,
        trained: Option<TrainedParameters>,
    ) -> Result<Self> {
        let get = |name: &str| view(variables, &layer_parameter(layer, name), trained);
        Ok(Self {
            input_norm: get("input_layernorm.weight")?,
            query: get("self_attn.q_proj.weight")?,
            query_bias: get("self_attn.q_proj.bias")?,
            key: get("self_attn.k_proj.weight")?,
            key_bias: get("self_attn.k_proj.bias")?,
            value: get("self_attn.v_proj.weight")?,
            value_bias: get("self_attn.v_proj.bias")?,
            output: get("self_attn.o_proj.weight")?,
            mlp_norm: get("post_attention_layernorm.weight")?,
            gate: get("mlp.gate_proj.weight")?,
            up: get("mlp.up_proj.weight")?,
            down: get("mlp.down_proj.weight")?,
        })
    }
}

/// What a forward pass reads of a variable: itself where a gradient is wanted, else without one.
fn view(variables: &BTreeMap<String, Var>, name: &str, trained: Option<TrainedParameters>) -> Result<Tensor> {
    let variable = variables.get(name);
    let variable = variable.ok_or_else(|| ModelError::Checkpoint(format!("parameter {name} is missing")))?;
    Ok(match trained {
        Some(trained) if trained.includes(name) => variable.as_tensor().clone(),
        _ => variable.as_detached_tensor(),
    })
}

/// All parameters as a forward pass reads them; detached where no gradient is wanted.
pub(crate) struct Weights {
    pub embedding: Tensor,
    pub layers: Vec<LayerWeights>,
    pub final_norm: Tensor,
    pub head: Tensor,
    pub head_bias: Tensor,
}

impl Weights {
    /// Views variables and the first so many layers; `trained` says which of them record gradients, `None` that none does.
    pub(crate) fn new(
        variables: &BTreeMap<String, Var>,
        layers: usize,
        trained: Option<TrainedParameters>,
    ) -> Result<Self> {
        Ok(Self {
            embedding: view(variables, EMBEDDING, trained)?,
            layers: (0..layers).map(|layer| LayerWeights::new(variables, layer, trained)).collect::<Result<_>>()?,
            final_norm: view(variables, FINAL_NORM, trained)?,
            head: view(variables, HEAD_WEIGHT, trained)?,
            head_bias: view(variables, HEAD_BIAS, trained)?,
        })
    }
}
