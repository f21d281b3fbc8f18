//! JSON lines, one at a time, in bounded memory.

use std::io::{self, BufRead, Read};

/// One line of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// The line's bytes without its end.
    Whole(Vec<u8>),
    /// A line of more bytes than allowed: its first bytes, and how long it is.
    TooLong {
        /// The first bytes.
        start: Vec<u8>,
        /// Bytes in the whole line.
        bytes: u64,
    },
}

/// Bytes of an over-long line that are kept for the reject.
const KEPT_OF_TOO_LONG: usize = 4096;

/// Splits input into lines that are not blank, each with its record number and byte offset.
pub struct Lines<'input> {
    input: &'input mut dyn BufRead,
    max_bytes: usize,
    offset: u64,
    row: u64,
}

impl<'input> Lines<'input> {
    /// Starts at the input's first byte; lines longer than `max_bytes` are not held in memory.
    pub fn new(input: &'input mut dyn BufRead, max_bytes: usize) -> Self {
        Lines { input, max_bytes, offset: 0, row: 0 }
    }

    /// Returns the next line that is not blank as (row from 0, byte offset, line); `None` at the end.
    pub fn next_line(&mut self) -> io::Result<Option<(u64, u64, Line)>> {
        loop {
            let start = self.offset;
            let mut bytes = Vec::new();
            let limit = self.max_bytes as u64 + 2;
            let read = (&mut *self.input).take(limit).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            let ended = bytes.last() == Some(&b'\n');
            let line = if !ended && bytes.len() > self.max_bytes {
                let rest = self.skip_line()?;
                self.offset += rest;
                bytes.truncate(KEPT_OF_TOO_LONG);
                Line::TooLong { start: bytes, bytes: self.offset - start }
            } else {
                if ended {
                    bytes.pop();
                }
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
                if start == 0 && bytes.starts_with(b"\xef\xbb\xbf") {
                    bytes.drain(..3);
                }
                if bytes.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                Line::Whole(bytes)
            };
            let row = self.row;
            self.row += 1;
            return Ok(Some((row, start, line)));
        }
    }

    /// Returns how many lines that are not blank were seen.
    pub fn rows(&self) -> u64 {
        self.row
    }

    fn skip_line(&mut self) -> io::Result<u64> {
        let mut skipped = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(skipped);
            }
            let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
                Some(position) => (position + 1, true),
                None => (buffer.len(), false),
            };
            self.input.consume(used);
            skipped += used as u64;
            if done {
                return Ok(skipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn blank_lines_are_no_records_and_offsets_count_them() {
        let mut input: &[u8] = b"\xef\xbb\xbf{}\r\n\n  \n[1]";
        let mut lines = Lines::new(&mut input, 100);
        assert_eq!(lines.next_line().unwrap(), Some((0, 0, Line::Whole(b"{}".to_vec()))));
        assert_eq!(lines.next_line().unwrap(), Some((1, 11, Line::Whole(b"[1]".to_vec()))));
        assert_eq!(lines.next_line().unwrap(), None);
        assert_eq!(lines.rows(), 2);
    }

    #[test]
    fn a_line_past_the_limit_is_skipped_and_the_next_one_is_read() {
        let text = format!("{}\nok\n", "x".repeat(50_000));
        let mut input = text.as_bytes();
        let mut lines = Lines::new(&mut input, 1000);
        let Some((0, 0, Line::TooLong { start, bytes })) = lines.next_line().unwrap() else {
            panic!("expected a long line")
        };
        assert!(start.len() <= 4096);
        assert_eq!(bytes, 50_001);
        assert_eq!(lines.next_line().unwrap(), Some((1, 50_001, Line::Whole(b"ok".to_vec()))));
    }
}
