//! PrimeVul v0.1: JSON lines, one function a line.
//!
//! In the files `*_paired.jsonl` two lines are a pair (`pairing`); in the others each line is a function by itself.

mod function;
mod pairing;

use function::Function;

use super::json_records::{JsonRecords, Layout, RawRecord};
use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use super::record::Located;
use crate::error::Result;

const LAYOUT: Layout = Layout {
    dataset: "PrimeVul",
    telling: &["\"func\""],
    described: "PrimeVul is JSON lines, one function a line with its `func` and `target`",
};

/// Reads PrimeVul.
pub struct PrimeVulReader;

impl DatasetReader for PrimeVulReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::PrimeVul
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".jsonl")
    }

    fn expected_files(&self) -> &'static str {
        "primevul_{train,valid,test}.jsonl or primevul_{train,valid,test}_paired.jsonl"
    }

    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64> {
        let split = words_of_name(&context.path).find(|word| matches!(*word, "train" | "valid" | "test"));
        let records = JsonRecords::new(context, input, &LAYOUT)?;
        match words_of_name(&context.path).any(|word| word == "paired") {
            true => pairing::read_pairs(records, split, sink),
            false => read_unpaired(records, split, sink),
        }
    }
}

/// The words of a file's name: `primevul`, `valid`, `paired`, `jsonl`.
fn words_of_name(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').next().unwrap_or(path).split(|letter: char| !letter.is_ascii_alphanumeric())
}

fn read_unpaired(mut records: JsonRecords<'_, '_>, split: Option<&str>, sink: &mut Sink<'_>) -> Result<u64> {
    while let Some(RawRecord { row, byte_offset, bytes }) = records.next_record()? {
        let outcome = bytes.and_then(|bytes| {
            let function = Function::read(&bytes).map_err(|flaw| records.reject(flaw, &bytes))?;
            records.recognise();
            function.alone(split).map_err(|flaw| records.reject(flaw, &bytes))
        });
        sink(Located { row, records: 1, byte_offset, outcome: outcome.map(Box::new) })?;
    }
    Ok(records.count())
}

#[cfg(test)]
mod tests;
