//! PrimeVul.

use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::{Result, StageError};

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
        ".jsonl"
    }

    fn read(&self, context: &FileContext, _input: RawInput<'_>, _sink: &mut Sink<'_>) -> Result<u64> {
        Err(StageError::Source { message: format!("{}: not written yet", context.path), remedy: String::new() })
    }
}
