//! Which lines of a paired file belong together.
//!
//! The layout says: lines 2k and 2k+1, the vulnerable version first. A line that cannot be read still counts, so it costs its own pair
//! alone. A line that is missing shifts all later ones; so a pair may also begin at an odd line, where `target` says 1 and then 0 and
//! both lines name one commit. A commit may own several pairs: it never decides which lines are a pair, only which are none.

use super::function::Function;
use crate::error::Result;
use crate::ingest::json_records::{JsonRecords, RawRecord};
use crate::ingest::reader::Sink;
use crate::ingest::record::{Located, Reject, RejectReason};

/// One line, read.
struct Version {
    row: u64,
    byte_offset: u64,
    bytes: Vec<u8>,
    function: Function,
}

/// Reads a paired file; returns the number of lines. A version whose counterpart is missing becomes a reject.
///
/// # Errors
/// As [`JsonRecords::next_record`], and those of the sink.
pub fn read_pairs(mut records: JsonRecords<'_, '_>, split: Option<&str>, sink: &mut Sink<'_>) -> Result<u64> {
    let mut waiting: Option<Version> = None;
    while let Some(record) = records.next_record()? {
        let (row, byte_offset) = (record.row, record.byte_offset);
        match (waiting.take(), read_version(&mut records, record)) {
            (Some(vulnerable), Ok(fixed)) if are_pair(&vulnerable, &fixed) => {
                sink(pair_of(&mut records, vulnerable, fixed, split))?;
            }
            (vulnerable, next) => {
                if let Some(vulnerable) = vulnerable {
                    sink(alone(&mut records, &vulnerable))?;
                }
                match next {
                    Ok(version) if version.function.is_vulnerable => waiting = Some(version),
                    Ok(fixed) => sink(alone(&mut records, &fixed))?,
                    Err(reject) => sink(Located { row, records: 1, byte_offset, outcome: Err(reject) })?,
                }
            }
        }
    }
    if let Some(vulnerable) = waiting {
        sink(alone(&mut records, &vulnerable))?;
    }
    Ok(records.count())
}

fn read_version(records: &mut JsonRecords<'_, '_>, record: RawRecord) -> Result<Version, Reject> {
    let RawRecord { row, byte_offset, bytes } = record;
    let bytes = bytes?;
    let function = Function::read(&bytes).map_err(|flaw| records.reject(flaw, &bytes))?;
    records.recognise();
    Ok(Version { row, byte_offset, bytes, function })
}

/// Whether the line after a vulnerable version is its fixed one. Where a commit is unknown, the place of the lines decides.
fn are_pair(vulnerable: &Version, next: &Version) -> bool {
    let in_place = vulnerable.row.is_multiple_of(2);
    let fits = match (&vulnerable.function.commit_id, &next.function.commit_id) {
        (Some(commit), Some(of_next)) => commit == of_next,
        _ => in_place,
    };
    fits && !next.function.is_vulnerable
}

fn pair_of(records: &mut JsonRecords<'_, '_>, vulnerable: Version, fixed: Version, split: Option<&str>) -> Located {
    let Version { row, byte_offset, bytes, function } = vulnerable;
    let outcome = function.paired(fixed.function, split).map_err(|flaw| records.reject(flaw, &bytes));
    Located { row, records: 2, byte_offset, outcome: outcome.map(Box::new) }
}

fn alone(records: &mut JsonRecords<'_, '_>, version: &Version) -> Located {
    let detail = match version.function.is_vulnerable {
        true => "target is 1 and the next record is not its fixed version, with target 0 and the same commit_id",
        false => {
            "target is 0 and the record before is not its vulnerable version, with target 1 and the same commit_id"
        }
    };
    let reject = records.reject((RejectReason::NoCounterpart, detail.to_owned()), &version.bytes);
    Located { row: version.row, records: 1, byte_offset: version.byte_offset, outcome: Err(reject) }
}
