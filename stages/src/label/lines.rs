//! The lines of code of a text, without comments and without white space that means nothing.

use super::lexer::{LineEnd, Role, Sink, StatementKind, scan_complete};
use crate::language::Language;

/// Holds one text with comments removed and white space collapsed: to one space between words, to nothing elsewhere, and
/// as it is within literals. Python keeps the column in which a logical line begins.
///
/// Two texts have the same `stream` if and only if they differ in white space and comments alone.
#[derive(Default)]
pub(super) struct NormalText {
    pub(super) stream: Vec<u8>,
    /// The lines that have code, in order.
    pub(super) lines: Vec<CodeLine>,
    /// How many bodies of definitions at the top level were opened.
    pub(super) definitions: u32,
}

/// One line of code.
#[derive(Clone, Copy)]
pub(super) struct CodeLine {
    /// 1-based number among all lines of the text.
    pub(super) number: u32,
    /// The line's part of the stream.
    start: usize,
    end: usize,
    /// Nothing but closing brackets, or `#endif`.
    closes: bool,
    declares: bool,
    does_more: bool,
}

impl CodeLine {
    /// Says whether the line only closes a block.
    pub(super) fn only_closes(self) -> bool {
        self.closes
    }

    /// Says whether all statements on the line are declarations, with or without an initialiser, or imports.
    pub(super) fn only_declares(self) -> bool {
        self.declares && !self.does_more
    }
}

impl NormalText {
    pub(super) fn of(text: &str, language: Language) -> NormalText {
        let mut reader = Reader::new(text, language);
        scan_complete(text, language, &mut reader);
        reader.finish()
    }

    /// Returns a line's normal form.
    pub(super) fn form(&self, line: CodeLine) -> &[u8] {
        self.stream.get(line.start..line.end).unwrap_or(&[])
    }

    /// Returns the lines of code whose numbers lie between two, both included.
    pub(super) fn lines_between(&self, first: u32, last: u32) -> &[CodeLine] {
        let start = self.lines.partition_point(|line| line.number < first);
        let end = self.lines.partition_point(|line| line.number <= last);
        self.lines.get(start..end).unwrap_or(&[])
    }

    pub(super) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| self.form(*line))
    }
}

/// Hears a complete scan and keeps the code.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    spaces_stay: bool,
    normal: NormalText,
    number: u32,
    /// Code was read on this line.
    on_line: bool,
    /// A line end that means something lies before what comes next.
    line_edge: bool,
    /// Where the last code ended in the text.
    last_end: usize,
    /// From here to `last_end` the text belongs into the stream and is not there yet: tokens side by side are copied together.
    copied: usize,
    /// The first line of the statement being read, as an index.
    open_statement: Option<usize>,
    /// The literal being read has a part on an earlier line.
    in_literal: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, language: Language) -> Reader<'t> {
        Reader {
            text: text.as_bytes(),
            spaces_stay: language == Language::Text,
            normal: NormalText {
                stream: Vec::with_capacity(text.len()),
                lines: Vec::with_capacity(text.len() / 24),
                definitions: 0,
            },
            number: 1,
            on_line: false,
            line_edge: false,
            last_end: 0,
            copied: 0,
            open_statement: None,
            in_literal: false,
        }
    }

    pub(super) fn finish(mut self) -> NormalText {
        self.end_statement(StatementKind::Other);
        self.copy();
        self.normal
    }

    /// Puts what was read into the stream.
    fn copy(&mut self) {
        if self.copied < self.last_end {
            self.normal.stream.extend_from_slice(self.text.get(self.copied..self.last_end).unwrap_or_default());
            self.copied = self.last_end;
            if let Some(line) = self.normal.lines.last_mut() {
                line.end = self.normal.stream.len();
            }
        }
    }

    fn append(&mut self, start: usize, end: usize, closes: bool) {
        if start == self.last_end && self.on_line && !self.line_edge {
            self.last_end = end;
            self.begin_line(closes);
        } else {
            self.append_apart(start, end, closes);
        }
        if let Some(line) = self.normal.lines.last_mut() {
            line.closes &= closes;
        }
    }

    /// Appends code that does not follow the last without a gap.
    fn append_apart(&mut self, start: usize, end: usize, closes: bool) {
        self.copy();
        let Some(code) = self.text.get(start..end) else {
            return;
        };
        let stream = &mut self.normal.stream;
        if self.line_edge {
            stream.push(b'\n');
            self.line_edge = false;
        } else if start > self.last_end
            && let (Some(before), Some(after)) = (stream.last(), code.first())
            && (self.spaces_stay || needs_space(*before, *after))
        {
            stream.push(b' ');
        }
        (self.copied, self.last_end) = (start, end);
        self.begin_line(closes);
    }

    fn begin_line(&mut self, closes: bool) {
        if !self.on_line {
            self.on_line = true;
            let start = self.normal.stream.len();
            self.normal.lines.push(CodeLine {
                number: self.number,
                start,
                end: start,
                closes,
                declares: false,
                does_more: false,
            });
        }
        if self.open_statement.is_none() {
            self.open_statement = Some(self.normal.lines.len() - 1);
        }
    }

    fn end_statement(&mut self, kind: StatementKind) {
        if let Some(first) = self.open_statement.take() {
            for line in &mut self.normal.lines[first..] {
                match kind {
                    StatementKind::Declares | StatementKind::Initialises => line.declares = true,
                    StatementKind::Other => line.does_more = true,
                }
            }
        }
    }
}

/// Says whether white space between two characters keeps them from being one.
fn needs_space(before: u8, after: u8) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    if is_word(before) {
        return is_word(after);
    }
    before == after && matches!(before, b'+' | b'-' | b'&' | b'|' | b'<' | b'=' | b'/' | b'*')
}

fn is_closing(code: &[u8]) -> bool {
    code.iter().all(|byte| matches!(byte, b'}' | b')' | b']' | b';' | b','))
}

impl Sink for Reader<'_> {
    fn code(&mut self, start: usize, end: usize, role: Role) {
        let stands_alone = matches!(role, Role::Closer | Role::Neutral);
        let closes = stands_alone || self.text.get(start..end).is_some_and(is_closing);
        self.append(start, end, closes);
        if stands_alone {
            // A closing brace is no statement and ends any that was open.
            self.open_statement = None;
        }
    }

    fn literal_start(&mut self, _start: usize, _role: Role) {
        self.in_literal = false;
    }

    fn literal(&mut self, start: usize, end: usize) {
        self.line_edge |= self.in_literal;
        self.in_literal = true;
        self.append(start, end, false);
    }

    fn statement(&mut self, kind: StatementKind) {
        self.end_statement(kind);
    }

    fn logical_line(&mut self, column: usize) {
        self.copy();
        if !self.normal.stream.is_empty() {
            self.normal.stream.push(b'\n');
        }
        self.line_edge = false;
        // No space before what comes next.
        (self.copied, self.last_end) = (usize::MAX, usize::MAX);
        self.begin_line(true);
        let stream = &mut self.normal.stream;
        stream.resize(stream.len() + column, b' ');
        if let Some(line) = self.normal.lines.last_mut() {
            line.end = stream.len();
        }
    }

    fn definition_opens(&mut self) {
        self.normal.definitions += 1;
    }

    fn directive_edge(&mut self) {
        self.copy();
        self.line_edge = !self.normal.stream.is_empty();
    }

    fn line(&mut self, _line: LineEnd) {
        self.copy();
        self.number += 1;
        self.on_line = false;
    }
}
