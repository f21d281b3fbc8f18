//! What the datasets whose record is a commit have in common: its metadata, and the pairs that its files make.

use super::links::is_blank;
use super::reader::Sink;
use super::record::{Granularity, Located, Pair, PairFile, Reject, RejectReason, Subset};
use crate::error::Result;
use crate::language::Language;

/// What a record tells of its commit, the same for every pair made of it.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// CWE identifiers as `CWE-79`.
    pub cwe: Vec<String>,
    /// CVE identifier.
    pub cve: Option<String>,
    /// `owner/repository`.
    pub project: Option<String>,
    /// The fixing commit.
    pub commit_id: Option<String>,
    /// When it was committed, in microseconds since 1970 UTC.
    pub committed_at: Option<i64>,
    /// When the vulnerability was published, in microseconds since 1970 UTC.
    pub published_at: Option<i64>,
}

/// A file that the commit changed; a version without code is one that the file does not have.
#[derive(Debug, Clone, Copy)]
pub struct ChangedFile<'record> {
    /// The file's path in its repository.
    pub path: &'record str,
    /// The language, by the file's name.
    pub language: Language,
    /// The text before the commit; empty where the commit added the file.
    pub before: &'record str,
    /// The text after it; empty where the commit deleted the file.
    pub after: &'record str,
}

impl ChangedFile<'_> {
    /// Says which version has no code, and so why the file alone is no pair; `None` where both have.
    pub fn lacks(&self) -> Option<(RejectReason, String)> {
        let (reason, what) = match (is_blank(self.before), is_blank(self.after)) {
            (false, false) => return None,
            (true, false) => (RejectReason::NoCounterpart, "was added by the commit: it has no vulnerable version"),
            (false, true) => (RejectReason::NoCounterpart, "was deleted by the commit: it has no fixed version"),
            (true, true) => (RejectReason::EmptyCode, "has no code in either version"),
        };
        Some((reason, format!("{} {what}", self.path)))
    }
}

impl Commit {
    /// Makes a pair of both versions of one text.
    pub fn pair(&self, granularity: Granularity, language: Language, vulnerable: &str, secure: &str) -> Pair {
        Pair {
            subset: Subset::Paired,
            vulnerable_code: Some(vulnerable.to_owned()),
            ..self.unpaired(granularity, language, secure)
        }
    }

    /// Makes a row of one text that was never vulnerable.
    pub fn unpaired(&self, granularity: Granularity, language: Language, secure: &str) -> Pair {
        Pair {
            cwe: self.cwe.clone(),
            cve: self.cve.clone(),
            project: self.project.clone(),
            commit_id: self.commit_id.clone(),
            committed_at: self.committed_at,
            published_at: self.published_at,
            secure_code: Some(secure.to_owned()),
            ..Pair::bare(Subset::Unpaired, granularity, language)
        }
    }

