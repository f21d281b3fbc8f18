//! BigVul's CSV file.

use std::io::BufRead;

use super::columns::{COLUMNS, Places, find_columns, stranger};
use super::records::{CsvRecord, CsvRecords, Fields};
use super::row::{Row, pair_of};
use crate::error::{Result, StageError};
use crate::ingest::flaw::{Flaw, rejected};
use crate::ingest::reader::{FileContext, Sink};
use crate::ingest::record::{Located, RejectReason};

/// Reads a CSV file with a header; returns the number of records. The file has no split of its own.
///
/// # Errors
/// [`StageError::Source`] where the header is not BigVul's, [`StageError::Read`], and those of the sink.
pub fn read_csv(context: &FileContext, input: &mut dyn BufRead, sink: &mut Sink<'_>) -> Result<u64> {
    let unreadable = |source| StageError::Read { file: context.path.clone(), source };
    let mut records = CsvRecords::new(input, context.max_record_bytes);
    let header = records.read_header().map_err(unreadable)?.ok_or_else(|| stranger(context, &COLUMNS))?;
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let places = find_columns(context, &names)?;
    if let Some(vul) = names.iter().position(|name| *name == "vul") {
        records.expect_flag(vul);
    }
    while let Some(CsvRecord { row, byte_offset, fields }) = records.next_record().map_err(unreadable)? {
        let outcome = fields.and_then(|fields| {
            let pair = row_of(&fields, &places).and_then(|row| pair_of(row, None));
            pair.map(Box::new).map_err(|flaw| rejected(flaw, fields.raw()))
        });
        sink(Located { row, records: 1, byte_offset, outcome })?;
    }
    Ok(records.count())
}

/// Takes the columns that are read out of a record; what the others hold may be no UTF-8.
fn row_of<'record>(fields: &Fields<'record>, places: &Places) -> Result<Row<'record>, Flaw> {
    let mut row = Row::default();
    for ((text, place), column) in row.iter_mut().zip(places).zip(COLUMNS) {
        let bytes = place.map_or(&[][..], |place| fields.get(place));
        *text = std::str::from_utf8(bytes).map_err(|error| {
            (RejectReason::InvalidUtf8, format!("byte {} of {column} is no UTF-8", error.valid_up_to()))
        })?;
    }
    Ok(row)
}
