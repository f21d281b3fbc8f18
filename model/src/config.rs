//! The architecture's numbers, read from and written to Hugging Face's `config.json`.

mod sliding_window;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use sliding_window::SlidingWindow;

use crate::error::{ModelError, Result};
use crate::train_config::TrainedParameters;
use sliding_window::RawWindow;

/// Number of classes of the head: 0 is vulnerable, 1 is secure.
pub const NUM_LABELS: usize = 2;

/// Holds the shape of a Qwen2 backbone with a two-class head per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Qwen2Config {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Number of decoder layers.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// Width of one head; even.
    pub head_dim: usize,
    /// Base of the rotary embedding's wavelengths.
    pub rope_theta: f64,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f64,
    /// Standard deviation of random weights.
    pub initializer_range: f64,
    /// Longest sequence the backbone was trained for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether a language-model head would share the embedding; kept for round trips, without effect here.
    pub tie_word_embeddings: bool,
    /// The layers that attend to the newest tokens alone, if any does.
    pub sliding_window: Option<SlidingWindow>,
}

/// The fields of `config.json` that matter here, as files of several library versions spell them.
#[derive(Deserialize)]
struct RawConfig {
    model_type: Option<String>,
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rope_theta: Option<f64>,
    rope_parameters: Option<Value>,
    rope_scaling: Option<Value>,
    rms_norm_eps: Option<f64>,
    initializer_range: Option<f64>,
    max_position_embeddings: Option<usize>,
    tie_word_embeddings: Option<bool>,
    hidden_act: Option<String>,
    id2label: Option<serde_json::Map<String, Value>>,
    num_labels: Option<usize>,
    #[serde(flatten)]
    window: RawWindow,
}

