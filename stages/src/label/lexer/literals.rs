//! Literals: quoted text on one line, raw text over many, and their escapes.

use super::cursor::{Class, Cursor, class};
use super::{Role, Sink};

/// Says how a literal ends and what a backslash does in it.
#[derive(Clone, Copy)]
pub(super) struct Literal<'t> {
    /// What closes the literal.
    pub(super) close: &'t [u8],
    /// The literal may hold line ends.
    pub(super) multiline: bool,
    /// A backslash takes the next character with it.
    pub(super) escapes: bool,
}

impl<S: Sink, const COMPLETE: bool> Cursor<'_, S, COMPLETE> {
    /// Reports a literal whose opening lies between `start` and `content`; returns what follows it.
    ///
    /// A literal of one line that is not closed ends with its line, unless a backslash continues it.
    pub(super) fn literal(&mut self, start: usize, content: usize, literal: Literal<'_>, role: Role) -> Option<usize> {
        self.touch_code();
        self.sink.literal_start(start, role);
        let mut from = start;
        let mut position = content;
        let first = literal.close.first().copied();
        let stops = |byte| Some(byte) == first || matches!(byte, b'\\' | b'\n' | b'\r');
        loop {
            position = self.skip(position, |byte| !stops(byte));
            let byte = self.at(position)?;
            if Some(byte) == first {
                match self.closes(position, literal.close)? {
                    true => {
                        let end = position + literal.close.len();
                        self.sink.literal(from, end);
                        return Some(end);
                    }
                    false => position += 1,
                }
            } else if byte == b'\\' && literal.escapes {
                if class(self.at(position + 1)?) == Class::LineEnd {
                    self.sink.literal(from, position + 1);
                    position = self.inner_line(position + 1)?;
                    from = position;
                } else {
                    position += 2;
                }
            } else if class(byte) == Class::LineEnd {
                self.sink.literal(from, position);
                if !literal.multiline {
                    return Some(position);
                }
                position = self.inner_line(position)?;
                from = position;
            } else {
                position += 1;
            }
        }
    }

    fn inner_line(&mut self, position: usize) -> Option<usize> {
        let next = self.end_inner_line(position)?;
        self.touch_code();
        Some(next)
    }

    /// Says whether the closing text stands here, or nothing where the text ends before that is known.
    fn closes(&mut self, position: usize, close: &[u8]) -> Option<bool> {
        for (offset, expected) in close.iter().enumerate() {
            if self.at(position + offset)? != *expected {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Returns whether three equal quotes stand here, or nothing where the text ends before that is known.
    pub(super) fn is_triple(&mut self, position: usize, quote: u8) -> Option<bool> {
        Some(self.at(position + 1)? == quote && self.at(position + 2)? == quote)
    }
}
