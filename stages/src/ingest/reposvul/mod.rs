//! ReposVul: JSON lines, one commit a line, several pairs a record.
//!
//! A record is the commit that fixed a CVE. `details` has every file it changed, with the whole text before (`code_before`, empty for an
//! added file) and after (`code`, empty for a deleted one). Files in the record's language also carry a judgement, `target`: 1 is
//! vulnerable before the commit, 0 unrelated to the vulnerability, -1 not judged because the model and the static tools that the
//! dataset asked disagree. Other files (documentation, other languages) have no `target` at all.
//!
//! `function_before` and `function_after` list the top-level definitions of both versions that the dataset's parser found: functions,
//! and in Python whole classes. Not every definition is in them, lists of judged files can be empty, and the two differ in length and
//! order. `target` 1 on one of `function_before` says that the patch touches it; in `function_after` it is always 0.
//!
//! `outdated` on the record, and `outdated_file_{modify,before,after}` on a file, say that the dataset found the patch superseded. What
//! they mark is left out at every granularity.
//!
//! | granularity | paired | unpaired secure |
//! | --- | --- | --- |
//! | function | `target` 1 in a file with `target` 1, with its counterpart by name (`functions`) | `target` 0 in a judged file |
//! | file | `target` 1 | `target` 0 |
//! | repository | all files in a language we know together, if one of them has `target` 1 | |
//!
//! Everything that is left out has a reject with the record's row and the file's name. There is no split of the dataset's own.

mod functions;
mod pairs;
mod record;
mod signature;

#[cfg(test)]
mod tests;

use super::commit::RecordSink;
use super::flaw::Flaw;
use super::json_records::{FieldType, JsonRecords, Layout, RawRecord, diagnose};
use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::Result;
use pairs::make_pairs;
use record::CommitRecord;

/// The fields a record must have, beside the number `outdated`.
const REQUIRED: [(&str, FieldType); 4] = [
    ("commit_id", FieldType::Text),
    ("project", FieldType::Text),
    ("details", FieldType::List),
    ("outdated", FieldType::Number),
];

const LAYOUT: Layout = Layout {
    dataset: "ReposVul",
    telling: &["windows_before", "code_before"],
    described: "ReposVul is JSON lines, one commit a line",
};

/// Reads ReposVul.
pub struct ReposVulReader;

impl DatasetReader for ReposVulReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::ReposVul
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".jsonl")
    }

    fn expected_files(&self) -> &'static str {
        "ReposVul_{c,cpp,java,python}.jsonl"
    }

    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64> {
        let mut records = JsonRecords::new(context, input, &LAYOUT)?;
        while let Some(RawRecord { row, byte_offset, bytes }) = records.next_record()? {
            let mut given = RecordSink::new(row, byte_offset, sink);
            let bytes = match bytes {
                Ok(bytes) => bytes,
                Err(reject) => {
                    given.reject(reject)?;
                    continue;
                }
            };
            match parse(&bytes) {
                Ok(record) => {
                    records.recognise();
                    make_pairs(&record, &context.granularities, &mut given)?;
                }
                Err(flaw) => given.reject(records.reject(flaw, &bytes))?,
            }
        }
        Ok(records.count())
    }
}

fn parse(bytes: &[u8]) -> Result<CommitRecord<'_>, Flaw> {
    serde_json::from_slice(bytes).map_err(|error| diagnose(bytes, &error, &REQUIRED))
}