impl Qwen2Config {
    /// Describes the default model for a CPU without pretrained weights: about 0.6 million parameters at a vocabulary of
    /// 2048, so that some ten passes over a hundred functions take well under a minute on two cores.
    pub fn small(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            hidden_size: 128,
            intermediate_size: 352,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: 32,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-6,
            // About 1 / √hidden_size: at 0.02 a narrow model spends its first epochs growing its weights.
            initializer_range: 0.08,
            max_position_embeddings: 32_768,
            tie_word_embeddings: false,
            sliding_window: None,
        }
    }

    /// Reads a `config.json`; unknown keys are ignored.
    ///
    /// # Errors
    /// Names the field that is missing, or that asks for something this crate does not compute.
    pub fn from_json(text: &str) -> Result<Self> {
        let raw: RawConfig =
            serde_json::from_str(text).map_err(|source| ModelError::Json { what: "config.json".to_owned(), source })?;
        raw.refuse_unsupported()?;
        let hidden_size = required(raw.hidden_size, "hidden_size")?;
        let num_attention_heads = required(raw.num_attention_heads, "num_attention_heads")?;
        if num_attention_heads == 0 {
            return Err(ModelError::config("num_attention_heads", "must not be 0"));
        }
        let theta = raw
            .rope_parameters
            .as_ref()
            .and_then(|parameters| parameters.get("rope_theta"))
            .and_then(Value::as_f64)
            .or(raw.rope_theta)
            .unwrap_or(10_000.0);
        let num_hidden_layers = required(raw.num_hidden_layers, "num_hidden_layers")?;
        let config = Self {
            vocab_size: required(raw.vocab_size, "vocab_size")?,
            hidden_size,
            intermediate_size: required(raw.intermediate_size, "intermediate_size")?,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: raw.num_key_value_heads.unwrap_or(num_attention_heads),
            head_dim: raw.head_dim.unwrap_or(hidden_size / num_attention_heads),
            rope_theta: theta,
            rms_norm_eps: raw.rms_norm_eps.unwrap_or(1e-6),
            initializer_range: raw.initializer_range.unwrap_or(0.02),
            max_position_embeddings: raw.max_position_embeddings.unwrap_or(32_768),
            tie_word_embeddings: raw.tie_word_embeddings.unwrap_or(false),
            sliding_window: raw.window.window(num_hidden_layers)?,
        };
        config.validate()?;
        Ok(config)
    }

    /// Writes `config.json` in the layout of `Qwen2ForTokenClassification`, with both spellings of the rotary base.
    pub fn to_json(&self) -> String {
        let mut document = json!({
            "architectures": ["Qwen2ForTokenClassification"],
            "model_type": "qwen2",
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "rope_theta": self.rope_theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "rms_norm_eps": self.rms_norm_eps,
            "initializer_range": self.initializer_range,
            "max_position_embeddings": self.max_position_embeddings,
            "tie_word_embeddings": self.tie_word_embeddings,
            "use_sliding_window": false,
            "attention_dropout": 0.0,
            "classifier_dropout": 0.0,
            "id2label": {"0": "vulnerable", "1": "secure"},
            "label2id": {"vulnerable": 0, "secure": 1},
            "torch_dtype": "float32",
        });
        if let (Some(window), Value::Object(fields)) = (&self.sliding_window, &mut document) {
            window.write(self.num_hidden_layers, fields);
        }
        format!("{document:#}\n")
    }

    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Names the first field that does not.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
        ];
        for (field, value) in sizes {
            if value == 0 {
                return Err(ModelError::config(field, "must not be 0"));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let reason = format!(
                "{} does not divide num_attention_heads = {}",
                self.num_key_value_heads, self.num_attention_heads
            );
            return Err(ModelError::config("num_key_value_heads", reason));
        }
        if !self.head_dim.is_multiple_of(2) {
            let reason = format!("{} is odd, but rotary embedding turns pairs", self.head_dim);
            return Err(ModelError::config("head_dim", reason));
        }
        for (field, value) in [
            ("rope_theta", self.rope_theta),
            ("rms_norm_eps", self.rms_norm_eps),
            ("initializer_range", self.initializer_range),
        ] {
            if !value.is_finite() || value <= 0.0 {
                return Err(ModelError::config(field, format!("{value} is not a positive number")));
            }
        }
        self.sliding_window.as_ref().map_or(Ok(()), |window| window.validate(self.num_hidden_layers))
    }

    /// Tokens that a query of a layer sees, itself included; `None` is the whole prefix.
    pub fn attention_window(&self, layer: usize) -> Option<usize> {
        self.sliding_window.as_ref().filter(|window| window.layers.contains(&layer)).map(|window| window.tokens)
    }

    /// Floating-point operations of a training step on a sequence of so many tokens: two per weight of a matrix and token, and two per query
    /// and key before it for scores and for values, tripled where the backward goes through the backbone. Recomputation does not count, as
    /// usual for model FLOPs utilisation (MFU).
    pub fn training_flops(&self, tokens: u64, trained: TrainedParameters) -> u64 {
        let (hidden, inner) = (self.hidden_size as u64, self.intermediate_size as u64);
        let (query, shared) = (self.query_width() as u64, self.key_value_width() as u64);
        let matrices = hidden * (2 * query + 2 * shared) + 3 * hidden * inner;
        let attention = 2 * query * tokens.div_ceil(2);
        let forward = 2 * tokens * (matrices + attention) * self.num_hidden_layers as u64;
        match trained {
            TrainedParameters::Head => forward,
            TrainedParameters::All => 3 * forward,
        }
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads together, which is that of the value heads too.
    pub fn key_value_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }
}

