//! Errors of the libraries below: their kind, and their text without secrets.

use std::fmt;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;

use crate::error::ErrorKind;

/// The redacted text of an error of a library below, with its kind.
///
/// The original is dropped on purpose: its own message and sources may quote signed URLs.
#[derive(Debug, Clone)]
pub struct Cause {
    message: String,
    kind: ErrorKind,
}

impl Cause {
    pub(crate) fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self { message: redact(message.as_ref()), kind }
    }

    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {}

/// Joins an error with its sources, leaving out texts that the one before already quotes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let line = source.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        next = source.source();
    }
    text
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        Self::new(io_kind(&error), chain(&error))
    }
}

fn io_kind(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied
        | Io::ReadOnlyFilesystem
        | Io::InvalidInput
        | Io::NotADirectory
        | Io::IsADirectory
        | Io::DirectoryNotEmpty
        | Io::InvalidFilename => ErrorKind::Configuration,
        Io::AlreadyExists => ErrorKind::Conflict,
        Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
        _ => ErrorKind::Transient,
    }
}

impl From<object_store::Error> for Cause {
    fn from(error: object_store::Error) -> Self {
        Self::new(store_kind(&error), chain(&error))
    }
}

pub(crate) fn store_kind(error: &object_store::Error) -> ErrorKind {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => ErrorKind::NotFound,
        Store::AlreadyExists { .. } | Store::Precondition { .. } => ErrorKind::Conflict,
        Store::InvalidPath { .. }
        | Store::NotSupported { .. }
        | Store::NotImplemented { .. }
        | Store::PermissionDenied { .. }
        | Store::Unauthenticated { .. }
        | Store::UnknownConfigurationKey { .. } => ErrorKind::Configuration,
        other => io_source(other).map_or(ErrorKind::Transient, io_kind),
    }
}

/// Finds the operating system's error in a chain of sources.
fn io_source<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e std::io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

impl From<DeltaTableError> for Cause {
    fn from(error: DeltaTableError) -> Self {
        let kind = match &error {
            DeltaTableError::NotATable(_) | DeltaTableError::InvalidVersion(_) => ErrorKind::NotFound,
            DeltaTableError::VersionAlreadyExists(_) => ErrorKind::Conflict,
            DeltaTableError::Transaction { source } => match source {
                TransactionError::VersionAlreadyExists(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::MaxCommitAttempts(_) => ErrorKind::Conflict,
                TransactionError::ObjectStore { source } => store_kind(source),
                TransactionError::UnsupportedTableFeatures(_)
                | TransactionError::TableFeaturesRequired(_)
                | TransactionError::DeltaTableAppendOnly => ErrorKind::Configuration,
                _ => ErrorKind::Internal,
            },
            DeltaTableError::ObjectStore { source } => store_kind(source),
            DeltaTableError::Io { source } => io_kind(source),
            DeltaTableError::InvalidJsonLog { .. }
            | DeltaTableError::InvalidStatsJson { .. }
            | DeltaTableError::MetadataError(_)
            | DeltaTableError::NoSchema => ErrorKind::Corrupt,
            DeltaTableError::SchemaMismatch { .. } => ErrorKind::Configuration,
            other => io_source(other).map_or(ErrorKind::Internal, io_kind),
        };
        Self::new(kind, chain(&error))
    }
}

impl From<datafusion::error::DataFusionError> for Cause {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError as Engine;
        let kind = match error.find_root() {
            Engine::ResourcesExhausted(_) => ErrorKind::Transient,
            Engine::ObjectStore(source) => store_kind(source),
            Engine::IoError(source) => io_kind(source),
            Engine::ParquetError(_) => ErrorKind::Corrupt,
            Engine::Plan(_) | Engine::SQL(..) | Engine::SchemaError(..) | Engine::Configuration(_) => {
                ErrorKind::Configuration
            }
            _ => ErrorKind::Internal,
        };
        Self::new(kind, error.strip_backtrace())
    }
}

impl From<parquet::errors::ParquetError> for Cause {
    fn from(error: parquet::errors::ParquetError) -> Self {
        let kind = io_source(&error).map_or(ErrorKind::Corrupt, io_kind);
        Self::new(kind, chain(&error))
    }
}

impl From<arrow::error::ArrowError> for Cause {
    fn from(error: arrow::error::ArrowError) -> Self {
        let kind = io_source(&error).map_or(ErrorKind::Internal, io_kind);
        Self::new(kind, chain(&error))
    }
}

impl From<tokio::task::JoinError> for Cause {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}

/// Removes user names, passwords, queries and fragments from every URL in a text.
///
/// `https://key:secret@host/a?sig=1` becomes `https://host/a`; text that is no URL stays as it is.
pub fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start + 3);
        clean.push_str(before);
        let end = url.find(ends_url).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        let public = url.split(['?', '#']).next().unwrap_or_default();
        let authority_end = public.find('/').unwrap_or(public.len());
        let (authority, path) = public.split_at(authority_end);
        // A password may hold an unescaped slash, so an `@` further on also ends the user's part.
        match (authority.rfind('@'), authority.contains(':'), path.rfind('@')) {
            (Some(at), _, _) => clean.push_str(&public[at + 1..]),
            (None, true, Some(at)) => clean.push_str(&path[at + 1..]),
            _ => clean.push_str(public),
        }
        rest = after;
    }
    clean.push_str(rest);
    clean
}

fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ',' | ';' | '}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_survive_redaction() {
        let cases = [
            ("s3://bucket/a/b", "s3://bucket/a/b"),
            ("s3://key:secret@bucket/a", "s3://bucket/a"),
            ("https://h/a?X-Amz-Signature=secret&b=1", "https://h/a"),
            ("GET `https://u:secret@h:9000/a?t=secret#secret`: no", "GET `https://h:9000/a`: no"),
            ("az://account:se/cret@container/x", "az://container/x"),
            ("no url: a@b ? c", "no url: a@b ? c"),
            ("file:///data/mail@host/x", "file:///data/mail@host/x"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected);
            assert!(!redact(text).contains("secret"));
        }
    }
}
