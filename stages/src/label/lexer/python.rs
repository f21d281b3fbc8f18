//! Python: logical lines, brackets, and text that may span lines.

use super::cursor::{Class, Cursor, class};
use super::keywords::{self, Head};
use super::literals::Literal;
use super::{Role, Sink, StatementKind};

/// Scans Python; every statement ends with its logical line or at a semicolon.
pub(super) struct Scanner<'s, S, const COMPLETE: bool> {
    cursor: Cursor<'s, S, COMPLETE>,
    depth: usize,
    statement: Statement,
    /// The last byte of code, to tell a header (`:`) from a statement.
    last: u8,
    /// A `def` or `class` in the first column was read and no other statement in the first column yet.
    in_definition: bool,
}

/// What is known of the statement that is being read.
#[derive(Clone, Copy)]
struct Statement {
    started: bool,
    head: Head,
    role: Role,
    tokens: u32,
    /// A word, then a colon: an annotation if no value follows.
    annotated: bool,
    assigned: bool,
}

const NEW: Statement =
    Statement { started: false, head: Head::Word, role: Role::Other, tokens: 0, annotated: false, assigned: false };

impl<'s, S: Sink, const COMPLETE: bool> Scanner<'s, S, COMPLETE> {
    pub(super) fn new(text: &'s str, sink: &'s mut S) -> Self {
        Scanner { cursor: Cursor::new(text, sink), depth: 0, statement: NEW, last: 0, in_definition: false }
    }

    pub(super) fn run(mut self) {
        let _ = self.scan();
    }

    fn scan(&mut self) -> Option<()> {
        let mut position = 0;
        loop {
            let byte = self.cursor.at(position)?;
            position = match class(byte) {
                Class::Space => self.cursor.skip_space(position + 1),
                Class::LineEnd => self.end_line(position)?,
                Class::Word => self.word(position)?,
                Class::Wide => match self.cursor.wide_space(position) {
                    Some(end) => end,
                    None => self.word(position)?,
                },
                Class::Quote if byte != b'`' => self.quoted(position, position)?,
                _ => self.sign(position, byte)?,
            };
        }
    }

    fn end_line(&mut self, position: usize) -> Option<usize> {
        let has_code = !self.cursor.codeless;
        if self.depth == 0 && self.statement.started {
            self.end_statement();
        }
        let complete = self.depth == 0 && self.last != b':' && self.last != b'@';
        self.cursor.end_line(position, has_code && complete, self.depth == 0)
    }

    fn end_statement(&mut self) {
        let statement = self.statement;
        let kind = match statement.head {
            Head::Import => StatementKind::Declares,
            Head::Class if self.last == b':' => StatementKind::Declares,
            Head::Decorator => {
                // What it decorates follows: no place to cut.
                self.last = b'@';
                StatementKind::Declares
            }
            Head::Word if statement.annotated && !statement.assigned && self.last != b':' => StatementKind::Declares,
            _ => StatementKind::Other,
        };
        self.cursor.sink.statement(kind);
        self.statement = NEW;
    }

    /// Notes a token; returns its role.
    fn token(&mut self, start: usize, head: Head) -> Role {
        if !self.statement.started {
            self.statement = Statement {
                started: true,
                head,
                role: match head {
                    Head::Terminator => Role::Terminator,
                    _ => Role::Other,
                },
                ..NEW
            };
            if self.cursor.codeless {
                self.start_logical_line(start, head);
            }
        }
        self.statement.tokens = self.statement.tokens.saturating_add(1);
        self.cursor.touch_code();
        self.statement.role
    }

    fn start_logical_line(&mut self, start: usize, head: Head) {
        let indentation = self.cursor.slice(self.cursor.line_start, start);
        let column = indentation.iter().fold(0, |column, byte| match byte {
            b'\t' => (column / 8 + 1) * 8,
            0x0c => 0,
            _ => column + 1,
        });
        self.cursor.sink.logical_line(column);
        if start == self.cursor.line_start {
            if self.in_definition {
                self.cursor.sink.definition_closes();
            }
            let defines = matches!(head, Head::Function | Head::Class | Head::Decorator);
            if defines {
                self.cursor.sink.definition_opens();
            }
            self.in_definition = matches!(head, Head::Function | Head::Class);
        }
    }

    fn word(&mut self, start: usize) -> Option<usize> {
        let end = self.cursor.word_end(start)?;
        let word = self.cursor.slice(start, end);
        let next = self.cursor.at(end)?;
        if matches!(next, b'"' | b'\'') && keywords::is_python_prefix(word) {
            return self.quoted(start, end);
        }
        if self.depth > 0 && self.cursor.codeless && keywords::starts_python_statement(word) {
            // No expression goes on with this word, so a bracket before it was never closed.
            self.depth = 0;
            if self.statement.started {
                self.end_statement();
            }
        }
        let head = if self.statement.started { Head::Word } else { keywords::python(word) };
        let role = self.token(start, head);
        self.last = b'a';
        self.cursor.sink.code(start, end, role);
        Some(end)
    }

    fn quoted(&mut self, start: usize, open: usize) -> Option<usize> {
        let quote = self.cursor.at(open)?;
        let role = self.token(start, Head::Expression);
        self.last = b'"';
        let triple = self.cursor.is_triple(open, quote)?;
        let close = [quote; 3];
        let literal = Literal { close: if triple { &close } else { &close[..1] }, multiline: triple, escapes: true };
        let content = open + literal.close.len();
        self.cursor.literal(start, content, literal, role)
    }

    fn sign(&mut self, start: usize, byte: u8) -> Option<usize> {
        match byte {
            b'#' => return self.cursor.line_comment(start, false),
            b'\\' if class(self.cursor.at(start + 1)?) == Class::LineEnd => {
                let role = self.token(start, Head::Expression);
                self.cursor.sink.code(start, start + 1, role);
                return self.cursor.end_inner_line(start + 1);
            }
            b';' if self.depth == 0 => {
                let role = self.token(start, Head::Expression);
                self.last = byte;
                self.cursor.sink.code(start, start + 1, role);
                self.end_statement();
                return Some(start + 1);
            }
            _ => {}
        }
        let head = match byte {
            b'@' => Head::Decorator,
            _ => Head::Expression,
        };
        let role = self.token(start, head);
        match byte {
            b'(' | b'[' | b'{' => self.depth += 1,
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b':' if self.depth == 0 && self.statement.tokens == 2 => {
                self.statement.annotated = true;
            }
            b'=' if self.depth == 0 => self.statement.assigned = true,
            _ => {}
        }
        self.last = byte;
        self.cursor.sink.code(start, start + 1, role);
        Some(start + 1)
    }
}
