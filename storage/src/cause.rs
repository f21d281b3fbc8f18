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
        Self { message: redact(&without_markup(message.as_ref())), kind }
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
        other => io_source(other).map_or_else(|| text_kind(&chain(other)), io_kind),
    }
}

/// The kind of a store's failure of which only the text is left. Where another bucket or other rights are needed, another try is of no use.
fn text_kind(text: &str) -> ErrorKind {
    if MISTAKES.contains(&answer_of(text).0) { ErrorKind::Configuration } else { ErrorKind::Transient }
}

/// Tells whether a failure is a store's, by the words of the Delta kernel, whose errors do not hand on their sources.
fn is_of_a_store(text: &str) -> bool {
    text.contains("interacting with object store")
}

/// What S3 and GCS answer to a user's mistake.
const MISTAKES: [&str; 5] =
    ["NoSuchBucket", "InvalidBucketName", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"];

/// The code and the message of a store's answer in XML; empty where there are none.
fn answer_of(text: &str) -> (&str, &str) {
    let part = |name: &str| {
        let rest = text.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    (part("Code").unwrap_or_default(), part("Message").unwrap_or_default())
}

/// Puts a store's code and message in the place of its whole answer in XML.
fn without_markup(text: &str) -> String {
    match (answer_of(text), text.find("<?xml").or_else(|| text.find("<Error>"))) {
        ((code, message), Some(start)) if !code.is_empty() => format!("{}{code}: {message}", &text[..start]),
        _ => text.to_owned(),
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
            other if is_of_a_store(&chain(other)) => text_kind(&chain(other)),
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
    fn a_stores_answer_in_xml_is_its_code_and_message() {
        let answer = "404 Not Found: <?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>There is none</Message>\n</Error>";
        assert_eq!(without_markup(answer), "404 Not Found: NoSuchBucket: There is none");
        assert_eq!(without_markup("a < b"), "a < b");
        assert_eq!(without_markup("<Error></Error>"), "<Error></Error>");
        let error = object_store::Error::Generic { store: "S3", source: answer.into() };
        assert_eq!(store_kind(&error), ErrorKind::Configuration);
        let error = object_store::Error::Generic { store: "S3", source: "no route to host".into() };
        assert_eq!(store_kind(&error), ErrorKind::Transient);
    }

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
