//! The one error type of this crate: what was tried, on what, why it failed, and of which kind.
//!
//! Messages may end up in logs and tables, so every text that comes from elsewhere passes
//! [`redact`] before it is kept: an error can be printed with its whole chain of causes.

use std::fmt;

use crate::cause::{Cause, redact};

/// The result of an operation of this crate.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// The kind of a [`StorageError`], from which a program chooses its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller asked for something that cannot work: a bad path, scheme, schema or permission.
    Configuration,
    /// The named file, table or version does not exist.
    NotFound,
    /// Another writer was faster; the work must be redone on the new state.
    Conflict,
    /// Trying again later may help: the network, a full disk, a lock held by another run.
    Transient,
    /// What is stored is not what it should be.
    Corrupt,
    /// A bug, here or below.
    Internal,
}

/// Everything that can go wrong between the pipeline and its storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A path, URL or name that cannot be used.
    #[error("cannot use {what} `{value}`: {problem}")]
    Invalid {
        /// What the value was meant to be, for example `warehouse`.
        what: &'static str,
        /// The value, redacted.
        value: String,
        /// Why it cannot be used and what to write instead.
        problem: String,
    },

    /// A file, folder, table or version that does not exist.
    #[error("{what} `{value}` does not exist{hint}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its path or name, redacted.
        value: String,
        /// Where it was looked for or what exists instead; empty or ready to follow the value.
        hint: String,
    },

    /// A failed operation on an object store or a file.
    #[error("cannot {action} `{path}`")]
    Store {
        /// The operation, for example `read`.
        action: &'static str,
        /// The object or file, redacted.
        path: String,
        /// Why it failed.
        #[source]
        source: Cause,
    },

    /// A failed operation on a Delta table.
    #[error("cannot {action} table `{table}`")]
    Delta {
        /// The operation, for example `commit to`.
        action: &'static str,
        /// The table's name.
        table: String,
        /// Why it failed.
        #[source]
        source: Cause,
    },

    /// Another writer committed to the table since it was read.
    #[error(
        "another writer changed table `{table}` after {}; run again on its new state",
        read_version.map_or_else(|| "it was found missing".to_owned(), |v| format!("version {v} was read"))
    )]
    Conflict {
        /// The table's name.
        table: String,
        /// The version this commit was based on; none when the table did not exist.
        read_version: Option<u64>,
    },

    /// Another run holds the warehouse.
    #[error("another run ({holder}) is writing to warehouse `{warehouse}`; wait for it or stop it")]
    Locked {
        /// The warehouse's URL, redacted.
        warehouse: String,
        /// What is known of the other run.
        holder: String,
    },

    /// Rows or columns that do not fit the table.
    #[error("table `{table}`: {problem}")]
    Schema {
        /// The table's name.
        table: String,
        /// Which column differs, how, and what to do.
        problem: String,
    },

    /// A caller that broke the contract of this crate.
    #[error("table `{table}`: {problem} (this is a bug)")]
    Misuse {
        /// The table's name.
        table: String,
        /// What was wrong with the call.
        problem: String,
    },

    /// A live file of a table's version that is gone, or is not the file that the log names.
    #[error("file `{file}` of table `{table}` (version {version}) {problem}")]
    LiveFile {
        /// The table's name.
        table: String,
        /// The table's version.
        version: u64,
        /// The file, redacted.
        file: String,
        /// What is wrong with it and what to do.
        problem: String,
        /// [`ErrorKind::NotFound`] for a file that is gone, [`ErrorKind::Corrupt`] for another file in its place.
        kind: ErrorKind,
    },

    /// A row that could not be read, after every attempt.
    #[error("cannot read row {row} of file `{file}` ({attempts} {})", if *attempts == 1 { "attempt" } else { "attempts" })]
    Row {
        /// The file, redacted.
        file: String,
        /// The row within the file, counted from 0: the first of those that were read together.
        row: u64,
        /// How often it was tried.
        attempts: u32,
        /// Why the last attempt failed.
        #[source]
        source: Cause,
    },

    /// A query engine that could not be set up.
    #[error("cannot set up the query engine")]
    Session {
        /// Why it failed.
        #[source]
        source: Cause,
    },
}

impl StorageError {
    /// The kind of this error, from which a program chooses its exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::Schema { .. } => ErrorKind::Configuration,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Locked { .. } => ErrorKind::Transient,
            Self::Misuse { .. } => ErrorKind::Internal,
            Self::LiveFile { kind, .. } => *kind,
            Self::Store { source, .. }
            | Self::Delta { source, .. }
            | Self::Row { source, .. }
            | Self::Session { source, .. } => source.kind(),
        }
    }

    /// Tells whether the error says that something is missing.
    pub fn is_not_found(&self) -> bool {
        self.kind() == ErrorKind::NotFound
    }

    pub(crate) fn store(action: &'static str, path: impl fmt::Display, cause: impl Into<Cause>) -> Self {
        Self::Store { action, path: redact(&path.to_string()), source: cause.into() }
    }

    pub(crate) fn delta(action: &'static str, table: &str, cause: impl Into<Cause>) -> Self {
        Self::Delta { action, table: table.to_owned(), source: cause.into() }
    }

    pub(crate) fn schema(table: &str, problem: impl Into<String>) -> Self {
        Self::Schema { table: table.to_owned(), problem: problem.into() }
    }

    pub(crate) fn misuse(table: &str, problem: impl Into<String>) -> Self {
        Self::Misuse { table: table.to_owned(), problem: problem.into() }
    }

    pub(crate) fn no_table(name: &str) -> Self {
        Self::NotFound { what: "table", value: name.to_owned(), hint: String::new() }
    }

    pub(crate) fn invalid(what: &'static str, value: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { what, value: redact(value), problem: problem.into() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_redacted_too() {
        let inner = std::io::Error::other("call to https://k:secret@h/x?sig=secret failed");
        let error = StorageError::store(
            "read",
            "s3://k:secret@b/x",
            object_store::Error::Generic { store: "S3", source: Box::new(inner) },
        );
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!format!("{error}: {cause} {error:?}").contains("secret"));
        assert_eq!(error.kind(), ErrorKind::Transient);
    }
}
