//! The pairs and rejects of one entry.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::commit::{ChangedFile, Commit, RecordSink};
use super::super::cwe::parse_cwe;
use super::super::dates::parse_moment;
use super::super::flaw::Flaw;
use super::super::json_records::{FieldType, diagnose};
use super::super::links::{non_empty, parse_commit_link};
use super::super::record::{Granularity, RejectReason};
use super::super::text_fields::{Text, TextList};
use crate::error::Result;
use crate::language::Language;

const REQUIRED: [(&str, FieldType); 3] =
    [("buggy_code", FieldType::List), ("fixing_code", FieldType::List), ("filenames", FieldType::List)];

/// A bug: the files that its fix changed, in three lists of one length.
#[derive(Deserialize)]
pub struct BugEntry<'bytes> {
    #[serde(borrow)]
    buggy_code: Vec<Text<'bytes>>,
    #[serde(borrow)]
    fixing_code: Vec<Text<'bytes>>,
    #[serde(borrow)]
    filenames: Vec<Text<'bytes>>,
    #[serde(borrow, default, rename = "type")]
    weakness: TextList<'bytes>,
    /// NVD's record and the commit's link: of any shape, so its shape never costs the entry.
    #[serde(borrow, default)]
    other: Option<&'bytes RawValue>,
}

/// Reads an entry.
pub fn parse(bytes: &[u8]) -> Result<BugEntry<'_>, Flaw> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let entry: BugEntry<'_> = serde_json::from_slice(bytes).map_err(|error| diagnose(bytes, &error, &REQUIRED))?;
    let lengths = [entry.buggy_code.len(), entry.fixing_code.len(), entry.filenames.len()];
    if lengths.iter().any(|length| *length != lengths[0]) {
        let [buggy, fixing, names] = lengths;
        let detail = format!("buggy_code, fixing_code and filenames have {buggy}, {fixing} and {names} elements");
        return Err((RejectReason::InvalidValue, detail));
    }
    if entry.filenames.is_empty() {
        return Err((RejectReason::EmptyCode, "the entry names no file".to_owned()));
    }
    Ok(entry)
}

/// Hands on all that an entry gives at the wanted granularities; at least one row. `path` is the entry's own.
pub fn make_pairs(
    entry: &BugEntry<'_>,
    path: &str,
    granularities: &[Granularity],
    given: &mut RecordSink<'_, '_>,
) -> Result<()> {
    let commit = commit_of(entry, path);
    let wants = |granularity| granularities.contains(&granularity);
    let (mut files, mut unsupported) = (Vec::new(), Vec::new());
    for ((name, before), after) in entry.filenames.iter().zip(&entry.buggy_code).zip(&entry.fixing_code) {
        let language = Language::from_path(name.as_str());
        match language {
            Language::Text => unsupported.push(name.as_str()),
            _ => files.push(ChangedFile {
                path: name.as_str(),
                language,
                before: before.as_str(),
                after: after.as_str(),
            }),
        }
    }
    if wants(Granularity::File) {
        for file in &files {
            match file.lacks() {
                Some((reason, told)) => given.leave_out(reason, told)?,
                None => {
                    let mut pair = commit.pair(Granularity::File, file.language, file.before, file.after);
                    pair.file_path = non_empty(file.path);
                    given.pair(pair)?;
                }
            }
        }
    }
    if wants(Granularity::Repository)
        && let Some(pair) = commit.repository_pair(&files, None)
    {
        given.pair(pair)?;
    }
    if !unsupported.is_empty() {
        let told = format!("left out of the entry: {}", unsupported.join(", "));
        given.leave_out(RejectReason::UnsupportedLanguage, told)?;
    }
    given.account_for(path, granularities)
}

fn commit_of(entry: &BugEntry<'_>, path: &str) -> Commit {
    let other: Value = entry.other.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let nvd = other.get("cve");
    let nvd_id = nvd.and_then(|nvd| nvd.get("id").unwrap_or(nvd).as_str()).filter(|id| is_cve(id));
    let published = nvd.and_then(|nvd| nvd.get("published")?.as_str());
    let link = other.get("github_commit_url").and_then(Value::as_str).unwrap_or("");
    let (project, commit_id) = parse_commit_link(link);
    Commit {
        cwe: entry.weakness.0.iter().filter_map(|cwe| parse_cwe(cwe.as_str())).collect(),
        cve: nvd_id.or_else(|| path.rsplit(['/', '\\']).nth(1).filter(|folder| is_cve(folder))).map(str::to_owned),
        project,
        commit_id,
        committed_at: None,
        published_at: published.and_then(parse_moment),
    }
}

fn is_cve(text: &str) -> bool {
    text.starts_with("CVE-")
}
