//! What went wrong, what to do about it, and which exit code says so.

use std::fmt;

use secprm_model::ErrorKind as ModelErrorKind;
use secprm_stages::StageError;
use secprm_storage::{ErrorKind as StorageErrorKind, StorageError};

/// A result of the pipeline.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure a caller can act upon; each has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stage failed: its input or the machine is at fault. Exit code 1.
    Stage,
    /// Wrong usage or configuration. Exit code 2.
    Usage,
    /// The data checks failed; a retry would fail again. Exit code 3.
    Checks,
    /// Storage or lock trouble that may pass; retry. Exit code 4.
    Transient,
    /// A bug in secprm. Exit code 5.
    Bug,
    /// Interrupted by the user. Exit code 130.
    Interrupted,
}

impl Kind {
    /// Returns the kind that an exit code stands for, such as that of another rank.
    pub fn of_exit_code(code: u8) -> Kind {
        let kinds = [Kind::Stage, Kind::Usage, Kind::Checks, Kind::Transient, Kind::Bug, Kind::Interrupted];
        kinds.into_iter().find(|kind| kind.exit_code() == code).unwrap_or(Kind::Stage)
    }

    /// Returns the kind of a model's error.
    pub fn of_model_error(error: &secprm_model::ModelError) -> Kind {
        match error.kind() {
            ModelErrorKind::Config => Kind::Usage,
            ModelErrorKind::Collective => Kind::Transient,
            _ => Kind::Stage,
        }
    }

    /// Returns the process exit code, as docs/operations.md lists them.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Stage => 1,
            Kind::Usage => 2,
            Kind::Checks => 3,
            Kind::Transient => 4,
            Kind::Bug => 5,
            Kind::Interrupted => 130,
        }
    }
}

/// A failure with its kind, one line of message and, where we know one, a remedy.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// Makes an error of a kind; `message` is one lower-case line without a final full stop.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: one_line(&message.into()), hint: None }
    }

    /// Makes a usage or configuration error.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(Kind::Usage, message)
    }

    /// Makes an error that only a defect of secprm explains.
    pub fn bug(message: impl Into<String>) -> Self {
        Error::new(Kind::Bug, message)
    }

    /// Adds the remedy, printed on a `hint:` line.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(one_line(&hint.into()));
        self
    }

    /// Puts what was being done before the message.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Returns our own error that the query engine carried, if there is one in what it says.
    pub fn within(error: &datafusion::error::DataFusionError) -> Option<&Error> {
        match error.find_root() {
            datafusion::error::DataFusionError::External(cause) => cause.downcast_ref(),
            _ => None,
        }
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the remedy, if one is known.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let kind = match error.kind() {
            StorageErrorKind::Configuration => Kind::Usage,
            StorageErrorKind::Conflict | StorageErrorKind::Transient => Kind::Transient,
            StorageErrorKind::NotFound | StorageErrorKind::Corrupt => Kind::Stage,
            StorageErrorKind::Internal => Kind::Stage,
        };
        Error::new(kind, with_causes(&error))
    }
}

impl From<secprm_model::ModelError> for Error {
    fn from(error: secprm_model::ModelError) -> Self {
        Error::new(Kind::of_model_error(&error), with_causes(&error))
    }
}

impl From<StageError> for Error {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Storage(error) => error.into(),
            StageError::Model(error) => error.into(),
            StageError::Source { message, remedy } => Error::usage(message).hint(remedy),
            StageError::Interrupted => Error::new(Kind::Interrupted, "interrupted"),
            other => Error::new(Kind::Stage, with_causes(&other)),
        }
    }
}

impl From<datafusion::error::DataFusionError> for Error {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Error::within(&error).cloned().unwrap_or_else(|| Error::new(Kind::Stage, in_plain_words(&error)))
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Error::new(Kind::Stage, error.to_string())
    }
}

/// Returns what the query engine says without the names of its own parts.
pub fn in_plain_words(error: &datafusion::error::DataFusionError) -> String {
    const PREFIXES: [&str; 5] =
        ["Error during planning: ", "Schema error: ", "Execution error: ", "SQL error: ", "External error: "];
    let message = error.strip_backtrace();
    let mut plain = message.as_str();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| plain.strip_prefix(prefix)) {
        plain = rest;
    }
    let parser = plain.strip_prefix("ParserError(\"").and_then(|rest| rest.strip_suffix("\")"));
    parser.unwrap_or(plain).to_owned()
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(".; ", ". ")
}

/// Joins an error and its sources, leaving out a source whose text the error already shows.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
