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

/// What a position within an interpolated literal lies in.
#[derive(Clone, Copy)]
enum Nested {
    /// Text up to so many of these quotes.
    Text { quote: u8, quotes: usize, escapes: bool, interpolates: bool },
    /// An expression, up to its closing brace.
    Expression,
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

    /// Reports a literal in which `${ … }` is an expression that may hold literals, interpolated ones too.
    ///
    /// `inner` is the quote whose literals are interpolated, or nothing where there are no expressions. All of it is reported
    /// as one literal. A run of closing quotes that is too long belongs to the literal.
    pub(super) fn interpolated(
        &mut self,
        start: usize,
        content: usize,
        literal: Literal<'_>,
        inner: Option<u8>,
        role: Role,
    ) -> Option<usize> {
        self.touch_code();
        self.sink.literal_start(start, role);
        let quote = literal.close.first().copied().unwrap_or(b'"');
        let quotes = literal.close.len();
        let mut nested = vec![Nested::Text { quote, quotes, escapes: literal.escapes, interpolates: inner.is_some() }];
        let (mut from, mut position) = (start, content);
        loop {
            let byte = self.at(position)?;
            if class(byte) == Class::LineEnd {
                self.sink.literal(from, position);
                if !literal.multiline {
                    return Some(position);
                }
                position = self.inner_line(position)?;
                from = position;
                // A literal of one line within an expression ends with its line.
                if matches!(nested.last(), Some(Nested::Text { quote: b'"' | b'\'', quotes: 1, .. })) {
                    nested.pop();
                }
                continue;
            }
            match nested.last().copied() {
                Some(Nested::Text { quote, quotes, .. })
                    if byte == quote && self.repeats(position, quote, quotes)? =>
                {
                    position += quotes;
                    while quotes > 1 && self.at(position)? == quote {
                        position += 1;
                    }
                    nested.pop();
                    if nested.is_empty() {
                        self.sink.literal(from, position);
                        return Some(position);
                    }
                }
                Some(Nested::Text { escapes: true, .. }) if byte == b'\\' => {
                    position += 1;
                    if class(self.at(position)?) != Class::LineEnd {
                        position += 1;
                    }
                }
                Some(Nested::Text { interpolates: true, .. }) if byte == b'$' && self.at(position + 1)? == b'{' => {
                    nested.push(Nested::Expression);
                    position += 2;
                }
                Some(Nested::Expression) => {
                    match byte {
                        b'{' => nested.push(Nested::Expression),
                        b'}' => {
                            nested.pop();
                        }
                        b'"' | b'\'' | b'`' => {
                            let interpolates = Some(byte) == inner;
                            nested.push(Nested::Text { quote: byte, quotes: 1, escapes: true, interpolates });
                        }
                        _ => {}
                    }
                    position += 1;
                }
                _ => position += 1,
            }
        }
    }

    fn repeats(&mut self, position: usize, quote: u8, quotes: usize) -> Option<bool> {
        for offset in 1..quotes {
            if self.at(position + offset)? != quote {
                return Some(false);
            }
        }
        Some(true)
    }
}
