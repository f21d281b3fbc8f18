//! The languages with braces: C and C++ in full, the others of the family by the same means.
//!
//! Brackets are matched with a stack of their own, so no nesting is too deep. What was never closed does not swallow the
//! rest of the text: a closing brace also closes the parentheses opened after its partner, a semicolon closes
//! parentheses that are no `for` header, and `#else` goes back to the brackets that were open at its `#if`.

mod annotations;
mod brackets;
mod literals;
mod patterns;
mod php;
mod values;

use super::cursor::{Class, Cursor, class};
use super::keywords::{self, Head};
use super::preprocessor::Directive;
use super::rules::Rules;
use super::statement::Statement;
use super::{Role, Sink, StatementKind};
use crate::language::Language;

/// Scans one text of a language with braces.
pub(super) struct Scanner<'s, S, const COMPLETE: bool> {
    cursor: Cursor<'s, S, COMPLETE>,
    rules: Rules,
    language: Language,
    stack: Vec<Frame>,
    /// How many open brackets are no namespace: nothing of them means the top level.
    opaque: usize,
    statement: Statement,
    /// The last code was the end of a statement, not a header or an opening brace.
    ended: bool,
    /// The last byte of code: a letter for words, a quote for literals.
    last: u8,
    directive: Option<Directive>,
    conditionals: Vec<Conditional>,
    /// The text being read lies outside of PHP's tags.
    outside: bool,
    /// No slash before this position opens a pattern.
    no_pattern_before: usize,
}

#[derive(Clone, Copy)]
struct Frame {
    kind: FrameKind,
    /// The statement that the bracket interrupts.
    outer: Statement,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameKind {
    Group,
    Initialiser,
    Block,
    Namespace,
}

/// What was open at an `#if`.
#[derive(Clone, Copy)]
struct Conditional {
    open: usize,
    opaque: usize,
    statement: Statement,
}

impl<'s, S: Sink, const COMPLETE: bool> Scanner<'s, S, COMPLETE> {
    pub(super) fn new(text: &'s str, language: Language, sink: &'s mut S) -> Self {
        Scanner {
            cursor: Cursor::new(text, sink),
            rules: Rules::of(language),
            language,
            stack: Vec::new(),
            opaque: 0,
            statement: Statement::NEW,
            ended: false,
            last: 0,
            directive: None,
            conditionals: Vec::new(),
            outside: false,
            no_pattern_before: 0,
        }
    }

    pub(super) fn run(mut self) {
        let _ = self.scan();
    }

    fn scan(&mut self) -> Option<()> {
        if self.rules.php {
            self.outside = self.begins_outside()?;
        }
        let mut position = 0;
        loop {
            if self.outside {
                position = self.read_outside(position)?;
                continue;
            }
            let byte = self.cursor.at(position)?;
            position = match class(byte) {
                Class::Space => self.cursor.skip_space(position + 1),
                Class::LineEnd => self.end_line(position)?,
                Class::Word => self.word(position)?,
                Class::Wide => match self.cursor.wide_space(position) {
                    Some(end) => end,
                    None => self.word(position)?,
                },
                Class::Quote => self.quote(position, byte)?,
                Class::Sign => self.sign(position, byte)?,
            };
        }
    }

    /// Says whether statements stand here, rather than the parts of an expression.
    fn in_block(&self) -> bool {
        match self.stack.last() {
            None => true,
            Some(frame) => matches!(frame.kind, FrameKind::Block | FrameKind::Namespace),
        }
    }

    fn end_line(&mut self, position: usize) -> Option<usize> {
        if let Some(directive) = self.directive.take() {
            self.cursor.sink.statement(directive.kind());
            self.cursor.sink.directive_edge();
            if !self.statement.started {
                self.ended = directive != Directive::Opens;
            }
        }
        let in_block = self.in_block();
        if in_block && self.statement.started {
            let has_code = !self.cursor.codeless;
            let ends = match self.rules.commas_end_statements {
                true => self.last == b',',
                false => self.rules.lines_end_statements && !continues_line(self.last) && !self.goes_on(position)?,
            };
            if has_code && ends {
                self.end_statement(self.statement.kind(self.is_prototype_place()));
            } else if self.cursor.separates() {
                // A macro call without a semicolon, followed by a blank line.
                self.end_statement(StatementKind::Other);
            }
        }
        let between = in_block && !self.statement.started;
        let complete = between && self.ended && !self.cursor.codeless;
        let separable = between || (in_block && self.statement.is_macro_call(self.last));
        self.cursor.end_line(position, complete, separable)
    }

