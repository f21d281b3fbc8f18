//! The interface every dataset's reader has.

use std::fmt;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::record::Located;
use super::sven::SvenReader;
use crate::error::Result;

/// The datasets whose raw layouts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatasetKind {
    /// SVEN: JSON lines, one pair a line.
    Sven,
}

impl DatasetKind {
    /// Returns the name in the column `dataset`.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasetKind::Sven => "sven",
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a reader knows of the file it reads.
#[derive(Debug, Clone)]
pub struct FileContext {
    /// The file's path below its source, with forward slashes: `train/cwe-089.jsonl`.
    pub path: String,
    /// A record of more bytes is a reject.
    pub max_record_bytes: usize,
}

/// Takes what a reader finds, in file order; an error from it ends the reading.
pub type Sink<'sink> = dyn FnMut(Located) -> Result<()> + 'sink;

/// Reads one dataset's raw files.
///
/// A bad record is a reject and never an error. An error means that the file as a whole is not what its dataset says, or that it
/// could not be read to the end.
pub trait DatasetReader: Send + Sync {
    /// The dataset.
    fn kind(&self) -> DatasetKind;

    /// Version of what the reader makes of a record; part of the fingerprint.
    fn version(&self) -> u32;

    /// Whether a file of the source belongs to the dataset; others are left alone.
    fn accepts(&self, path: &str) -> bool;

    /// What an accepted file's name looks like, for the error that none was found.
    fn expected_files(&self) -> &'static str;

    /// Reads a file, record by record, in bounded memory; returns the number of raw records.
    fn read(&self, context: &FileContext, input: &mut dyn BufRead, sink: &mut Sink<'_>) -> Result<u64>;
}

/// Returns the reader of a dataset.
pub fn reader_for(kind: DatasetKind) -> Box<dyn DatasetReader> {
    match kind {
        DatasetKind::Sven => Box::new(SvenReader),
    }
}
