//! JavaScript's patterns between slashes, which may hold quotes and brackets.

use super::super::cursor::{Class, class};
use super::super::{Role, Sink};
use super::{Scanner, VALUE_FOLLOWS};

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    /// Returns where the pattern that a slash opens ends; the inner nothing, where the slash divides.
    pub(super) fn pattern_end(&mut self, start: usize) -> Option<Option<usize>> {
        let asks_for_value = !self.statement.started
            || matches!(
                self.last,
                b'(' | b','
                    | b'='
                    | b':'
                    | b'['
                    | b'!'
                    | b'&'
                    | b'|'
                    | b'?'
                    | b'{'
                    | b';'
                    | b'+'
                    | b'-'
                    | b'*'
                    | b'%'
                    | b'~'
                    | b'^'
                    | b'>'
                    | VALUE_FOLLOWS
            );
        if !asks_for_value || start < self.no_pattern_before {
            return Some(None);
        }
        let mut position = start + 1;
        let mut in_set = false;
        loop {
            match self.cursor.at(position)? {
                b'/' if !in_set => break,
                b'[' => in_set = true,
                b']' => in_set = false,
                b'\\' if class(self.cursor.at(position + 1)?) != Class::LineEnd => position += 1,
                byte if class(byte) == Class::LineEnd => {
                    self.no_pattern_before = position;
                    return Some(None);
                }
                _ => {}
            }
            position += 1;
        }
        Some(Some(self.cursor.word_end(position + 1)?))
    }

    /// Reports a pattern as a literal; returns what follows it.
    pub(super) fn pattern(&mut self, start: usize, end: usize) -> usize {
        let role: Role = self.literal_role();
        self.cursor.touch_code();
        self.cursor.sink.literal_start(start, role);
        self.cursor.sink.literal(start, end);
        end
    }
}
