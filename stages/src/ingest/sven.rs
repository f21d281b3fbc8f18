//! SVEN: JSON lines, one pair a line; the folder (`train`, `val`) is the split.

use std::borrow::Cow;
use std::io::BufRead;

use serde::Deserialize;
use serde_json::Value;

use super::jsonl::{Line, Lines};
use super::reader::{DatasetKind, DatasetReader, FileContext, Sink};
use super::record::{Granularity, Located, Pair, Reject, RejectReason, Subset};
use crate::error::{Result, StageError};
use crate::language::Language;

/// The fields a record must have, all strings.
const REQUIRED: [&str; 6] = ["func_name", "func_src_before", "func_src_after", "commit_link", "file_name", "vul_type"];

/// A file none of whose first records has these is another dataset's.
const TELLING: [&str; 2] = ["func_src_before", "func_src_after"];

/// How many records of a file are looked at before it is called another dataset's.
const RECORDS_BEFORE_VERDICT: u64 = 64;

/// Bytes of a bad record that a reject keeps.
const KEPT_OF_RAW: usize = 1 << 20;

/// Reads SVEN.
pub struct SvenReader;

#[derive(Deserialize)]
struct SvenRecord<'line> {
    #[serde(borrow)]
    func_name: Cow<'line, str>,
    #[serde(borrow)]
    func_src_before: Cow<'line, str>,
    #[serde(borrow)]
    func_src_after: Cow<'line, str>,
    #[serde(borrow)]
    commit_link: Cow<'line, str>,
    #[serde(borrow)]
    file_name: Cow<'line, str>,
    #[serde(borrow)]
    vul_type: Cow<'line, str>,
}

impl DatasetReader for SvenReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::Sven
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".jsonl")
    }

    fn expected_files(&self) -> &'static str {
        "{train,val}/cwe-*.jsonl"
    }

    fn read(&self, context: &FileContext, input: &mut dyn BufRead, sink: &mut Sink<'_>) -> Result<u64> {
        let split = upstream_split(&context.path);
        let mut lines = Lines::new(input, context.max_record_bytes);
        let mut recognised = false;
        let unreadable = |source| StageError::Read { file: context.path.clone(), source };
        while let Some((row, byte_offset, line)) = lines.next_line().map_err(unreadable)? {
            let outcome = match line {
                Line::Whole(bytes) => match read_record(&bytes, split) {
                    Ok(pair) => Ok(pair),
                    Err((reason, detail)) => {
                        recognised |= TELLING.iter().any(|key| contains(&bytes, key));
                        Err(Reject { reason, detail, raw: Some(shown(&bytes)) })
                    }
                },
                Line::TooLong { start, bytes } => {
                    recognised |= TELLING.iter().any(|key| contains(&start, key));
                    let detail = format!("{bytes} bytes; [limits] max_record_bytes is {}", context.max_record_bytes);
                    Err(Reject { reason: RejectReason::TooLarge, detail, raw: Some(shown(&start)) })
                }
            };
            recognised |= outcome.is_ok();
            sink(Located { row, byte_offset, outcome: outcome.map(Box::new) })?;
            if !recognised && row + 1 == RECORDS_BEFORE_VERDICT {
                return Err(not_sven(context));
            }
        }
        if !recognised && lines.rows() > 0 {
            return Err(not_sven(context));
        }
        Ok(lines.rows())
    }
}

fn not_sven(context: &FileContext) -> StageError {
    StageError::Source {
        message: format!("{} is not a SVEN file: no record has {} or {}", context.path, TELLING[0], TELLING[1]),
        remedy: "check `dataset` and `url` of this [[source]]; SVEN is JSON lines, one pair a line".to_owned(),
    }
}

fn contains(bytes: &[u8], key: &str) -> bool {
    bytes.windows(key.len()).any(|window| window == key.as_bytes())
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(KEPT_OF_RAW)]).into_owned()
}

/// SVEN's folders are its splits; a file elsewhere has none.
fn upstream_split(path: &str) -> Option<&str> {
    let mut folders = path.split('/').rev().skip(1);
    folders.find(|folder| matches!(*folder, "train" | "val"))
}

fn read_record(bytes: &[u8], split: Option<&str>) -> Result<Pair, (RejectReason, String)> {
    match serde_json::from_slice::<SvenRecord<'_>>(bytes) {
        Ok(record) => pair_of(record, split),
        Err(error) => Err(diagnose(bytes, &error)),
    }
}

fn pair_of(record: SvenRecord<'_>, split: Option<&str>) -> Result<Pair, (RejectReason, String)> {
    if record.func_src_before.trim().is_empty() && record.func_src_after.trim().is_empty() {
        return Err((RejectReason::EmptyCode, "func_src_before and func_src_after hold no code".to_owned()));
    }
    let Some(cwe) = parse_cwe(&record.vul_type) else {
        let detail = format!("vul_type is \"{}\", not of the form cwe-089", record.vul_type);
        return Err((RejectReason::InvalidValue, detail));
    };
    let (project, commit_id) = parse_commit_link(&record.commit_link);
    Ok(Pair {
        subset: Subset::Paired,
        upstream_split: split.map(str::to_owned),
        granularity: Granularity::Function,
        language: Language::from_path(&record.file_name),
        cwe: vec![cwe],
        cve: None,
        project,
        commit_id,
        committed_at: None,
        file_path: non_empty(&record.file_name),
        function_name: non_empty(&record.func_name),
        vulnerable_code: Some(record.func_src_before.into_owned()),
        secure_code: Some(record.func_src_after.into_owned()),
    })
}

