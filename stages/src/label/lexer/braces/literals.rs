//! What is a literal in the languages with braces, and where it ends.

use super::super::cursor::{Class, class};
use super::super::literals::Literal;
use super::super::rules::Interpolates;
use super::super::{Role, Sink};
use super::Scanner;

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    pub(super) fn quote(&mut self, start: usize, byte: u8) -> Option<usize> {
        let triple_close = [b'"'; 3];
        let single_close = [byte];
        let mut literal = Literal { close: &single_close, multiline: false, escapes: true };
        let mut interpolates = false;
        match byte {
            b'"' => {
                literal.multiline = self.rules.strings_span_lines;
                interpolates = self.interpolates(start);
                if self.rules.triple_quotes && self.cursor.is_triple(start, b'"')? {
                    literal.close = &triple_close;
                    literal.multiline = true;
                    literal.escapes = self.rules.triple_escapes;
                }
            }
            b'\'' => {
                literal.multiline = self.rules.single_quotes_span_lines;
                if self.rules.lifetimes && !self.is_character(start)? {
                    return self.plain_sign(start, start + 1, byte);
                }
            }
            _ if self.rules.backtick_literals => {
                literal.multiline = true;
                literal.escapes = self.rules.backtick_escapes;
                interpolates = self.rules.backtick_escapes;
            }
            _ => return self.plain_sign(start, start + 1, byte),
        }
        let role = self.literal_role();
        let content = start + literal.close.len();
        // Without escapes, a run of closing quotes that is too long belongs to the literal.
        let takes_long_runs = literal.close.len() > 1 && !literal.escapes;
        match interpolates || takes_long_runs {
            true => self.cursor.interpolated(start, content, literal, interpolates.then_some(byte), role),
            false => self.cursor.literal(start, content, literal, role),
        }
    }

    fn interpolates(&self, start: usize) -> bool {
        match self.rules.interpolates {
            Interpolates::Nothing => false,
            Interpolates::Everything => true,
            Interpolates::Prefixed => {
                let before = self.cursor.slice(start.saturating_sub(1), start).first();
                before.is_some_and(|byte| class(*byte) == Class::Word)
            }
        }
    }

    /// Tells a character (`'a'`, `'\n'`) from a lifetime or symbol (`'a`).
    fn is_character(&mut self, start: usize) -> Option<bool> {
        let first = self.cursor.at(start + 1)?;
        Some(match class(first) {
            Class::Wide => true,
            Class::Word => self.cursor.at(start + 2)? == b'\'',
            _ => class(first) != Class::LineEnd,
        })
    }

    pub(super) fn literal_role(&mut self) -> Role {
        if let Some(directive) = self.directive {
            return directive.role();
        }
        self.begin_if_new();
        self.statement.literal();
        self.last = b'"';
        self.statement.role
    }

    /// Reads `R"name( … )name"`; a name that cannot be one makes it an ordinary literal.
    pub(super) fn raw_literal(&mut self, start: usize, open: usize) -> Option<usize> {
        let role = self.literal_role();
        let mut close = vec![b')'];
        let mut position = open + 1;
        let ordinary = loop {
            match self.cursor.at(position)? {
                b'(' => break false,
                b'"' | b'\\' | b')' | b' ' | b'\t' | b'\n' | b'\r' => break true,
                _ if close.len() > 16 => break true,
                byte => close.push(byte),
            }
            position += 1;
        };
        if ordinary {
            close = Vec::new();
            position = open;
        }
        close.push(b'"');
        let literal = Literal { close: &close, multiline: !ordinary, escapes: ordinary };
        self.cursor.literal(start, position + 1, literal, role)
    }

    /// Reads `r#" … "#` with any number of signs; without a quote after them the word stands alone.
    pub(super) fn rust_raw_literal(&mut self, start: usize, open: usize) -> Option<usize> {
        let mut position = open;
        while self.cursor.at(position)? == b'#' {
            position += 1;
        }
        if self.cursor.at(position)? != b'"' {
            let role = self.statement_word(b"r");
            self.code(start, position, role);
            self.last = b'a';
            return Some(position);
        }
        let mut close = vec![b'"'];
        close.resize(position - open + 1, b'#');
        let role = self.literal_role();
        let literal = Literal { close: &close, multiline: true, escapes: false };
        self.cursor.literal(start, position + 1, literal, role)
    }
}
