//! Cuts a CSV file into records in bounded memory, and finds its way back behind a broken one.
//!
//! `csv-core` says where fields and records end. Once a quote is lost it goes on in the wrong phase: code is taken for records, and
//! records for code. So a record with another number of fields than the header is left behind up to the next line that a whole record
//! begins with, and all that was left behind counts as one broken record.

use std::io::{self, BufRead};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::window::Window;
use crate::ingest::flaw::{Flaw, rejected, too_large};
use crate::ingest::record::{Reject, RejectReason};

/// A header of more columns is none.
const MAX_COLUMNS: usize = 1024;

/// Bytes that fields are decoded into at first; more where a record asks for it.
const TEXT_BYTES: usize = 64 << 10;

/// Bytes of a line that tell whether it begins with an index: a quote, 20 digits, a quote, a comma.
const INDEX_BYTES: usize = 23;

/// Bytes of a broken record that are kept for its reject.
const KEPT_OF_BROKEN: usize = 64 << 10;

/// A record of the file.
pub struct CsvRecord<'records> {
    /// The record in the file, from 0; the header is none.
    pub row: u64,
    /// The byte at which it starts.
    pub byte_offset: u64,
    /// Its fields, or a reject where it is broken.
    pub fields: Result<Fields<'records>, Reject>,
}

/// The fields of a record, decoded.
pub struct Fields<'records> {
    text: &'records [u8],
    ends: &'records [usize],
    raw: &'records [u8],
}

impl<'records> Fields<'records> {
    /// Returns the field of a column; empty where there is no such column.
    pub fn get(&self, column: usize) -> &'records [u8] {
        let start = column.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let field = self.ends.get(column).and_then(|end| self.text.get(start..*end)).unwrap_or_default();
        // Records end at line feeds alone, since a carriage return may stand within a field; right before, it is part of the end.
        let line = self.raw.strip_suffix(b"\n").unwrap_or(self.raw);
        let has_line_end = column + 1 == self.ends.len() && line.ends_with(b"\r");
        if has_line_end { field.strip_suffix(b"\r").unwrap_or(field) } else { field }
    }

    /// Returns the record as it stands in the file.
    pub fn raw(&self) -> &'records [u8] {
        self.raw
    }
}

/// How parsing from some place ended.
#[derive(Clone, Copy)]
enum Parsed {
    /// With a record of so many fields, which ends before this byte of the window.
    Record { end: usize, fields: usize },
    /// With more fields than there are columns.
    TooManyFields,
    /// With no end within the limit.
    TooLong,
    /// With the end of the file, within quotes.
    Unclosed,
}