    /// Makes the pair of all files together, one behind the other in the order of their paths.
    ///
    /// Files that the commit added or deleted are in it with an empty version. `None` for fewer than two files, and where a version of
    /// all of them together has no code. `language` where the dataset names one; else the language that most bytes are in.
    pub fn repository_pair(&self, files: &[ChangedFile<'_>], language: Option<Language>) -> Option<Pair> {
        let mut files: Vec<&ChangedFile<'_>> =
            files.iter().filter(|file| !is_blank(file.before) || !is_blank(file.after)).collect();
        files.sort_by_key(|file| file.path);
        let (mut vulnerable, mut secure, mut parts) = (String::new(), String::new(), Vec::new());
        for file in &files {
            vulnerable.push_str(file.before);
            secure.push_str(file.after);
            parts.push(PairFile {
                path: file.path.to_owned(),
                language: file.language,
                vulnerable_end: vulnerable.len(),
                secure_end: secure.len(),
            });
        }
        if parts.len() < 2 || is_blank(&vulnerable) || is_blank(&secure) {
            return None;
        }
        let language = language.unwrap_or_else(|| main_language(&files));
        let mut pair = self.pair(Granularity::Repository, language, &vulnerable, &secure);
        pair.files = parts;
        Some(pair)
    }
}

/// The language that most bytes are in; among equals the first declared.
fn main_language(files: &[&ChangedFile<'_>]) -> Language {
    let bytes_in = |language: Language| -> usize {
        let written = files.iter().filter(|file| file.language == language);
        written.map(|file| file.before.len() + file.after.len()).sum()
    };
    Language::ALL.into_iter().rev().max_by_key(|language| bytes_in(*language)).unwrap_or(Language::Text)
}

/// Hands on all that one record gives, and counts it.
pub struct RecordSink<'call, 'sink> {
    /// The record in its file, from 0.
    pub row: u64,
    /// The byte at which it starts.
    pub byte_offset: u64,
    sink: &'call mut Sink<'sink>,
    pairs: usize,
    rejects: usize,
}

impl<'call, 'sink> RecordSink<'call, 'sink> {
    /// Starts with nothing given.
    pub fn new(row: u64, byte_offset: u64, sink: &'call mut Sink<'sink>) -> Self {
        RecordSink { row, byte_offset, sink, pairs: 0, rejects: 0 }
    }

    /// Hands on a pair.
    ///
    /// # Errors
    /// That of the sink.
    pub fn pair(&mut self, pair: Pair) -> Result<()> {
        self.pairs += 1;
        self.hand_on(Ok(Box::new(pair)))
    }

    /// Hands on what is left out of a record that could be read; the record itself can be found by its row.
    ///
    /// # Errors
    /// That of the sink.
    pub fn leave_out(&mut self, reason: RejectReason, detail: String) -> Result<()> {
        self.reject(Reject { reason, detail, raw: None })
    }

    /// Hands on a reject.
    ///
    /// # Errors
    /// That of the sink.
    pub fn reject(&mut self, reject: Reject) -> Result<()> {
        self.rejects += 1;
        self.hand_on(Err(reject))
    }

    /// Accounts for a record of which nothing was handed on, since it makes no pair at the wanted granularities; `what` names it.
    ///
    /// # Errors
    /// That of the sink.
    pub fn account_for(&mut self, what: &str, granularities: &[Granularity]) -> Result<()> {
        if self.pairs + self.rejects > 0 {
            return Ok(());
        }
        let wanted: Vec<&str> = granularities.iter().map(|granularity| granularity.as_str()).collect();
        let told = format!("{what} makes no pair of granularity {}", wanted.join(" or "));
        self.leave_out(RejectReason::NoCounterpart, told)
    }

    /// Returns how many rejects were handed on.
    pub fn rejects(&self) -> usize {
        self.rejects
    }

    fn hand_on(&mut self, outcome: Result<Box<Pair>, Reject>) -> Result<()> {
        (self.sink)(Located { row: self.row, records: 1, byte_offset: self.byte_offset, outcome })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file<'a>(path: &'a str, before: &'a str, after: &'a str) -> ChangedFile<'a> {
        ChangedFile { path, language: Language::from_path(path), before, after }
    }

    #[test]
    fn the_files_of_a_commit_are_one_pair_in_the_order_of_their_paths() {
        let files = [file("b.py", "bb", "b"), file("new.js", "", "xyz"), file("a.py", "a", "aaa")];
        let pair = Commit::default().repository_pair(&files, None).unwrap();
        assert_eq!((pair.vulnerable_code.as_deref(), pair.secure_code.as_deref()), (Some("abb"), Some("aaabxyz")));
        let ends: Vec<_> =
            pair.files.iter().map(|file| (file.path.as_str(), file.vulnerable_end, file.secure_end)).collect();
        assert_eq!(ends, [("a.py", 1, 3), ("b.py", 3, 4), ("new.js", 3, 7)]);
        assert_eq!(pair.language, Language::Python);
    }

    #[test]
    fn one_file_alone_or_no_vulnerable_text_is_no_repository_pair() {
        let commit = Commit::default();
        assert_eq!(commit.repository_pair(&[file("a.py", "a", "b"), file("empty.py", "", "\n")], None), None);
        assert_eq!(commit.repository_pair(&[file("a.py", "", "b"), file("b.py", " ", "c")], None), None);
        assert_eq!(commit.repository_pair(&[], None), None);
    }
}
