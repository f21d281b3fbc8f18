//! What is PHP's own: tags with other text around them, and heredocs.
//!
//! A text that begins with `<` begins outside of the tags; a lone function begins inside.

use super::super::cursor::{Class, class};
use super::super::keywords::Head;
use super::super::statement::Statement;
use super::super::{Role, Sink, StatementKind};
use super::{FrameKind, Scanner};

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    pub(super) fn begins_outside(&mut self) -> Option<bool> {
        let first = self.cursor.skip(0, |byte| matches!(class(byte), Class::Space | Class::LineEnd));
        Some(self.cursor.at(first)? == b'<')
    }

    /// Reads one piece of the text outside of tags: every line is a statement, as in plain text.
    pub(super) fn read_outside(&mut self, position: usize) -> Option<usize> {
        let byte = self.cursor.at(position)?;
        match class(byte) {
            Class::Space => Some(self.cursor.skip(position + 1, |byte| class(byte) == Class::Space)),
            Class::LineEnd => {
                let between = self.in_block();
                let ends = between && !self.cursor.codeless;
                if ends {
                    self.cursor.sink.statement(StatementKind::Other);
                }
                self.cursor.end_line(position, ends, between)
            }
            _ if byte == b'<' => match self.tag_end(position)? {
                Some(end) => Some(self.open_tag(position, end)),
                None => self.visible(position),
            },
            Class::Wide => match self.cursor.wide_space(position) {
                Some(end) => Some(end),
                None => self.visible(position),
            },
            _ => self.visible(position),
        }
    }

    fn visible(&mut self, start: usize) -> Option<usize> {
        let mut end = start + 1;
        loop {
            let byte = self.cursor.at(end)?;
            let ends = match class(byte) {
                Class::Space | Class::LineEnd => true,
                Class::Wide => self.cursor.wide_space(end).is_some(),
                _ => byte == b'<',
            };
            if ends {
                break;
            }
            end += 1;
        }
        self.cursor.touch_code();
        self.cursor.sink.literal_start(start, Role::Other);
        self.cursor.sink.literal(start, end);
        Some(end)
    }

    /// Returns the end of `<?php`, `<?=` or a bare `<?`; the inner nothing where no such tag stands here.
    fn tag_end(&mut self, start: usize) -> Option<Option<usize>> {
        if self.cursor.at(start + 1)? != b'?' {
            return Some(None);
        }
        let byte = self.cursor.at(start + 2)?;
        if byte == b'=' || matches!(class(byte), Class::Space | Class::LineEnd) {
            return Some(Some(start + 2 + usize::from(byte == b'=')));
        }
        for (offset, expected) in b"php".iter().enumerate() {
            if !self.cursor.at(start + 2 + offset)?.eq_ignore_ascii_case(expected) {
                return Some(None);
            }
        }
        let is_whole = class(self.cursor.at(start + 5)?) != Class::Word;
        Some(is_whole.then_some(start + 5))
    }

    fn open_tag(&mut self, start: usize, end: usize) -> usize {
        self.outside = false;
        let echoes = self.cursor.slice(end - 1, end) == b"=";
        self.statement = Statement::NEW;
        self.ended = false;
        self.last = b';';
        if echoes {
            self.statement = Statement::begin(Head::Expression);
        }
        self.code(start, end, if echoes { Role::Other } else { Role::Neutral });
        end
    }

    /// Reads `?>`, which also ends a statement and the parentheses that were never closed.
    pub(super) fn close_tag(&mut self, start: usize) {
        while matches!(self.stack.last(), Some(frame) if frame.kind == FrameKind::Group) {
            if let Some(frame) = self.pop() {
                self.statement = frame.outer;
            }
        }
        self.outside = true;
        let role = match self.statement.started {
            true => self.statement.role,
            false => Role::Neutral,
        };
        self.code(start, start + 2, role);
        self.last = b';';
        if self.statement.started && self.in_block() {
            self.end_statement(self.statement.kind(true));
        }
    }

    /// Returns the place of a heredoc's label, where `<<<label` ends the line; the inner nothing where it does not.
    pub(super) fn heredoc_label(&mut self, start: usize) -> Option<Option<(usize, usize)>> {
        if self.cursor.at(start + 2)? != b'<' {
            return Some(None);
        }
        let mut first = start + 3;
        while matches!(self.cursor.at(first)?, b' ' | b'\t') {
            first += 1;
        }
        let quote = self.cursor.at(first)?;
        let is_quoted = matches!(quote, b'"' | b'\'');
        first += usize::from(is_quoted);
        let end = self.cursor.word_end(first)?;
        let mut after = end;
        if is_quoted {
            if self.cursor.at(end)? != quote {
                return Some(None);
            }
            after += 1;
        }
        let is_label = end > first && class(self.cursor.at(after)?) == Class::LineEnd;
        Some(is_label.then_some((first, end)))
    }

    /// Reads a heredoc up to its label at the start of a line.
    pub(super) fn heredoc(&mut self, start: usize, (first, end): (usize, usize)) -> Option<usize> {
        let label = self.cursor.slice(first, end);
        let role = self.literal_role();
        self.cursor.touch_code();
        self.cursor.sink.literal_start(start, role);
        let (mut from, mut position) = (start, end);
        loop {
            position = self.cursor.skip(position, |byte| class(byte) != Class::LineEnd);
            self.cursor.at(position)?;
            self.cursor.sink.literal(from, position);
            from = self.cursor.end_inner_line(position)?;
            self.cursor.touch_code();
            position = self.cursor.skip(from, |byte| matches!(byte, b' ' | b'\t'));
            if self.stands(position, label)? {
                let after = position + label.len();
                self.cursor.sink.literal(from, after);
                return Some(after);
            }
        }
    }

    /// Says whether a whole word stands here.
    fn stands(&mut self, position: usize, word: &[u8]) -> Option<bool> {
        for (offset, expected) in word.iter().enumerate() {
            if self.cursor.at(position + offset)? != *expected {
                return Some(false);
            }
        }
        Some(!matches!(class(self.cursor.at(position + word.len())?), Class::Word | Class::Wide))
    }
}
