//! The pairs and rejects of one commit.

use super::super::commit::{ChangedFile, Commit, RecordSink};
use super::super::cwe::parse_cwe;
use super::super::dates::{parse_day, parse_moment};
use super::super::flaw::Flaw;
use super::super::links::{is_blank, non_empty};
use super::super::record::{Granularity, Pair, RejectReason};
use super::functions::{Counterpart, counterparts};
use super::record::{CommitRecord, FileDetail, Function};
use crate::error::Result;
use crate::language::Language;

/// What the dataset says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Vulnerable,
    Unrelated,
    NotJudged,
    /// A file in another language than the record's.
    Foreign,
}

/// A file in a language we know, not outdated.
struct UsableFile<'record, 'line> {
    changed: ChangedFile<'record>,
    judgement: Judgement,
    detail: &'record FileDetail<'line>,
}

/// Hands on all that a commit gives at the wanted granularities; at least one row.
pub fn make_pairs(
    record: &CommitRecord<'_>,
    granularities: &[Granularity],
    given: &mut RecordSink<'_, '_>,
) -> Result<()> {
    let commit = commit_of(record);
    if record.outdated != 0 {
        let detail = format!("the dataset calls commit {} outdated", record.commit_id.as_str());
        return given.leave_out(RejectReason::Outdated, detail);
    }
    let wants = |granularity| granularities.contains(&granularity);
    let files = usable_files(record, given)?;
    for file in &files {
        if wants(Granularity::Function) {
            functions_of(file, &commit, given)?;
        }
        if wants(Granularity::File) {
            file_alone(file, &commit, given)?;
        }
        if wants(Granularity::Function) || wants(Granularity::File) {
            say_not_judged(file, given)?;
        }
    }
    let is_vulnerable = files.iter().any(|file| file.judgement == Judgement::Vulnerable);
    if wants(Granularity::Repository) && is_vulnerable {
        let changed: Vec<ChangedFile<'_>> = files.iter().map(|file| file.changed).collect();
        if let Some(pair) = commit.repository_pair(&changed, record.language()) {
            given.pair(pair)?;
        }
    }
    say_nothing_is_vulnerable(record, granularities, is_vulnerable, given)
}

fn commit_of(record: &CommitRecord<'_>) -> Commit {
    Commit {
        cwe: record.cwe_id.0.iter().filter_map(|cwe| parse_cwe(cwe.as_str())).collect(),
        cve: non_empty(record.cve_id.as_str()),
        project: non_empty(record.project.as_str()),
        commit_id: non_empty(record.commit_id.as_str()),
        committed_at: parse_moment(record.commit_date.as_str()),
        published_at: parse_day(record.publish_date.as_str()),
    }
}

/// Sorts out the files that are outdated, or in no language whose code is split into steps.
fn usable_files<'record, 'line>(
    record: &'record CommitRecord<'line>,
    given: &mut RecordSink<'_, '_>,
) -> Result<Vec<UsableFile<'record, 'line>>> {
    let (mut usable, mut unsupported) = (Vec::new(), Vec::new());
    for detail in &record.details {
        let path = detail.file_name.as_str();
        let language = Language::from_path(path);
        let marks = detail.outdated();
        if language == Language::Text {
            unsupported.push(path);
        } else if !marks.is_empty() {
            given.leave_out(RejectReason::Outdated, format!("{path} has {} set", marks.join(", ")))?;
        } else {
            let judgement = match detail.target {
                Some(1) => Judgement::Vulnerable,
                Some(0) => Judgement::Unrelated,
                Some(-1) => Judgement::NotJudged,
                None => Judgement::Foreign,
                Some(other) => {
                    let told = format!("{path} has target {other}, which is none of -1, 0 and 1");
                    given.leave_out(RejectReason::InvalidValue, told)?;
                    continue;
                }
            };
            let changed =
                ChangedFile { path, language, before: detail.code_before.as_str(), after: detail.code.as_str() };
            usable.push(UsableFile { changed, judgement, detail });
        }
    }
    if !unsupported.is_empty() {
        let told = format!("left out of the commit: {}", unsupported.join(", "));
        given.leave_out(RejectReason::UnsupportedLanguage, told)?;
    }
    Ok(usable)
}

