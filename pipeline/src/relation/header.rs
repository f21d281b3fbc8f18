//! The `--!` lines at the top of a `.sql` file: TOML, one key a line.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::Severity;
use crate::error::{Error, Result};

/// Whether a table is recomputed slice by slice or whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Rows of a slice come from the same slice of the inputs: only slices whose inputs changed are recomputed.
    Slice,
    /// The table is recomputed whole when any input changed.
    Global,
}

/// The options of a relation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What one row is.
    pub description: String,
    /// Tables: how they are recomputed; `global` when not given.
    #[serde(default = "global")]
    pub scope: Scope,
    /// Checks: what failing rows mean; `error` when not given.
    #[serde(default = "error")]
    pub severity: Severity,
    /// What columns hold, by name; becomes the Delta columns' comments.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
}

fn global() -> Scope {
    Scope::Global
}

fn error() -> Severity {
    Severity::Error
}

impl Header {
    /// Parses the header out of a file's text.
    ///
    /// # Errors
    /// Of kind usage: no `description`, an unknown key, a value of the wrong type.
    pub fn parse(text: &str) -> Result<Header> {
        let toml_text: String =
            text.lines().filter_map(|line| line.strip_prefix("--!")).map(|line| format!("{}\n", line.trim())).collect();
        toml::from_str(&toml_text).map_err(|error| {
            Error::usage(format!("header: {}", error.message()))
                .hint("the header's lines start with `--!`; keys: description, scope, severity, [columns]")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_header_has_defaults_and_refuses_unknown_keys() {
        let header = Header::parse("--! description = \"rows\"\nSELECT 1").unwrap();
        assert_eq!(header.scope, Scope::Global);
        assert_eq!(header.severity, Severity::Error);
        assert!(
            Header::parse("--! description = \"x\"\n--! sverity = \"warn\"")
                .unwrap_err()
                .to_string()
                .contains("sverity")
        );
        assert!(Header::parse("SELECT 1").unwrap_err().to_string().contains("description"));
    }
}
