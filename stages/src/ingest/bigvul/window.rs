//! The stretch of a stream that is being looked at.

use std::io::{self, BufRead, ErrorKind};

/// Bytes of a stream from a place that only moves forward, as many as were asked for.
pub struct Window<'input> {
    input: &'input mut dyn BufRead,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    ended: bool,
}

impl<'input> Window<'input> {
    /// Starts at the input's first byte, with nothing in sight.
    pub fn new(input: &'input mut dyn BufRead) -> Self {
        Window { input, buffer: Vec::new(), start: 0, offset: 0, ended: false }
    }

    /// The bytes in sight.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// The place of the first byte in sight, from the start of the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Brings more bytes into sight; `false` at the end of the stream.
    pub fn grow(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while !self.ended {
            match self.input.fill_buf() {
                Ok(chunk) => {
                    let count = chunk.len();
                    self.buffer.extend_from_slice(chunk);
                    self.input.consume(count);
                    self.ended = count == 0;
                    return Ok(!self.ended);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Leaves `count` bytes behind, or all that are in sight.
    pub fn advance(&mut self, count: usize) {
        let count = count.min(self.bytes().len());
        self.start += count;
        self.offset += count as u64;
    }
}
