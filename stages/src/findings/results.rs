//! Reads a SARIF file in two passes: what its runs say once, then its results, one at a time.
//!
//! Nothing fixes the order in which a run has its tool and its results, and some analysers write the tool last: so the first pass
//! takes the tools, rules and artifacts and passes over the results, and the second the other way around.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::sarif::{Document, RunContext};
use crate::error::{Result, StageError};

/// Bytes that are taken from the input at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads what the runs of a file say once for all their results; memory is that of rules and artifacts.
///
/// # Errors
/// [`StageError::Source`] if the file is no SARIF 2.1.0 or is cut off, [`StageError::Read`] if it cannot be read.
pub fn read_runs(file: &str, input: &mut dyn BufRead) -> Result<Vec<RunContext>> {
    let endless = Cell::new(u64::MAX);
    let document: Document = parse(file, input, &endless, |deserializer| Document::deserialize(deserializer))?;
    match document.version.as_deref() {
        Some("2.1.0") => {}
        Some(version) => return Err(stranger(file, &format!("its version is {version}"))),
        None => return Err(stranger(file, "it has no `version`")),
    }
    let runs = document.runs.ok_or_else(|| stranger(file, "it has no `runs`"))?;
    let mut contexts = Vec::new();
    for (number, run) in runs.into_iter().enumerate() {
        if run.external_property_file_references.as_ref().is_some_and(|files| files.results.is_some()) {
            return Err(StageError::Source {
                message: format!("{file}: run {number} keeps its results in another file"),
                remedy: "let the analyser write all results into one SARIF file".to_owned(),
            });
        }
        let context = RunContext::new(run);
        contexts.push(context.ok_or_else(|| stranger(file, &format!("run {number} has no tool.driver.name")))?);
    }
    Ok(contexts)
}

/// Hands each result to `sink` as (run, JSON), in file order, and returns how many there were; one is held in memory at a time.
///
/// # Errors
/// As [`read_runs`]; [`StageError::Read`] too for a result of more than `max_result_bytes`, and what `sink` returns.
pub fn read_results(
    file: &str,
    input: &mut dyn BufRead,
    max_result_bytes: u64,
    sink: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<u64> {
    let allowance = Cell::new(u64::MAX);
    let mut reading = Reading { run: 0, results: 0, max_result_bytes, allowance: &allowance, sink, failure: None };
    let read = parse(file, input, &allowance, |deserializer| {
        Part { place: Place::Document, reading: &mut reading }.deserialize(deserializer)
    });
    match reading.failure.take() {
        Some(failure) => Err(failure),
        None => read.map(|()| reading.results),
    }
}

fn parse<T>(
    file: &str,
    input: &mut dyn BufRead,
    allowance: &Cell<u64>,
    read: impl FnOnce(
        &mut serde_json::Deserializer<serde_json::de::IoRead<BufReader<Bounded<'_>>>>,
    ) -> serde_json::Result<T>,
) -> Result<T> {
    let unreadable = |source| StageError::Read { file: file.to_owned(), source };
    if input.fill_buf().map_err(unreadable)?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    let bounded = BufReader::with_capacity(BUFFER_BYTES, Bounded { input, allowance });
    let mut deserializer = serde_json::Deserializer::from_reader(bounded);
    let value = read(&mut deserializer).map_err(|error| fault(file, error))?;
    deserializer.end().map_err(|error| fault(file, error))?;
    Ok(value)
}

fn fault(file: &str, error: serde_json::Error) -> StageError {
    use serde_json::error::Category;
    match error.classify() {
        Category::Io => StageError::Read { file: file.to_owned(), source: error.into() },
        Category::Eof => StageError::Source {
            message: format!("{file} is cut off: {error}"),
            remedy: "let the analyser write it again".to_owned(),
        },
        Category::Syntax => stranger(file, &format!("it is no JSON: {error}")),
        Category::Data => stranger(file, &error.to_string()),
    }
}

fn stranger(file: &str, why: &str) -> StageError {
    StageError::Source {
        message: format!("{file} is no SARIF 2.1.0 file: {why}"),
        remedy: "check `url` of this [[analysis]]; docs/operations.md has the analysers' commands".to_owned(),
    }
}

/// Hands bytes on as long as the allowance lasts.
struct Bounded<'read> {
    input: &'read mut dyn BufRead,
    allowance: &'read Cell<u64>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        match self.allowance.get().checked_sub(read as u64) {
            Some(left) => self.allowance.set(left),
            None => return Err(io::Error::other("a result is larger than [limits] max_record_bytes; raise the limit")),
        }
        Ok(read)
    }
}

/// The second pass.
struct Reading<'read> {
    run: usize,
    results: u64,
    max_result_bytes: u64,
    allowance: &'read Cell<u64>,
    sink: &'read mut dyn FnMut(usize, &str) -> Result<()>,
    failure: Option<StageError>,
}

/// The values on the way from a file to its results.
#[derive(Clone, Copy)]
enum Place {
    Document,
    Runs,
    Run,
    Results,
}

impl Place {
    /// The member that leads on, and what it holds.
    fn next(self) -> (&'static str, Place) {
        match self {
            Place::Document => ("runs", Place::Runs),
            Place::Run => ("results", Place::Results),
            Place::Runs | Place::Results => ("", self),
        }
    }
}

struct Part<'part, 'read> {
    place: Place,
    reading: &'part mut Reading<'read>,
}

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.place {
            Place::Document => "an object with `version` and `runs`",
            Place::Runs => "an array of runs",
            Place::Run => "a run, an object",
            Place::Results => "an array of results",
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let (key, next) = self.place.next();
        if key.is_empty() {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        while let Some(name) = members.next_key::<String>()? {
            if name == key {
                members.next_value_seed(Part { place: next, reading: &mut *self.reading })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let reading = self.reading;
        match self.place {
            Place::Runs => {
                while elements.next_element_seed(Part { place: Place::Run, reading: &mut *reading })?.is_some() {
                    reading.run += 1;
                }
            }
            Place::Results => {
                // Some bytes of the next result may have been read along with this one.
                let allowed = reading.max_result_bytes.saturating_add(BUFFER_BYTES as u64);
                reading.allowance.set(allowed);
                while let Some(result) = elements.next_element::<Box<RawValue>>()? {
                    reading.results += 1;
                    if let Err(failure) = (reading.sink)(reading.run, result.get()) {
                        reading.failure = Some(failure);
                        return Err(A::Error::custom("stopped"));
                    }
                    reading.allowance.set(allowed);
                }
                reading.allowance.set(u64::MAX);
            }
            Place::Document | Place::Run => {
                let part = Part { place: self.place, reading };
                return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &part));
            }
        }
        Ok(())
    }

    /// A tool that could not even start writes `null` for its results.
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.place {
            Place::Results => Ok(()),
            _ => Err(E::invalid_type(serde::de::Unexpected::Unit, &self)),
        }
    }
}
