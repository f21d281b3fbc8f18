//! The interface every dataset's reader has.

use std::fmt;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::bigvul::BigVulReader;
use super::precisebugs::PreciseBugsReader;
use super::primevul::PrimeVulReader;
use super::random_access::RandomAccess;
use super::record::{Granularity, Located};
use super::reposvul::ReposVulReader;
use super::sven::SvenReader;
use crate::error::{Result, StageError};

/// The datasets whose raw layouts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatasetKind {
    /// SVEN: JSON lines, one pair a line.
    Sven,
    /// PrimeVul v0.1: JSON lines, one function a line; two lines are a pair in the paired files.
    PrimeVul,
    /// ReposVul: JSON lines, one commit a line.
    ReposVul,
    /// PreciseBugs: one JSON object a folder, or archives of such folders.
    PreciseBugs,
    /// BigVul: CSV of 36 columns, or the Parquet mirror.
    BigVul,
}

impl DatasetKind {
    /// Lists every dataset, in the order of declaration.
    pub const ALL: [DatasetKind; 5] = [
        DatasetKind::Sven,
        DatasetKind::PrimeVul,
        DatasetKind::ReposVul,
        DatasetKind::PreciseBugs,
        DatasetKind::BigVul,
    ];

    /// Returns the name in the column `dataset`.
    pub fn as_str(self) -> &'static str {
        match self {
            DatasetKind::Sven => "sven",
            DatasetKind::PrimeVul => "primevul",
            DatasetKind::ReposVul => "reposvul",
            DatasetKind::PreciseBugs => "precisebugs",
            DatasetKind::BigVul => "bigvul",
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
    /// The file's path below its source, with forward slashes and without the ending of its compression: `train/cwe-089.jsonl`.
    pub path: String,
    /// A record of more bytes is a reject.
    pub max_record_bytes: usize,
    /// The granularities that pairs are made of, where the dataset has several; never empty.
    pub granularities: Vec<Granularity>,
}

/// How a reader gets at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// From the first byte to the last.
    Stream,
    /// At any place.
    Random,
}

/// A raw file, open.
pub enum RawInput<'file> {
    /// Its bytes from first to last, decompressed.
    Stream(&'file mut dyn BufRead),
    /// Its bytes at any place, as they are.
    Random(&'file RandomAccess),
}

impl<'file> RawInput<'file> {
    /// Returns the stream of a file that was opened as one.
    ///
    /// # Errors
    /// [`StageError::Read`] for a file opened for random access: a defect of the reader.
    pub fn stream(self, path: &str) -> Result<&'file mut dyn BufRead> {
        match self {
            RawInput::Stream(stream) => Ok(stream),
            RawInput::Random(_) => Err(wrong_access(path)),
        }
    }

    /// Returns a file that was opened for random access.
    ///
    /// # Errors
    /// [`StageError::Read`] for a file opened as a stream: a defect of the reader.
    pub fn random(self, path: &str) -> Result<&'file RandomAccess> {
        match self {
            RawInput::Random(file) => Ok(file),
            RawInput::Stream(_) => Err(wrong_access(path)),
        }
    }
}

fn wrong_access(path: &str) -> StageError {
    StageError::Read {
        file: path.to_owned(),
        source: std::io::Error::other("the file was opened in another way than its reader reads"),
    }
}

/// Takes what a reader finds, in file order; an error from it ends the reading.
pub type Sink<'sink> = dyn FnMut(Located) -> Result<()> + 'sink;

/// Reads one dataset's raw files.
///
/// Each raw record is handed on at least once, as a pair or a reject, in the order of the file; the check `ingest_accounting` counts.
/// A bad record is a reject and never an error. An error means that the file as a whole is not what its dataset says, or that it
/// could not be read to the end.
pub trait DatasetReader: Send + Sync {
    /// The dataset.
    fn kind(&self) -> DatasetKind;

    /// Version of what the reader makes of a record; part of the fingerprint.
    fn version(&self) -> u32;

    /// Whether a file of the source belongs to the dataset; others are left alone. `path` is without the ending of a compression.
    fn accepts(&self, path: &str) -> bool;

    /// How [`DatasetReader::read`] wants the file of this path.
    fn access(&self, _path: &str) -> Access {
        Access::Stream
    }

    /// What an accepted file's name looks like, for the error that none was found.
    fn expected_files(&self) -> &'static str;

    /// Reads a file, record by record, in bounded memory; returns the number of raw records.
    ///
    /// `input` is what [`DatasetReader::access`] asked for.
    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64>;
}

/// Returns the reader of a dataset.
pub fn reader_for(kind: DatasetKind) -> Box<dyn DatasetReader> {
    match kind {
        DatasetKind::Sven => Box::new(SvenReader),
        DatasetKind::PrimeVul => Box::new(PrimeVulReader),
        DatasetKind::ReposVul => Box::new(ReposVulReader),
        DatasetKind::PreciseBugs => Box::new(PreciseBugsReader),
        DatasetKind::BigVul => Box::new(BigVulReader),
    }
}
