//! ReposVul.

use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::{Result, StageError};

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
        ".jsonl"
    }

    fn read(&self, context: &FileContext, _input: RawInput<'_>, _sink: &mut Sink<'_>) -> Result<u64> {
        Err(StageError::Source { message: format!("{}: not written yet", context.path), remedy: String::new() })
    }
}
