//! Any number of realistic raw records in each dataset's layout, made of our own samples and a seed.
//!
//! The same request gives the same bytes. Memory is that of one record, whatever the number.

mod broken;
mod corpus;
mod draw;
mod json;
mod layout;
mod output;
mod samples;
mod seed;
mod template;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use corpus::Corpus;
use draw::Draw;
use layout::{Layout, Unit, layout_for};
use output::Output;

pub use output::Compression;

/// The datasets whose layouts can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataset {
    /// JSON lines, a file a weakness.
    Sven,
    /// JSON lines, paired and unpaired files.
    PrimeVul,
    /// JSON lines, a file a language.
    ReposVul,
    /// A folder an entry; one archive of them when compressed.
    PreciseBugs,
    /// One CSV.
    BigVul,
}

impl Dataset {
    /// Lists every dataset, in the order of declaration.
    pub const ALL: [Dataset; 5] =
        [Dataset::Sven, Dataset::PrimeVul, Dataset::ReposVul, Dataset::PreciseBugs, Dataset::BigVul];

    /// Returns the name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Dataset::Sven => "sven",
            Dataset::PrimeVul => "primevul",
            Dataset::ReposVul => "reposvul",
            Dataset::PreciseBugs => "precisebugs",
            Dataset::BigVul => "bigvul",
        }
    }
}

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Exactly so many raw records.
    Records(u64),
    /// About so many bytes before compression: a number of records that follows from the size of the first ones.
    Bytes(u64),
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Request {
    /// In which layout.
    pub dataset: Dataset,
    /// How much.
    pub size: Size,
    /// Decides everything else.
    pub seed: u64,
    /// The share of records that must be rejects of ingest; their number is rounded.
    pub broken: f64,
    /// The folder it goes to.
    pub out: PathBuf,
    /// How its files are compressed.
    pub compression: Option<Compression>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// In which layout.
    pub dataset: Dataset,
    /// Raw records, broken ones included: lines, rows, entries.
    pub records: u64,
    /// Records that must be rejects, each exactly one.
    pub broken: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Units whose size is looked at to tell how many records some bytes are.
const UNITS_MEASURED: u64 = 400;

/// Writes what is asked for, from the samples in `samples`.
///
/// # Errors
/// If the samples cannot be read or the output not written.
pub fn generate(request: &Request, samples: &Path) -> io::Result<Summary> {
    let corpus = Corpus::load(samples)?;
    let mut layout = layout_for(request.dataset, &corpus);
    let records = match request.size {
        Size::Records(records) => records,
        Size::Bytes(bytes) => (bytes as f64 / mean_bytes(&mut *layout, request.seed)).round().max(1.0) as u64,
    };
    let broken = (request.broken.clamp(0.0, 1.0) * records as f64).round() as u64;
    let mut lots = Lots { records, broken, draw: Draw::new(request.seed, u64::MAX) };
    let mut output = Output::new(&request.out, layout.archive(), request.compression)?;
    let is_whole = layout.archive().is_some();
    let mut number = 0;
    let mut buffer = Vec::new();
    for file in layout.files(records) {
        if !is_whole {
            output.begin(&file.path)?;
            output.append(&layout.header())?;
        }
        for _ in 0..file.units {
            buffer.clear();
            let unit = Unit { file: &file, number, is_broken: lots.is_broken(file.records_per_unit) };
            layout.write(&unit, &mut Draw::new(request.seed, number), &mut buffer);
            match is_whole {
                true => output.whole(&file.path, &buffer)?,
                false => output.append(&buffer)?,
            }
            number += 1;
        }
    }
    output.finish()?;
    Ok(Summary { dataset: request.dataset, records, broken, bytes: output.bytes, files: output.files })
}

/// Returns the mean size of a record, as some of each file show it.
fn mean_bytes(layout: &mut dyn Layout, seed: u64) -> f64 {
    let mut buffer = Vec::new();
    let (mut bytes, mut records, mut number) = (0, 0, 0);
    for file in layout.files(UNITS_MEASURED) {
        for _ in 0..file.units {
            buffer.clear();
            let unit = Unit { file: &file, number, is_broken: false };
            layout.write(&unit, &mut Draw::new(seed, number), &mut buffer);
            bytes += buffer.len();
            records += file.records_per_unit;
            number += 1;
        }
    }
    bytes as f64 / records.max(1) as f64
}

/// Decides which records are broken: exactly so many, each with the same chance (selection sampling).
struct Lots {
    records: u64,
    broken: u64,
    draw: Draw,
}

impl Lots {
    /// Decides about the next unit, of so many records.
    fn is_broken(&mut self, records: u64) -> bool {
        // Where fewer records than are to be broken would be left, this one must be.
        let must = self.broken + records > self.records;
        let share = self.broken as f64 / self.records.max(1) as f64;
        let is_broken = self.broken >= records && (self.draw.chance(share) || must);
        self.records -= records.min(self.records);
        if is_broken {
            self.broken -= records;
        }
        is_broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_asked_number_of_records_is_broken() {
        for (records, broken) in [(10, 0), (10, 1), (10, 10), (1000, 10), (1003, 77), (7, 6)] {
            for seed in 0..30 {
                let mut lots = Lots { records, broken, draw: Draw::new(seed, 0) };
                // As PrimeVul has it: pairs first, then single lines.
                let pairs = records / 10;
                let paired: u64 = (0..pairs).map(|_| 2 * u64::from(lots.is_broken(2))).sum();
                let single: u64 = (0..records - 2 * pairs).map(|_| u64::from(lots.is_broken(1))).sum();
                assert_eq!(paired + single, broken, "{records} {broken} {seed}");
            }
        }
    }
}