impl RawConfig {
    fn refuse_unsupported(&self) -> Result<()> {
        if let Some(model_type) = self.model_type.as_deref().filter(|name| *name != "qwen2") {
            let reason = format!("\"{model_type}\" is not supported, only \"qwen2\" is");
            return Err(ModelError::config("model_type", reason));
        }
        if let Some(activation) = self.hidden_act.as_deref().filter(|name| *name != "silu") {
            let reason = format!("\"{activation}\" is not supported, only \"silu\" is");
            return Err(ModelError::config("hidden_act", reason));
        }
        for (field, rope) in [("rope_scaling", &self.rope_scaling), ("rope_parameters", &self.rope_parameters)] {
            let kind = rope.as_ref().and_then(|rope| rope.get("rope_type").or_else(|| rope.get("type")));
            if let Some(kind) = kind.and_then(Value::as_str).filter(|kind| *kind != "default") {
                let reason = format!("rope type \"{kind}\" is not supported, only \"default\" is");
                return Err(ModelError::config(field, reason));
            }
        }
        let labels = self.id2label.as_ref().map(serde_json::Map::len).or(self.num_labels);
        if let Some(labels) = labels.filter(|labels| *labels != NUM_LABELS) {
            let reason = format!("the head must have {NUM_LABELS} classes (0 vulnerable, 1 secure), not {labels}");
            return Err(ModelError::config("id2label", reason));
        }
        Ok(())
    }
}

fn required<T>(value: Option<T>, field: &str) -> Result<T> {
    value.ok_or_else(|| ModelError::config(field, "is missing from config.json"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const QWEN: &str = r#"{"architectures":["Qwen2ForCausalLM"],"hidden_act":"silu","hidden_size":896,
        "initializer_range":0.02,"intermediate_size":4864,"max_position_embeddings":32768,"max_window_layers":24,
        "model_type":"qwen2","num_attention_heads":14,"num_hidden_layers":24,"num_key_value_heads":2,
        "rms_norm_eps":1e-06,"rope_theta":1000000.0,"sliding_window":32768,"tie_word_embeddings":true,
        "use_cache":true,"use_sliding_window":false,"vocab_size":151936}"#;

    #[test]
    fn a_file_of_the_causal_model_is_read() {
        let config = Qwen2Config::from_json(QWEN).unwrap();
        assert_eq!(config.head_dim, 64);
        assert_eq!(config.key_value_width(), 128);
        assert_eq!(config.rope_theta, 1e6);
        assert!(config.tie_word_embeddings);
    }

    #[test]
    fn both_spellings_of_the_rotary_base_are_read() {
        let newer = QWEN.replace(
            "\"rope_theta\":1000000.0",
            "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":500000.0}",
        );
        assert_eq!(Qwen2Config::from_json(&newer).unwrap().rope_theta, 500_000.0);
    }

    #[test]
    fn writing_and_reading_again_gives_the_same() {
        let config = Qwen2Config::small(2048);
        assert_eq!(Qwen2Config::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn a_window_is_read_and_written_and_holds_for_its_layers() {
        let text = QWEN.replace("\"use_sliding_window\":false", "\"use_sliding_window\":true");
        assert_eq!(Qwen2Config::from_json(&text).unwrap().sliding_window, None);
        let text = text.replace("\"max_window_layers\":24", "\"max_window_layers\":21");
        let config = Qwen2Config::from_json(&text).unwrap();
        assert_eq!(config.attention_window(20), None);
        assert_eq!(config.attention_window(23), Some(32_768));
        assert_eq!(Qwen2Config::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn what_cannot_be_computed_is_refused_by_name() {
        let cases = [
            ("\"sliding_window\":32768", "\"layer_types\":[]", "layer_types"),
            ("\"qwen2\"", "\"llama\"", "model_type"),
            ("\"silu\"", "\"gelu\"", "hidden_act"),
            ("\"num_key_value_heads\":2", "\"num_key_value_heads\":3", "num_key_value_heads"),
            ("\"hidden_size\":896,", "", "hidden_size"),
            ("\"vocab_size\":151936", "\"vocab_size\":0", "vocab_size"),
            ("\"use_cache\":true", "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4.0}", "rope_scaling"),
            ("\"use_cache\":true", "\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"}", "id2label"),
        ];
        for (from, to, field) in cases {
            let error = Qwen2Config::from_json(&QWEN.replace(from, to)).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
        }
    }
}