/// Finds out why a record could not be read as SVEN's: the slow road, for bad records only.
fn diagnose(bytes: &[u8], error: &serde_json::Error) -> (RejectReason, String) {
    if let Err(utf8) = std::str::from_utf8(bytes) {
        return (RejectReason::InvalidUtf8, format!("byte {} of the record is no UTF-8", utf8.valid_up_to()));
    }
    let fields = match serde_json::from_slice::<Value>(bytes) {
        Err(error) => return (RejectReason::InvalidJson, error.to_string()),
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return (RejectReason::NotAnObject, format!("the record is {}, not an object", type_name(&other))),
    };
    for key in REQUIRED {
        match fields.get(key) {
            None => return (RejectReason::MissingField, format!("{key} is missing")),
            Some(Value::Null) => return (RejectReason::MissingField, format!("{key} is null")),
            Some(Value::String(_)) => {}
            Some(other) => return (RejectReason::WrongType, format!("{key} is {}, not a string", type_name(other))),
        }
    }
    (RejectReason::InvalidJson, error.to_string())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// `cwe-089` to `CWE-89`.
fn parse_cwe(text: &str) -> Option<String> {
    let digits = text.trim().to_ascii_lowercase().strip_prefix("cwe-").map(str::to_owned)?;
    if digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok().map(|number| format!("CWE-{number}"))
}

/// `github.com/owner/repository/commit/<hash>?w=1` to project and commit; the link has no scheme and may have a tail.
fn parse_commit_link(link: &str) -> (Option<String>, Option<String>) {
    let plain = link.split(['?', '#']).next().unwrap_or(link);
    let plain = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    let mut parts = plain.split('/').skip(1);
    let project = match (parts.next(), parts.next()) {
        (Some(owner), Some(repository)) if !owner.is_empty() && !repository.is_empty() => {
            Some(format!("{owner}/{repository}"))
        }
        _ => None,
    };
    let commit = plain.rsplit_once("/commit/").map(|(_, commit)| commit.trim_end_matches('/'));
    (project, commit.and_then(non_empty))
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_all(text: &[u8]) -> Result<Vec<Located>> {
        let context = FileContext { path: "train/cwe-089.jsonl".to_owned(), max_record_bytes: 10_000 };
        let mut found = Vec::new();
        let mut input = text;
        SvenReader.read(&context, &mut input, &mut |located| {
            found.push(located);
            Ok(())
        })?;
        Ok(found)
    }

    const GOOD: &str = r#"{"func_name":"f","func_src_before":"a\r\n","func_src_after":"b","commit_link":"github.com/o/r/commit/ab12?w=1#diff-3","file_name":"usr.sbin/x.c","vul_type":"cwe-089","line_changes":{},"new_key":1}"#;

    #[test]
    fn a_record_becomes_a_pair_with_all_it_tells() {
        let found = read_all(GOOD.as_bytes()).unwrap();
        let pair = found[0].outcome.as_ref().unwrap();
        assert_eq!(pair.vulnerable_code.as_deref(), Some("a\r\n"));
        assert_eq!((pair.project.as_deref(), pair.commit_id.as_deref()), (Some("o/r"), Some("ab12")));
        assert_eq!((pair.language, pair.cwe.as_slice()), (Language::C, ["CWE-89".to_owned()].as_slice()));
        assert_eq!(pair.upstream_split.as_deref(), Some("train"));
    }

    #[test]
    fn each_defect_has_its_reason() {
        let cases: [(&[u8], RejectReason); 9] = [
            (b"{\"func_src_before\": \"x", RejectReason::InvalidJson),
            (b"[\"func_src_before\"]", RejectReason::NotAnObject),
            (b"{\"func_src_before\":\"\xff\"}", RejectReason::InvalidUtf8),
            (br#"{"func_name":"f","func_src_after":"x"}"#, RejectReason::MissingField),
            (br#"{"func_name":"f","func_src_before":null}"#, RejectReason::MissingField),
            (br#"{"func_name":"f","func_src_before":7}"#, RejectReason::WrongType),
            (br#"{"func_name":"f","func_src_before":" ","func_src_after":"","commit_link":"","file_name":"","vul_type":"cwe-1"}"#, RejectReason::EmptyCode),
            (br#"{"func_name":"f","func_src_before":"a","func_src_after":"","commit_link":"","file_name":"","vul_type":"sql"}"#, RejectReason::InvalidValue),
            (br#"{"func_name":"f","func_src_before":"a\ud800","func_src_after":"","commit_link":"","file_name":"","vul_type":"cwe-1"}"#, RejectReason::InvalidJson),
        ];
        for (bytes, reason) in cases {
            let found = read_all(bytes).unwrap();
            let reject = found[0].outcome.as_ref().unwrap_err();
            assert_eq!(reject.reason, reason, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_file_of_another_dataset_stops_the_run() {
        let text = "{\"idx\":1,\"func\":\"int f;\",\"target\":1}\n".repeat(100);
        let error = read_all(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("train/cwe-089.jsonl is not a SVEN file"), "{error}");
        assert!(read_all(b"\x00\x01\x02 no json\n").is_err());
    }

    #[test]
    fn one_bad_record_among_good_ones_stops_nothing() {
        let found = read_all(format!("{{\"idx\":1}}\n{GOOD}\n").as_bytes()).unwrap();
        assert_eq!(found.iter().filter(|located| located.outcome.is_ok()).count(), 1);
    }

    #[test]
    fn a_deeply_nested_record_is_a_reject() {
        let bomb = format!("{{\"func_src_before\":{}", "[".repeat(5000));
        assert_eq!(
            read_all(bomb.as_bytes()).unwrap()[0].outcome.as_ref().unwrap_err().reason,
            RejectReason::InvalidJson
        );
    }
}
