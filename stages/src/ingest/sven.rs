//! SVEN: JSON lines, one pair a line; the folder (`train`, `val`) is the split.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::commit::RecordSink;
use super::cwe::parse_cwe;
use super::expert_lines::{ExpertLines, expert_lines};
use super::flaw::Flaw;
use super::json_records::{FieldType, JsonRecords, Layout, RawRecord, diagnose};
use super::links::{non_empty, parse_commit_link};
use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use super::record::{Granularity, Pair, RejectReason, Subset};
use crate::error::Result;
use crate::language::Language;

/// The fields a record must have, all strings.
const REQUIRED: [&str; 6] = ["func_name", "func_src_before", "func_src_after", "commit_link", "file_name", "vul_type"];

const LAYOUT: Layout = Layout {
    dataset: "SVEN",
    telling: &["func_src_before", "func_src_after"],
    described: "SVEN is JSON lines, one pair a line",
};

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
    #[serde(borrow, default)]
    line_changes: Option<&'line RawValue>,
}

impl DatasetReader for SvenReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::Sven
    }

    fn version(&self) -> u32 {
        2
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".jsonl")
    }

    fn expected_files(&self) -> &'static str {
        "{train,val}/cwe-*.jsonl"
    }

    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64> {
        let split = upstream_split(&context.path);
        let mut records = JsonRecords::new(context, input, &LAYOUT)?;
        while let Some(RawRecord { row, byte_offset, bytes }) = records.next_record()? {
            let mut given = RecordSink::new(row, byte_offset, sink);
            let read = bytes.and_then(|bytes| read_record(&bytes, split).map_err(|flaw| records.reject(flaw, &bytes)));
            match read {
                Ok((pair, flaw)) => {
                    records.recognise();
                    given.pair(pair)?;
                    if let Some((reason, detail)) = flaw {
                        given.leave_out(reason, detail)?;
                    }
                }
                Err(reject) => given.reject(reject)?,
            }
        }
        Ok(records.count())
    }
}

/// SVEN's folders are its splits; a file elsewhere has none.
fn upstream_split(path: &str) -> Option<&str> {
    let mut folders = path.split('/').rev().skip(1);
    folders.find(|folder| matches!(*folder, "train" | "val"))
}

/// Returns the pair, and what of the record it goes without.
fn read_record(bytes: &[u8], split: Option<&str>) -> Result<(Pair, Option<Flaw>), Flaw> {
    match serde_json::from_slice::<SvenRecord<'_>>(bytes) {
        Ok(record) => pair_of(record, split),
        Err(error) => Err(diagnose(bytes, &error, &REQUIRED.map(|key| (key, FieldType::Text)))),
    }
}

fn pair_of(record: SvenRecord<'_>, split: Option<&str>) -> Result<(Pair, Option<Flaw>), Flaw> {
    if record.func_src_before.trim().is_empty() && record.func_src_after.trim().is_empty() {
        return Err((RejectReason::EmptyCode, "func_src_before and func_src_after hold no code".to_owned()));
    }
    let Some(cwe) = parse_cwe(&record.vul_type) else {
        let detail = format!("vul_type is \"{}\", not of the form cwe-089", record.vul_type);
        return Err((RejectReason::InvalidValue, detail));
    };
    let (project, commit_id) = parse_commit_link(&record.commit_link);
    let ExpertLines { lines, flaw } = expert_lines(record.line_changes, &record.func_src_before);
    let language = Language::from_path(&record.file_name);
    let pair = Pair {
        upstream_split: split.map(str::to_owned),
        cwe: vec![cwe],
        project,
        commit_id,
        file_path: non_empty(&record.file_name),
        function_name: non_empty(&record.func_name),
        vulnerable_code: Some(record.func_src_before.into_owned()),
        secure_code: Some(record.func_src_after.into_owned()),
        expert_lines: lines,
        ..Pair::bare(Subset::Paired, Granularity::Function, language)
    };
    Ok((pair, flaw))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::record::Located;
    use super::*;

    fn read_all(text: &[u8]) -> Result<Vec<Located>> {
        let context = FileContext {
            path: "train/cwe-089.jsonl".to_owned(),
            max_record_bytes: 10_000,
            granularities: Granularity::ALL.to_vec(),
        };
        let mut found = Vec::new();
        let mut input = text;
        SvenReader.read(&context, RawInput::Stream(&mut input), &mut |located| {
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
    fn broken_marks_never_cost_the_pair() {
        let marked = GOOD.replace(
            r#""line_changes":{}"#,
            r#""line_changes":{"deleted":[{"line_no":1,"line":"a\r\n"},{"line_no":7}]}"#,
        );
        let found = read_all(marked.as_bytes()).unwrap();
        assert_eq!(found[0].outcome.as_ref().unwrap().expert_lines, [1]);
        assert_eq!(found[1].outcome.as_ref().unwrap_err().reason, RejectReason::InvalidValue);
        assert_eq!((found[0].row, found[1].row, found.len()), (0, 0, 2));
        let odd = GOOD.replace(r#""line_changes":{}"#, r#""line_changes":"none""#);
        let found = read_all(odd.as_bytes()).unwrap();
        assert!(found[0].outcome.as_ref().unwrap().expert_lines.is_empty());
        assert_eq!(found[1].outcome.as_ref().unwrap_err().reason, RejectReason::WrongType);
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