/// Reads records one by one.
pub struct CsvRecords<'input> {
    window: Window<'input>,
    parser: Reader,
    max_bytes: usize,
    columns: usize,
    /// The column that is 0 or 1 in every record.
    flag: usize,
    /// Whether the first column has no name: then it numbers the records.
    is_numbered: bool,
    row: u64,
    /// Bytes of the record handed out last, which are still in the window.
    handed_out: usize,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl<'input> CsvRecords<'input> {
    /// Starts at the input's first byte. A record of at most `max_bytes` is held in memory, as it stands and decoded.
    pub fn new(input: &'input mut dyn BufRead, max_bytes: usize) -> Self {
        CsvRecords {
            window: Window::new(input),
            parser: ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build(),
            max_bytes,
            columns: MAX_COLUMNS,
            flag: 0,
            is_numbered: false,
            row: 0,
            handed_out: 0,
            text: vec![0; TEXT_BYTES],
            ends: vec![0; MAX_COLUMNS],
        }
    }

    /// Reads the header and returns the columns' names; `None` where the file does not start with one.
    pub fn read_header(&mut self) -> io::Result<Option<Vec<String>>> {
        self.skip_blank_lines()?;
        let Parsed::Record { end, fields } = self.parse(0)? else { return Ok(None) };
        (self.columns, self.handed_out) = (fields, end);
        let header = self.fields(end);
        let names: Vec<String> =
            (0..fields).map(|column| String::from_utf8_lossy(header.get(column)).into_owned()).collect();
        self.is_numbered = names.first().is_some_and(String::is_empty);
        Ok(Some(names))
    }

    /// Says which column is 0 or 1 in every record, by which whole records are known behind broken ones.
    pub fn expect_flag(&mut self, column: usize) {
        self.flag = column;
    }

    /// Returns the next record; `None` at the end.
    pub fn next_record(&mut self) -> io::Result<Option<CsvRecord<'_>>> {
        self.window.advance(std::mem::take(&mut self.handed_out));
        self.skip_blank_lines()?;
        if self.window.bytes().is_empty() {
            return Ok(None);
        }
        let (row, byte_offset) = (self.row, self.window.offset());
        self.row += 1;
        let parsed = self.parse(0)?;
        let fields = match parsed {
            Parsed::Record { end, fields } if fields == self.columns && !self.holds_another(end)? => {
                self.handed_out = end;
                Ok(self.fields(end))
            }
            broken => {
                let raw = self.leave_behind()?;
                Err(rejected(self.flaw(broken, self.window.offset() - byte_offset), &raw))
            }
        };
        Ok(Some(CsvRecord { row, byte_offset, fields }))
    }

    /// Returns how many records were seen, broken ones included.
    pub fn count(&self) -> u64 {
        self.row
    }

    fn fields(&self, end: usize) -> Fields<'_> {
        let raw = self.window.bytes().get(..end).unwrap_or_default();
        Fields { text: &self.text, ends: self.ends.get(..self.columns).unwrap_or_default(), raw }
    }

    fn skip_blank_lines(&mut self) -> io::Result<()> {
        loop {
            let blank = match self.window.bytes() {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [] | [b'\r'] => 0,
                _ => return Ok(()),
            };
            if blank == 0 && !self.window.grow()? {
                return Ok(());
            }
            self.window.advance(blank);
        }
    }

    /// Parses one record, from a byte of the window on.
    fn parse(&mut self, from: usize) -> io::Result<Parsed> {
        self.parser.reset();
        let (mut read, mut written, mut fields) = (from, 0, 0);
        loop {
            let at_end = read >= self.window.bytes().len() && !self.window.grow()?;
            // A line feed in place of the file's end is an end, or is taken in by quotes that never close.
            let input = if at_end { b"\n" } else { self.window.bytes().get(read..).unwrap_or_default() };
            let text = self.text.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..self.columns).unwrap_or_default();
            let (result, consumed, produced, ended) = self.parser.read_record(input, text, ends);
            if !at_end {
                read += consumed;
            }
            written += produced;
            fields += ended;
            if read - from > self.max_bytes {
                return Ok(Parsed::TooLong);
            }
            match result {
                ReadRecordResult::Record => return Ok(Parsed::Record { end: read, fields }),
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => return Ok(Parsed::TooManyFields),
                ReadRecordResult::InputEmpty if !at_end => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(Parsed::Unclosed),
            }
        }
    }

    /// Whether a whole record begins at this byte of the window.
    fn is_whole(&mut self, from: usize) -> io::Result<bool> {
        let Parsed::Record { end, fields } = self.parse(from)? else { return Ok(false) };
        Ok(fields == self.columns && matches!(self.fields(end).get(self.flag), b"0" | b"1"))
    }

    /// Whether a line may be the first of a record.
    fn may_begin(&self, line: &[u8]) -> bool {
        if !self.is_numbered {
            return !line.is_empty();
        }
        let line = line.strip_prefix(b"\"").unwrap_or(line);
        let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let behind = line.get(digits..).unwrap_or_default();
        digits > 0 && digits < INDEX_BYTES - 2 && (behind.starts_with(b",") || behind.starts_with(b"\","))
    }

    /// Whether another record begins within the one that was parsed last: a quote that was lost can make one out of two.
    ///
    /// Only where records are numbered; else any line of code would have to be tried.
    fn holds_another(&mut self, end: usize) -> io::Result<bool> {
        if !self.is_numbered {
            return Ok(false);
        }
        let (mut from, mut parsed_others) = (0, false);
        while let Some(line) = self.window.bytes().get(from..end).and_then(line_length) {
            from += line;
            if self.may_begin(self.window.bytes().get(from..end).unwrap_or_default()) {
                if self.is_whole(from)? {
                    return Ok(true);
                }
                parsed_others = true;
            }
        }
        if parsed_others {
            self.parse(0)?;
        }
        Ok(false)
    }

    /// Leaves a broken record behind, up to the next line that a whole record begins with or to the end; returns its first bytes.
    fn leave_behind(&mut self) -> io::Result<Vec<u8>> {
        let mut raw = Vec::new();
        loop {
            let line = line_length(self.window.bytes());
            self.advance_keeping(line.unwrap_or(usize::MAX), &mut raw);
            while self.window.bytes().len() < INDEX_BYTES && self.window.grow()? {}
            if self.window.bytes().is_empty() {
                return Ok(raw);
            }
            if line.is_some() && self.may_begin(self.window.bytes()) && self.is_whole(0)? {
                return Ok(raw);
            }
        }
    }

    fn advance_keeping(&mut self, count: usize, raw: &mut Vec<u8>) {
        let left = self.window.bytes();
        let left = left.get(..count.min(left.len())).unwrap_or_default();
        let kept = left.len().min(KEPT_OF_BROKEN.saturating_sub(raw.len()));
        raw.extend_from_slice(left.get(..kept).unwrap_or_default());
        self.window.advance(count);
    }

    fn flaw(&self, parsed: Parsed, bytes: u64) -> Flaw {
        let columns = self.columns;
        let detail = match parsed {
            Parsed::TooLong if bytes > self.max_bytes as u64 => {
                return too_large(bytes, self.max_bytes);
            }
            Parsed::TooLong => "a quote does not close: other records begin before this one ends".to_owned(),
            Parsed::Record { fields, .. } if fields == columns => {
                "a quote does not close: another record begins within".to_owned()
            }
            Parsed::Record { fields, .. } => format!("{fields} fields; the header has {columns}"),
            Parsed::TooManyFields => format!("more fields than the {columns} of the header"),
            Parsed::Unclosed => "a quote does not close before the file ends".to_owned(),
        };
        (RejectReason::InvalidCsv, detail)
    }
}

/// Bytes of the first line, its end included; `None` where it does not end.
fn line_length(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|position| position + 1)
}
