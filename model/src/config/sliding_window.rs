//! Which layers attend to the newest tokens alone, as `config.json` says it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{ModelError, Result};

/// Where `config.json` does not say, layers from this one on have the window, as in Hugging Face's default.
const DEFAULT_MAX_WINDOW_LAYERS: usize = 28;

const SLIDING: &str = "sliding_attention";
const FULL: &str = "full_attention";

/// Says which layers attend to the newest tokens alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlidingWindow {
    /// Tokens that a query sees, itself included.
    pub tokens: usize,
    /// The layers that have the window, ascending; all others attend to the whole prefix.
    pub layers: Vec<usize>,
}

/// The fields of `config.json` about windows.
#[derive(Deserialize)]
pub(super) struct RawWindow {
    use_sliding_window: Option<bool>,
    sliding_window: Option<usize>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
}

impl RawWindow {
    /// `layer_types` decides where it is given, `max_window_layers` else; no layer has a window unless
    /// `use_sliding_window` is set.
    pub(super) fn window(&self, num_layers: usize) -> Result<Option<SlidingWindow>> {
        let named = self.layer_types.as_deref().map(|types| sliding_layers(types, num_layers)).transpose()?;
        if self.use_sliding_window != Some(true) {
            if named.is_some_and(|layers| !layers.is_empty()) {
                let reason = format!("names \"{SLIDING}\", but use_sliding_window is not true");
                return Err(ModelError::config("layer_types", reason));
            }
            return Ok(None);
        }
        let first = self.max_window_layers.unwrap_or(DEFAULT_MAX_WINDOW_LAYERS);
        let layers = named.unwrap_or_else(|| (first..num_layers).collect());
        if layers.is_empty() {
            return Ok(None);
        }
        let missing = || ModelError::config("sliding_window", "is missing, but use_sliding_window is true");
        Ok(Some(SlidingWindow { tokens: self.sliding_window.ok_or_else(missing)?, layers }))
    }
}

fn sliding_layers(types: &[String], num_layers: usize) -> Result<Vec<usize>> {
    if types.len() != num_layers {
        let reason = format!("has {} entries for {num_layers} layers", types.len());
        return Err(ModelError::config("layer_types", reason));
    }
    if let Some(other) = types.iter().find(|kind| ![SLIDING, FULL].contains(&kind.as_str())) {
        let reason = format!("\"{other}\" is not supported, only \"{FULL}\" and \"{SLIDING}\" are");
        return Err(ModelError::config("layer_types", reason));
    }
    Ok((0..num_layers).filter(|layer| types[*layer] == SLIDING).collect())
}

impl SlidingWindow {
    /// Checks the window against the number of layers.
    pub(super) fn validate(&self, num_layers: usize) -> Result<()> {
        if self.tokens == 0 {
            return Err(ModelError::config("sliding_window", "must not be 0: a token attends at least to itself"));
        }
        let ascending = self.layers.is_sorted_by(|left, right| left < right);
        if !ascending || self.layers.last().is_none_or(|last| *last >= num_layers) {
            let reason = format!("{:?} does not name some of {num_layers} layers in order", self.layers);
            return Err(ModelError::config("layer_types", reason));
        }
        Ok(())
    }

    /// Adds the fields of `config.json`. Versions without `layer_types` read the first layer with a window alone.
    pub(super) fn write(&self, num_layers: usize, document: &mut Map<String, Value>) {
        let kind = |layer| if self.layers.contains(&layer) { SLIDING } else { FULL };
        let types: Vec<&str> = (0..num_layers).map(kind).collect();
        document.insert("use_sliding_window".to_owned(), json!(true));
        document.insert("sliding_window".to_owned(), json!(self.tokens));
        document.insert("max_window_layers".to_owned(), json!(self.layers.first()));
        document.insert("layer_types".to_owned(), json!(types));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn window(fields: &str, num_layers: usize) -> Result<Option<SlidingWindow>> {
        serde_json::from_str::<RawWindow>(fields).unwrap().window(num_layers)
    }

    #[test]
    fn layers_from_max_window_layers_on_have_the_window() {
        let fields = r#"{"use_sliding_window":true,"sliding_window":4096,"max_window_layers":2}"#;
        assert_eq!(window(fields, 4).unwrap(), Some(SlidingWindow { tokens: 4096, layers: vec![2, 3] }));
        assert_eq!(window(fields, 2).unwrap(), None);
        assert_eq!(window(&fields.replace("true", "false"), 4).unwrap(), None);
    }

    #[test]
    fn layer_types_decide_where_they_are_given() {
        let fields = r#"{"use_sliding_window":true,"sliding_window":8,"max_window_layers":0,
            "layer_types":["sliding_attention","full_attention","sliding_attention"]}"#;
        let expected = SlidingWindow { tokens: 8, layers: vec![0, 2] };
        assert_eq!(window(fields, 3).unwrap(), Some(expected.clone()));
        assert!(window(fields, 2).unwrap_err().to_string().starts_with("layer_types"));
        let mut document = Map::new();
        expected.write(3, &mut document);
        assert_eq!(window(&Value::Object(document).to_string(), 3).unwrap(), Some(expected));
    }

    #[test]
    fn fields_that_contradict_each_other_are_refused() {
        let cases = [
            (r#"{"use_sliding_window":true,"sliding_window":null,"max_window_layers":1}"#, "sliding_window"),
            (r#"{"layer_types":["sliding_attention","full_attention"]}"#, "layer_types"),
            (r#"{"layer_types":["chunked_attention","full_attention"]}"#, "layer_types"),
        ];
        for (fields, field) in cases {
            assert!(window(fields, 2).unwrap_err().to_string().starts_with(field), "{fields}");
        }
        assert!(SlidingWindow { tokens: 0, layers: vec![0] }.validate(1).is_err());
        assert!(SlidingWindow { tokens: 1, layers: vec![1, 0] }.validate(2).is_err());
        assert!(SlidingWindow { tokens: 1, layers: vec![2] }.validate(2).is_err());
    }
}
