//! The crate's one error type, and the coarse kinds that a command line maps to exit codes.

use std::path::PathBuf;

/// Abbreviates results of this crate.
pub type Result<T> = std::result::Result<T, ModelError>;

/// Names who has to act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting or a `config.json` is wrong: the user edits it.
    Config,
    /// The data handed in does not fit: ids out of range, lengths that differ, nothing to learn from.
    Input,
    /// A checkpoint can't be read or written, or does not hold what its configuration says.
    Checkpoint,
    /// Numbers stopped being finite.
    Numeric,
    /// Another rank of the job is gone or can't be reached: the job may be started again.
    Collective,
    /// A tensor operation failed for a reason no caller can mend.
    Internal,
}

/// Describes what went wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A field of a configuration has a value this crate can't work with.
    #[error("{field}: {reason}")]
    Config {
        /// The field's name as written in the file.
        field: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// A JSON document could not be parsed.
    #[error("{what} is not valid: {source}")]
    Json {
        /// Which document.
        what: String,
        /// The parser's complaint with its position.
        source: serde_json::Error,
    },
    /// The caller's data do not fit together.
    #[error("{0}")]
    Input(String),
    /// The tokenizer library refused.
    #[error("tokenizer: {action} failed: {source}")]
    Tokenizer {
        /// What was tried.
        action: &'static str,
        /// The library's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A checkpoint is incomplete or contradicts itself.
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    /// A file of a checkpoint could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path that was touched.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Numbers stopped being finite.
    #[error("{0}")]
    Numeric(String),
    /// A source of examples failed for a reason of its own.
    #[error("cannot read an example: {0}")]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// Ranks can't work together.
    #[error("ranks: {0}")]
    Collective(String),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Compute(#[from] candle_core::Error),
}

impl ModelError {
    /// Returns the coarse kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config { .. } => ErrorKind::Config,
            Self::Json { .. } | Self::Checkpoint(_) | Self::Io { .. } => ErrorKind::Checkpoint,
            Self::Input(_) | Self::Tokenizer { .. } | Self::Source(_) => ErrorKind::Input,
            Self::Numeric(_) => ErrorKind::Numeric,
            Self::Collective(_) => ErrorKind::Collective,
            Self::Compute(_) => ErrorKind::Internal,
        }
    }

    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_error_names_its_field_first() {
        let error = ModelError::config("hidden_size", "must not be 0");
        assert_eq!(error.to_string(), "hidden_size: must not be 0");
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}
