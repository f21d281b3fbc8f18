//! Floats in JSON as text: the shortest that reads back to the same bits, and NaN and infinities, which JSON's numbers lack.
//!
//! For fields of type `Option<f64>`: `#[serde(with = "secprm_model::exact")]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a number as text.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    number.map(|number| number.to_string()).serialize(serializer)
}

/// Reads a number from text.
///
/// # Errors
/// The text is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no number")))).transpose()
}
