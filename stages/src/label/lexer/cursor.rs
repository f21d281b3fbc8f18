//! Reading bytes without ever taking the end of the text for information, and the bookkeeping of lines.

use super::{LineEnd, Sink};
use crate::eight::{eight, space_length, word_length};

/// Groups bytes by how a scanner goes on at them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    LineEnd,
    Word,
    Quote,
    Sign,
    /// The first byte of a character outside of ASCII.
    Wide,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Sign; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | 0x0b | 0x0c => Class::Space,
            b'\n' | b'\r' => Class::LineEnd,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Class::Word,
            b'"' | b'\'' | b'`' => Class::Quote,
            0x80..=0xff => Class::Wide,
            _ => Class::Sign,
        };
        byte += 1;
    }
    classes
}

pub(super) fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// Reads one text for a sink; shared by the scanners of all languages.
pub(super) struct Cursor<'s, S, const COMPLETE: bool> {
    text: &'s str,
    bytes: &'s [u8],
    pub(super) sink: &'s mut S,
    pub(super) line_start: usize,
    /// Nothing but white space on this line so far.
    pub(super) blank: bool,
    /// No code on this line so far, though there may be comments.
    pub(super) codeless: bool,
    /// The line before ended between statements: a blank line here separates.
    separable: bool,
}

impl<'s, S: Sink, const COMPLETE: bool> Cursor<'s, S, COMPLETE> {
    pub(super) fn new(text: &'s str, sink: &'s mut S) -> Self {
        Cursor { text, bytes: text.as_bytes(), sink, line_start: 0, blank: true, codeless: true, separable: true }
    }

    /// Returns the byte at a position, or nothing past the end, where a causal scan must stop. A complete scan sees one line
    /// end there.
    #[inline]
    pub(super) fn at(&mut self, position: usize) -> Option<u8> {
        match self.bytes.get(position) {
            Some(byte) => Some(*byte),
            None => self.at_end(position),
        }
    }

    #[cold]
    fn at_end(&mut self, position: usize) -> Option<u8> {
        if COMPLETE && position == self.bytes.len() {
            self.sink.text_ends();
            return Some(b'\n');
        }
        None
    }

    /// Returns the first position from here on whose byte is not skipped, or the end of the text.
    #[inline]
    pub(super) fn skip(&self, position: usize, skipped: impl Fn(u8) -> bool) -> usize {
        let rest = self.bytes.get(position..).unwrap_or(&[]);
        let length = rest.iter().position(|byte| !skipped(*byte));
        position + length.unwrap_or(rest.len())
    }

    /// Returns the first position from here on at which a length of eight bytes ends.
    #[inline]
    fn skip_eights(&self, mut position: usize, length: impl Fn(u64) -> usize) -> usize {
        loop {
            let skipped = length(eight(self.bytes, position));
            position += skipped;
            if skipped < 8 {
                return position;
            }
        }
    }

    /// Returns the first position from here on that is no white space within a line.
    #[inline]
    pub(super) fn skip_space(&self, mut position: usize) -> usize {
        loop {
            position = self.skip_eights(position, space_length);
            match self.bytes.get(position) {
                Some(byte) if class(*byte) == Class::Space => position += 1,
                _ => return position,
            }
        }
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'s [u8] {
        self.bytes.get(start..end).unwrap_or(&[])
    }

    /// Returns the end of the white space that starts here outside of ASCII, or nothing where a word does.
    pub(super) fn wide_space(&self, position: usize) -> Option<usize> {
        let character = self.text.get(position..)?.chars().next()?;
        character.is_whitespace().then(|| position + character.len_utf8())
    }

    /// Returns the end of a word, or nothing where the text ends within it.
    pub(super) fn word_end(&mut self, start: usize) -> Option<usize> {
        let mut position = start;
        loop {
            position = self.skip_eights(position, word_length);
            match class(self.at(position)?) {
                Class::Wide if self.wide_space(position).is_none() => {
                    position += 1;
                    while matches!(self.bytes.get(position), Some(0x80..=0xbf)) {
                        position += 1;
                    }
                }
                _ => return Some(position),
            }
        }
    }

    /// Notes code at this place of the line.
    pub(super) fn touch_code(&mut self) {
        self.blank = false;
        self.codeless = false;
    }

    /// Says whether the line is blank and would separate chunks if it ended here.
    pub(super) fn separates(&self) -> bool {
        self.blank && self.separable
    }

    /// Ends the line at a line end character; returns where the next line starts, or nothing where a line feed may follow the
    /// carriage return.
    pub(super) fn end_line(&mut self, position: usize, statement_end: bool, separable: bool) -> Option<usize> {
        let next =
            if self.at(position)? == b'\r' && self.at(position + 1)? == b'\n' { position + 2 } else { position + 1 };
        let end = next.min(self.bytes.len());
        if end > self.line_start {
            self.sink.line(LineEnd { end, separates: self.separates(), statement_end });
        }
        self.line_start = end;
        self.blank = true;
        self.codeless = true;
        self.separable = separable;
        Some(next)
    }

    /// Ends a line inside of a literal, a comment or a continued line.
    pub(super) fn end_inner_line(&mut self, position: usize) -> Option<usize> {
        self.end_line(position, false, false)
    }

    /// Reports a comment that ends with its line, whose end is left to the caller.
    pub(super) fn line_comment(&mut self, start: usize, continues: bool) -> Option<usize> {
        self.blank = false;
        self.sink.comment_start();
        let mut from = start;
        let mut position = start;
        loop {
            position = self.skip(position, |byte| !matches!(byte, b'\n' | b'\r'));
            self.at(position)?;
            self.sink.comment(from, position);
            let continued = continues && position > from && self.bytes.get(position - 1) == Some(&b'\\');
            if !continued {
                return Some(position);
            }
            position = self.end_inner_line(position)?;
            self.blank = false;
            from = position;
        }
    }

    /// Reports a comment that ends with its line or before `?>`.
    pub(super) fn line_comment_in_tags(&mut self, start: usize) -> Option<usize> {
        self.blank = false;
        self.sink.comment_start();
        let mut position = start;
        loop {
            position = self.skip(position, |byte| !matches!(byte, b'?' | b'\n' | b'\r'));
            if self.at(position)? != b'?' || self.at(position + 1)? == b'>' {
                self.sink.comment(start, position);
                return Some(position);
            }
            position += 1;
        }
    }

    /// Reports a comment between `/*` and `*/`; returns what follows it.
    pub(super) fn block_comment(&mut self, start: usize, nests: bool) -> Option<usize> {
        self.blank = false;
        self.sink.comment_start();
        let mut from = start;
        let mut position = start + 2;
        let mut depth = 1;
        loop {
            position = self.skip(position, |byte| !matches!(byte, b'*' | b'/' | b'\n' | b'\r'));
            match self.at(position)? {
                b'*' => {
                    if self.at(position + 1)? == b'/' {
                        depth -= 1;
                        position += 1;
                        if depth == 0 {
                            self.sink.comment(from, position + 1);
                            return Some(position + 1);
                        }
                    }
                    position += 1;
                }
                b'/' if nests => {
                    if self.at(position + 1)? == b'*' {
                        depth += 1;
                        position += 1;
                    }
                    position += 1;
                }
                b'\n' | b'\r' => {
                    self.sink.comment(from, position);
                    position = self.end_inner_line(position)?;
                    self.blank = false;
                    from = position;
                }
                _ => position += 1,
            }
        }
    }
}