    /// Says whether `type name(…)` can only be a prototype here.
    fn is_prototype_place(&self) -> bool {
        self.opaque == 0 || !self.rules.groups_initialise
    }

    /// Says whether the next line begins with a sign that no statement begins with, where line ends end statements. Blank
    /// lines end them all the same.
    fn goes_on(&mut self, line_end: usize) -> Option<bool> {
        if !self.rules.lines_end_statements || self.language == Language::Go {
            return Some(false);
        }
        let crlf = self.cursor.at(line_end)? == b'\r' && self.cursor.at(line_end + 1)? == b'\n';
        let next = line_end + 1 + usize::from(crlf);
        let first = self.cursor.skip(next, |byte| matches!(byte, b' ' | b'\t'));
        Some(match self.cursor.at(first)? {
            b'.' | b'?' => true,
            b':' => self.rules.patterns,
            sign @ (b'&' | b'|') => self.cursor.at(first + 1)? == sign,
            _ => false,
        })
    }

    fn end_statement(&mut self, kind: StatementKind) {
        self.cursor.sink.statement(kind);
        self.statement = Statement::NEW;
        self.ended = true;
    }

    /// Reports a word or sign that is part of whatever statement is being read.
    fn code(&mut self, start: usize, end: usize, role: Role) {
        self.cursor.touch_code();
        self.cursor.sink.code(start, end, role);
    }

    fn word(&mut self, start: usize) -> Option<usize> {
        let mut end = self.cursor.word_end(start)?;
        let mut next = self.cursor.at(end)?;
        if next == b'\'' && matches!(self.cursor.at(start), Some(b'0'..=b'9')) {
            // Digit separators of C++ (1'000) would open a literal.
            while next == b'\'' && class(self.cursor.at(end + 1)?) == Class::Word {
                end = self.cursor.word_end(end + 1)?;
                next = self.cursor.at(end)?;
            }
        }
        let word = self.cursor.slice(start, end);
        if next == b'"' && self.rules.raw_prefix && keywords::is_raw_prefix(word) {
            return self.raw_literal(start, end);
        }
        if self.rules.rust && matches!(word, b"r" | b"br" | b"cr") && matches!(next, b'"' | b'#') {
            return self.rust_raw_literal(start, end);
        }
        let role = match self.directive {
            Some(directive) => directive.role(),
            None => self.statement_word(word),
        };
        self.last = match self.rules.patterns && keywords::asks_for_value(word) {
            true => VALUE_FOLLOWS,
            false => b'a',
        };
        self.code(start, end, role);
        Some(end)
    }

    fn statement_word(&mut self, word: &[u8]) -> Role {
        self.ended = false;
        if self.statement.started {
            self.statement.word();
            self.note(word);
            return self.statement.role;
        }
        if self.rules.php && keywords::closes_block(word) {
            self.ended = true;
            return Role::Closer;
        }
        let head = keywords::braces(word, self.language);
        match head {
            Head::Else | Head::Bare => {
                self.cursor.sink.statement(StatementKind::Other);
                let role = match head {
                    Head::Else => Role::Terminator,
                    _ => Role::Other,
                };
                self.statement = Statement::after_bare(role);
                role
            }
            _ => {
                self.statement = Statement::begin(head);
                self.statement.word();
                self.note(word);
                self.statement.role
            }
        }
    }

    fn note(&mut self, word: &[u8]) {
        if !self.rules.preprocessor {
            self.statement.note(word, self.language);
        }
    }

