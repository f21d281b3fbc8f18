//! Brackets, semicolons and colons: where statements, groups and blocks begin and end.

use super::super::keywords::Head;
use super::super::statement::Statement;
use super::super::{Role, Sink, StatementKind};
use super::{FrameKind, Scanner};

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    pub(super) fn open_group(&mut self, start: usize, byte: u8) {
        if !self.is_annotated() {
            self.begin_if_new();
        }
        if byte == b'(' {
            self.statement.group();
        }
        let role = self.statement.role;
        self.code(start, start + 1, role);
        self.push(FrameKind::Group);
        self.statement = self.statement.inner();
        self.last = byte;
    }

    pub(super) fn close_group(&mut self, start: usize, byte: u8) {
        let closes = matches!(self.stack.last(), Some(frame) if frame.kind == FrameKind::Group);
        if !closes {
            // Closes nothing: part of the statement around it, or of none.
            let role = match self.statement.started {
                true => self.statement.role,
                false => Role::Closer,
            };
            self.code(start, start + 1, role);
            return;
        }
        if let Some(frame) = self.pop() {
            self.statement = frame.outer;
        }
        self.code(start, start + 1, self.statement.role);
        self.last = byte;
        if !self.statement.started {
            self.end_annotation();
        }
        let header = !self.rules.bare_headers && matches!(self.statement.head, Head::Control | Head::For);
        if header && byte == b')' && self.in_block() {
            self.cursor.sink.statement(StatementKind::Other);
            self.statement = Statement::NEW;
            self.ended = false;
        }
    }

    pub(super) fn open_brace(&mut self, start: usize) {
        let kind = self.brace_kind();
        let role = self.statement.role_here();
        self.ended = false;
        self.code(start, start + 1, role);
        if kind == FrameKind::Initialiser {
            self.begin_if_new();
            self.push(kind);
            self.statement = self.statement.inner();
        } else {
            if kind == FrameKind::Block && self.opaque == 0 {
                self.cursor.sink.definition_opens();
            }
            let declares =
                kind == FrameKind::Namespace || self.statement.head == Head::Class || self.statement.heads_type();
            self.cursor.sink.statement(match declares {
                true => StatementKind::Declares,
                false => StatementKind::Other,
            });
            self.statement.body = false;
            self.push(kind);
            self.statement = Statement::NEW;
        }
        self.last = b'{';
    }

    fn brace_kind(&self) -> FrameKind {
        if self.holds_value() {
            FrameKind::Initialiser
        } else if self.statement.opens_namespace() {
            FrameKind::Namespace
        } else {
            FrameKind::Block
        }
    }

    pub(super) fn close_brace(&mut self, start: usize) {
        let partner = self.stack.iter().rposition(|frame| frame.kind != FrameKind::Group);
        let Some(partner) = partner else {
            self.stray_brace(start);
            return;
        };
        while self.stack.len() > partner + 1 {
            self.pop();
        }
        let Some(frame) = self.pop() else { return };
        self.last = b'}';
        if frame.kind == FrameKind::Initialiser {
            self.statement = frame.outer;
            self.code(start, start + 1, self.statement.role);
            return;
        }
        let unfinished = self.statement.started;
        if !self.in_block() {
            // A body inside of an expression, as of a lambda: the expression goes on.
            self.statement = frame.outer;
            self.code(start, start + 1, self.statement.role);
            return;
        }
        if unfinished {
            self.cursor.sink.statement(StatementKind::Other);
        }
        self.statement = Statement::NEW;
        self.ended = true;
        self.code(start, start + 1, Role::Closer);
        if frame.kind == FrameKind::Block && self.opaque == 0 {
            self.cursor.sink.definition_closes();
        }
    }

    /// Takes a brace without a partner for the end of a body that began before the text.
    fn stray_brace(&mut self, start: usize) {
        while self.pop().is_some() {}
        if self.statement.started {
            self.cursor.sink.statement(StatementKind::Other);
        }
        self.statement = Statement::NEW;
        self.ended = true;
        self.last = b'}';
        self.code(start, start + 1, Role::Closer);
        self.cursor.sink.definition_closes();
    }

    pub(super) fn semicolon(&mut self, start: usize) {
        let in_bare_header = self.rules.bare_headers && matches!(self.statement.head, Head::Control | Head::For);
        if in_bare_header && self.in_block() {
            self.code(start, start + 1, self.statement.role);
            self.last = b';';
            return;
        }
        if !self.in_block() {
            let in_header = match self.stack.last() {
                Some(frame) if frame.kind == FrameKind::Group => {
                    frame.outer.head == Head::For || !self.rules.semicolon_heals
                }
                _ => true,
            };
            if in_header {
                let role = self.statement.role;
                self.code(start, start + 1, role);
                self.last = b';';
                return;
            }
            while matches!(self.stack.last(), Some(frame) if frame.kind == FrameKind::Group) {
                if let Some(frame) = self.pop() {
                    self.statement = frame.outer;
                }
            }
            if !self.in_block() {
                self.code(start, start + 1, self.statement.role);
                self.last = b';';
                return;
            }
        }
        let role = match self.statement.started {
            true => self.statement.role,
            false => Role::Closer,
        };
        let kind = self.statement.kind(self.is_prototype_place());
        let started = self.statement.started;
        self.code(start, start + 1, role);
        self.last = b';';
        if started {
            self.end_statement(kind);
        }
        self.statement = Statement::NEW;
        self.ended = true;
    }

    pub(super) fn colon(&mut self, start: usize) {
        let declares = self.rules.colons_declare && self.statement.head == Head::Word;
        if declares || !self.in_block() || !self.statement.is_label() {
            self.plain_sign(start, start + 1, b':');
            return;
        }
        let kind = match self.statement.head {
            Head::Access => StatementKind::Declares,
            _ => StatementKind::Other,
        };
        self.code(start, start + 1, self.statement.role);
        self.cursor.sink.statement(kind);
        self.statement = Statement::NEW;
        self.ended = false;
        self.last = b':';
    }
}
