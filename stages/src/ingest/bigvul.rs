//! BigVul.

use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::{Result, StageError};

/// Reads BigVul.
pub struct BigVulReader;

impl DatasetReader for BigVulReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::BigVul
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".csv")
    }

    fn expected_files(&self) -> &'static str {
        ".csv"
    }

    fn read(&self, context: &FileContext, _input: RawInput<'_>, _sink: &mut Sink<'_>) -> Result<u64> {
        Err(StageError::Source { message: format!("{}: not written yet", context.path), remedy: String::new() })
    }
}
