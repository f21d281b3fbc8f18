//! The fields of a record that are read; all others are skipped without being built.

use serde::Deserialize;

use super::super::text_fields::{Text, TextList};
use crate::language::Language;

/// A commit.
#[derive(Deserialize)]
pub struct CommitRecord<'line> {
    #[serde(borrow, default)]
    pub cve_id: Text<'line>,
    #[serde(borrow, default)]
    pub cwe_id: TextList<'line>,
    #[serde(borrow, default)]
    pub cve_language: Text<'line>,
    #[serde(borrow, default)]
    pub publish_date: Text<'line>,
    #[serde(borrow)]
    pub commit_id: Text<'line>,
    #[serde(borrow, default)]
    pub commit_date: Text<'line>,
    #[serde(borrow)]
    pub project: Text<'line>,
    #[serde(borrow)]
    pub details: Vec<FileDetail<'line>>,
    pub outdated: i64,
}

impl CommitRecord<'_> {
    /// Reads `cve_language`.
    pub fn language(&self) -> Option<Language> {
        match self.cve_language.as_str().to_ascii_lowercase().as_str() {
            "c++" => Some(Language::Cpp),
            name => name.parse().ok(),
        }
    }
}

/// A changed file.
#[derive(Deserialize)]
pub struct FileDetail<'line> {
    #[serde(borrow)]
    pub file_name: Text<'line>,
    #[serde(borrow, default)]
    pub code_before: Text<'line>,
    #[serde(borrow, default)]
    pub code: Text<'line>,
    #[serde(default)]
    pub outdated_file_modify: i64,
    #[serde(default)]
    pub outdated_file_before: i64,
    #[serde(default)]
    pub outdated_file_after: i64,
    #[serde(default)]
    pub target: Option<i64>,
    #[serde(borrow, default)]
    function_before: Option<Vec<Function<'line>>>,
    #[serde(borrow, default)]
    function_after: Option<Vec<Function<'line>>>,
}

impl<'line> FileDetail<'line> {
    /// The definitions before the commit.
    pub fn functions_before(&self) -> &[Function<'line>] {
        self.function_before.as_deref().unwrap_or(&[])
    }

    /// The definitions after it.
    pub fn functions_after(&self) -> &[Function<'line>] {
        self.function_after.as_deref().unwrap_or(&[])
    }

    /// Names the marks that call the file outdated; empty where none does.
    pub fn outdated(&self) -> Vec<&'static str> {
        let marks = [
            ("outdated_file_modify", self.outdated_file_modify),
            ("outdated_file_before", self.outdated_file_before),
            ("outdated_file_after", self.outdated_file_after),
        ];
        marks.into_iter().filter(|(_, mark)| *mark != 0).map(|(name, _)| name).collect()
    }
}

/// A top-level definition of a file: a function, or in Python a class as a whole.
#[derive(Deserialize)]
pub struct Function<'line> {
    #[serde(borrow)]
    pub function: Text<'line>,
    #[serde(default)]
    pub target: Option<i64>,
}