fn file_alone(file: &UsableFile<'_, '_>, commit: &Commit, given: &mut RecordSink<'_, '_>) -> Result<()> {
    let ChangedFile { path, language, before, after } = file.changed;
    let mut pair = match file.judgement {
        Judgement::NotJudged | Judgement::Foreign => return Ok(()),
        Judgement::Vulnerable => match file.changed.lacks() {
            None => commit.pair(Granularity::File, language, before, after),
            Some((reason, told)) => return given.leave_out(reason, told),
        },
        Judgement::Unrelated => {
            let code = if is_blank(before) { after } else { before };
            if is_blank(code) {
                return given.leave_out(RejectReason::EmptyCode, format!("{path} has no code in either version"));
            }
            commit.unpaired(Granularity::File, language, code)
        }
    };
    pair.file_path = non_empty(path);
    given.pair(pair)
}

fn functions_of(file: &UsableFile<'_, '_>, commit: &Commit, given: &mut RecordSink<'_, '_>) -> Result<()> {
    if matches!(file.judgement, Judgement::NotJudged | Judgement::Foreign) {
        return Ok(());
    }
    let path = file.changed.path;
    let before = file.detail.functions_before();
    let (before_texts, after_texts) = (texts(before), texts(file.detail.functions_after()));
    let matched = counterparts(&before_texts, &after_texts, file.changed.language);
    for (function, Counterpart { name, after }) in before.iter().zip(matched) {
        let fixed = after.and_then(|index| after_texts.get(index)).copied();
        match function_row(file, function, fixed, commit) {
            Ok(pair) => given.pair(Pair { file_path: non_empty(path), function_name: name, ..pair })?,
            Err((reason, told)) => {
                let called = name.as_deref().unwrap_or("without a name");
                given.leave_out(reason, format!("function {called} of {path} {told}"))?;
            }
        }
    }
    if file.judgement == Judgement::Vulnerable && before.iter().all(|function| function.target != Some(1)) {
        let told = format!("{path} has target 1, but none of its functions has");
        given.leave_out(RejectReason::NotVulnerable, told)?;
    }
    Ok(())
}

fn function_row(
    file: &UsableFile<'_, '_>,
    function: &Function<'_>,
    fixed: Option<&str>,
    commit: &Commit,
) -> Result<Pair, Flaw> {
    let language = file.changed.language;
    let code = function.function.as_str();
    let (reason, told) = match (function.target, fixed) {
        _ if is_blank(code) => (RejectReason::EmptyCode, "has no code"),
        (Some(0), _) => return Ok(commit.unpaired(Granularity::Function, language, code)),
        (Some(1), _) if file.judgement != Judgement::Vulnerable => {
            (RejectReason::NotVulnerable, "has target 1, but the file has target 0")
        }
        (Some(1), Some(fixed)) => return Ok(commit.pair(Granularity::Function, language, code, fixed)),
        (Some(1), None) => (RejectReason::NoCounterpart, "is not among those after the commit"),
        _ => (RejectReason::InvalidValue, "has neither target 0 nor 1"),
    };
    Err((reason, told.to_owned()))
}

fn texts<'record>(functions: &'record [Function<'_>]) -> Vec<&'record str> {
    functions.iter().map(|function| function.function.as_str()).collect()
}

fn say_not_judged(file: &UsableFile<'_, '_>, given: &mut RecordSink<'_, '_>) -> Result<()> {
    let why = match file.judgement {
        Judgement::NotJudged => "is not judged (target -1)",
        Judgement::Foreign => "is not judged (it is in another language than the record)",
        Judgement::Vulnerable | Judgement::Unrelated => return Ok(()),
    };
    given.leave_out(RejectReason::NotVulnerable, format!("{} {why}", file.changed.path))
}

/// Accounts for a record of which nothing else was told.
fn say_nothing_is_vulnerable(
    record: &CommitRecord<'_>,
    granularities: &[Granularity],
    is_vulnerable: bool,
    given: &mut RecordSink<'_, '_>,
) -> Result<()> {
    let commit = record.commit_id.as_str();
    if !is_vulnerable && given.rejects() == 0 {
        let told = format!("no file of commit {commit} has target 1");
        return given.leave_out(RejectReason::NotVulnerable, told);
    }
    given.account_for(&format!("commit {commit}"), granularities)
}