    fn sign(&mut self, start: usize, byte: u8) -> Option<usize> {
        match byte {
            b'/' => match self.cursor.at(start + 1)? {
                b'/' if self.rules.php => return self.cursor.line_comment_in_tags(start),
                b'/' => return self.cursor.line_comment(start, self.rules.preprocessor),
                b'*' => return self.cursor.block_comment(start, self.rules.comments_nest),
                _ if self.rules.patterns => {
                    if let Some(end) = self.pattern_end(start)? {
                        return Some(self.pattern(start, end));
                    }
                }
                _ => {}
            },
            b'#' if self.rules.attributes => match self.cursor.at(start + 1)? {
                b'[' if !self.statement.started => return Some(self.attribute(start)),
                b'!' if self.rules.rust && !self.statement.started => return Some(self.attribute(start)),
                b'[' => {}
                _ if self.rules.hash_comments => return self.cursor.line_comment_in_tags(start),
                _ => {}
            },
            b'@' if self.rules.annotations && !self.statement.started => return self.annotation(start),
            b'?' if self.rules.php && self.cursor.at(start + 1)? == b'>' => {
                self.close_tag(start);
                return Some(start + 2);
            }
            b'<' if self.rules.php && self.cursor.at(start + 1)? == b'<' => {
                if let Some(label) = self.heredoc_label(start)? {
                    return self.heredoc(start, label);
                }
            }
            b',' | b':' if self.separates_items(byte) => {
                self.last = byte;
                self.code(start, start + 1, Role::Closer);
                return Some(start + 1);
            }
            b'#' if self.rules.preprocessor && self.cursor.codeless => {
                return self.directive(start);
            }
            b'\\' if class(self.cursor.at(start + 1)?) == Class::LineEnd => {
                let next = self.cursor.end_inner_line(start + 1)?;
                return Some(next);
            }
            _ => {}
        }
        if self.directive.is_some() {
            return self.plain_sign(start, start + 1, byte);
        }
        match byte {
            b'(' | b'[' => self.open_group(start, byte),
            b')' | b']' => self.close_group(start, byte),
            b'{' => self.open_brace(start),
            b'}' => self.close_brace(start),
            b';' => self.semicolon(start),
            b':' => {
                if self.cursor.at(start + 1)? == b':' {
                    return self.plain_sign(start, start + 2, byte);
                }
                self.colon(start);
            }
            _ => return self.plain_sign(start, start + 1, byte),
        }
        Some(start + 1)
    }

    fn plain_sign(&mut self, start: usize, end: usize, byte: u8) -> Option<usize> {
        let role = match self.directive {
            Some(directive) => directive.role(),
            None => {
                self.begin_if_new();
                if !self.is_part_of_name(byte) {
                    self.statement.sign(byte);
                }
                self.last = byte;
                self.statement.role
            }
        };
        self.code(start, end, role);
        Some(end)
    }

    /// Says whether a sign stands between statements, where it belongs to none: a comma behind the body of an arm, and the
    /// colon of a header in PHP.
    fn separates_items(&self, byte: u8) -> bool {
        let between = !self.rules.preprocessor && !self.statement.started && self.in_block();
        between && (byte == b',' || self.rules.php)
    }

    /// Says whether a sign is part of a name or type in a declaration.
    fn is_part_of_name(&self, byte: u8) -> bool {
        match byte {
            b'$' => !self.rules.preprocessor && matches!(self.statement.head, Head::Word | Head::Access),
            b'?' => matches!(self.language, Language::Kotlin | Language::Php),
            b'\'' => self.rules.lifetimes,
            _ => false,
        }
    }

    fn begin_if_new(&mut self) {
        self.ended = false;
        if !self.statement.started {
            self.statement = Statement::begin(Head::Expression);
        }
    }

    fn directive(&mut self, start: usize) -> Option<usize> {
        let mut name = start + 1;
        while matches!(self.cursor.at(name)?, b' ' | b'\t') {
            name += 1;
        }
        let end = self.cursor.word_end(name)?;
        let directive = Directive::named(self.cursor.slice(name, end));
        match directive {
            Directive::Opens => self.conditionals.push(Conditional {
                open: self.stack.len(),
                opaque: self.opaque,
                statement: self.statement,
            }),
            Directive::Continues => {
                if let Some(saved) = self.conditionals.last().copied()
                    && self.stack.len() >= saved.open
                {
                    self.stack.truncate(saved.open);
                    self.opaque = saved.opaque;
                    self.statement = saved.statement;
                }
            }
            Directive::Closes => {
                self.conditionals.pop();
            }
            Directive::Declares | Directive::Other => {}
        }
        self.cursor.sink.directive_edge();
        self.directive = Some(directive);
        self.code(start, start + 1, directive.role());
        if end > name {
            self.code(name, end, directive.role());
        }
        Some(end)
    }

    fn push(&mut self, kind: FrameKind) {
        let outer = self.statement;
        if kind != FrameKind::Namespace {
            self.opaque += 1;
        }
        self.stack.push(Frame { kind, outer });
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.stack.pop()?;
        if frame.kind != FrameKind::Namespace {
            self.opaque = self.opaque.saturating_sub(1);
        }
        Some(frame)
    }
}

/// What [`Scanner::last`] is behind a word that asks for a value.
const VALUE_FOLLOWS: u8 = b'k';

/// Says whether a line that ends with this byte goes on in the next, where line ends end statements.
fn continues_line(last: u8) -> bool {
    matches!(last, b'+' | b'-' | b'*' | b'/' | b'%' | b'=' | b'&' | b'|' | b'^' | b'<' | b',' | b'.' | b'?' | b':')
}
