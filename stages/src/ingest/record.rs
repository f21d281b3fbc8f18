//! What a reader hands over: pairs and rejects, each with its place in the raw file.

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// Whether a dataset row came with its counterpart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subset {
    /// Both versions.
    Paired,
    /// One version alone.
    Unpaired,
}

impl Subset {
    /// Lists both subsets.
    pub const ALL: [Subset; 2] = [Subset::Paired, Subset::Unpaired];

    /// Returns the name in the column `subset`.
    pub fn as_str(self) -> &'static str {
        match self {
            Subset::Paired => "paired",
            Subset::Unpaired => "unpaired",
        }
    }
}

/// What a pair's code is a text of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// One function.
    Function,
    /// One file.
    File,
    /// All files of one commit.
    Repository,
}

impl Granularity {
    /// Lists every granularity, from the smallest.
    pub const ALL: [Granularity; 3] = [Granularity::Function, Granularity::File, Granularity::Repository];

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
    /// When the vulnerability was published, in microseconds since 1970 UTC: stands in where the commit has no date.
    pub published_at: Option<i64>,
    /// The file's path in its repository.
    pub file_path: Option<String>,
    /// The function's name.
    pub function_name: Option<String>,
    /// The vulnerable version.
    pub vulnerable_code: Option<String>,
    /// The fixed (or never vulnerable) version.
    pub secure_code: Option<String>,
    /// The files that both versions are made of, one behind the other, where they are several; else empty.
    pub files: Vec<PairFile>,
    /// Lines of the vulnerable version, from 1, ascending, that the dataset's experts marked.
    pub expert_lines: Vec<u32>,
}

impl Pair {
    /// Makes a pair of which nothing else is known.
    pub fn bare(subset: Subset, granularity: Granularity, language: Language) -> Pair {
        Pair {
            subset,
            upstream_split: None,
            granularity,
            language,
            cwe: Vec::new(),
            cve: None,
            project: None,
            commit_id: None,
            committed_at: None,
            published_at: None,
            file_path: None,
            function_name: None,
            vulnerable_code: None,
            secure_code: None,
            files: Vec::new(),
            expert_lines: Vec::new(),
        }
    }
}

/// One of the files that a pair's versions are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairFile {
    /// The file's path in its repository.
    pub path: String,
    /// The language, by the file's name.
    pub language: Language,
    /// The byte of the vulnerable version behind this file; it begins where the file before ended.
    pub vulnerable_end: usize,
    /// The same in the fixed version.
    pub secure_end: usize,
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
    /// The record is no CSV record of the layout: another number of fields, a quote that never closes.
    InvalidCsv,
    /// One version of a pair whose other version is not where the layout says.
    NoCounterpart,
    /// No changed file is in a language whose code is split into steps.
    UnsupportedLanguage,
    /// The dataset itself calls the record outdated.
    Outdated,
    /// The dataset judges nothing in the record vulnerable.
    NotVulnerable,
    /// An entry of an archive that must not be unpacked: its path climbs out, it is a link, it is encrypted, it inflates without end.
    InvalidArchiveEntry,
}

impl RejectReason {
    /// Lists every reason, in the order of declaration.
    pub const ALL: [RejectReason; 14] = [
        RejectReason::InvalidUtf8,
        RejectReason::InvalidJson,
        RejectReason::NotAnObject,
        RejectReason::MissingField,
        RejectReason::WrongType,
        RejectReason::InvalidValue,
        RejectReason::EmptyCode,
        RejectReason::TooLarge,
        RejectReason::InvalidCsv,
        RejectReason::NoCounterpart,
        RejectReason::UnsupportedLanguage,
        RejectReason::Outdated,
        RejectReason::NotVulnerable,
        RejectReason::InvalidArchiveEntry,
    ];

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
            RejectReason::InvalidCsv => "invalid_csv",
            RejectReason::NoCounterpart => "no_counterpart",
            RejectReason::UnsupportedLanguage => "unsupported_language",
            RejectReason::Outdated => "outdated",
            RejectReason::NotVulnerable => "not_vulnerable",
            RejectReason::InvalidArchiveEntry => "invalid_archive_entry",
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
///
/// A record may give several (ReposVul has a commit a record), and a pair may be made of several records (PrimeVul has a version a
/// record); every record of a file is in at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The record's position in its file, from 0; the first one's, where there are several.
    pub row: u64,
    /// How many records, `row` the first of them.
    pub records: u32,
    /// The byte at which the (first) record starts, in the decompressed file.
    pub byte_offset: u64,
    /// What became of it.
    pub outcome: Result<Box<Pair>, Reject>,
}
