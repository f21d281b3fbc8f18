//! PreciseBugs.

use super::reader::{DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::{Result, StageError};

/// Reads PreciseBugs.
pub struct PreciseBugsReader;

impl DatasetReader for PreciseBugsReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::PreciseBugs
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with("BugEntry.json")
    }

    fn expected_files(&self) -> &'static str {
        "BugEntry.json"
    }

    fn read(&self, context: &FileContext, _input: RawInput<'_>, _sink: &mut Sink<'_>) -> Result<u64> {
        Err(StageError::Source { message: format!("{}: not written yet", context.path), remedy: String::new() })
    }
}
