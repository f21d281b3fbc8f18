//! What a reader hands over: pairs and rejects, each with its place in the raw file.

use serde::Serialize;

use crate::language::Language;

/// Whether a dataset row came with its counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subset {
    /// Both versions.
    Paired,
    /// One version alone.
    Unpaired,
}

impl Subset {
    /// Returns the name in the column `subset`.
    pub fn as_str(self) -> &'static str {
        match self {
            Subset::Paired => "paired",
            Subset::Unpaired => "unpaired",
        }
    }
}

/// What a pair's code is a text of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// One function.
    Function,
    /// One file.
    File,
    /// All files of one commit.
    Repository,
}

impl Granularity {
    /// Returns the name in the column `granularity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Granularity::Function => "function",
            Granularity::File => "file",
            Granularity::Repository => "repository",
        }
    }
}

/// A vulnerable/fixed pair, or one side alone, as its dataset tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Paired or unpaired.
    pub subset: Subset,
    /// The dataset's own name of the split, if it has splits.
    pub upstream_split: Option<String>,
    /// Function, file or repository.
    pub granularity: Granularity,
    /// The language, by the file's name.
    pub language: Language,
    /// CWE identifiers as `CWE-79`.
    pub cwe: Vec<String>,
    /// CVE identifier.
    pub cve: Option<String>,
    /// `owner/repository`, or the dataset's name of the project.
    pub project: Option<String>,
    /// The fixing commit.
    pub commit_id: Option<String>,
    /// When it was committed, in microseconds since 1970 UTC.
    pub committed_at: Option<i64>,
    /// The file's path in its repository.
    pub file_path: Option<String>,
    /// The function's name.
    pub function_name: Option<String>,
    /// The vulnerable version.
    pub vulnerable_code: Option<String>,
    /// The fixed (or never vulnerable) version.
    pub secure_code: Option<String>,
}

/// Why a raw record is not carried on. Closed: tables and docs list exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// The record's bytes are no UTF-8.
    InvalidUtf8,
    /// The record is no JSON.
    InvalidJson,
    /// The record is JSON of another shape than an object.
    NotAnObject,
    /// A field the layout always has is missing or null.
    MissingField,
    /// A field has another type than the layout says.
    WrongType,
    /// A field's value is outside of what the layout allows.
    InvalidValue,
    /// No version has any code.
    EmptyCode,
    /// The record is larger than `max_record_bytes`.
    TooLarge,
}

impl RejectReason {
    /// Returns the name in the column `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::InvalidUtf8 => "invalid_utf8",
            RejectReason::InvalidJson => "invalid_json",
            RejectReason::NotAnObject => "not_an_object",
            RejectReason::MissingField => "missing_field",
            RejectReason::WrongType => "wrong_type",
            RejectReason::InvalidValue => "invalid_value",
            RejectReason::EmptyCode => "empty_code",
            RejectReason::TooLarge => "too_large",
        }
    }
}

/// A raw record that is not carried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why, as one of a closed set.
    pub reason: RejectReason,
    /// Why, in words: which field, what was found.
    pub detail: String,
    /// The record's text as far as it can be shown.
    pub raw: Option<String>,
}

/// A pair or a reject and the raw record it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The record's position in its file, from 0.
    pub row: u64,
    /// The byte at which the record starts.
    pub byte_offset: u64,
    /// What became of it.
    pub outcome: Result<Box<Pair>, Reject>,
}
