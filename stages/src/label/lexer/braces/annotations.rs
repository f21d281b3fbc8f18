//! What stands before a declaration and describes it: `@name(…)` and `#[…]`. It joins what follows, as a declaration does.

use super::super::cursor::{Class, class};
use super::super::keywords::Head;
use super::super::statement::Statement;
use super::super::{Role, Sink, StatementKind};
use super::Scanner;

/// What [`Scanner::last`] is behind an annotation's name, where its arguments may follow.
const ANNOTATED: u8 = b'@';

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    /// Reads `@name` up to its arguments.
    pub(super) fn annotation(&mut self, start: usize) -> Option<usize> {
        let mut end = self.cursor.word_end(start + 1)?;
        if end == start + 1 {
            return self.plain_sign(start, end, b'@');
        }
        while matches!(self.cursor.at(end)?, b'.' | b':') && class(self.cursor.at(end + 1)?) == Class::Word {
            end = self.cursor.word_end(end + 1)?;
        }
        self.ended = false;
        self.last = ANNOTATED;
        self.code(start, end, Role::Other);
        if self.cursor.slice(start, end) == b"@interface" {
            self.statement = Statement::begin(Head::Class);
            self.last = b'a';
        } else {
            self.cursor.sink.statement(StatementKind::Declares);
        }
        Some(end)
    }

    /// Reads the `#` or `#!` before the brackets of an attribute.
    pub(super) fn attribute(&mut self, start: usize) -> usize {
        self.ended = false;
        self.last = ANNOTATED;
        let is_inner = self.cursor.slice(start + 1, start + 2) == b"!";
        let end = start + 1 + usize::from(is_inner);
        self.code(start, end, Role::Other);
        end
    }

    /// Says whether a bracket that opens here belongs to an annotation.
    pub(super) fn is_annotated(&self) -> bool {
        self.last == ANNOTATED && !self.statement.started
    }

    /// Notes that the arguments of an annotation were closed.
    pub(super) fn end_annotation(&mut self) {
        self.ended = false;
        self.cursor.sink.statement(StatementKind::Declares);
    }
}
