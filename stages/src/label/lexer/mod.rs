//! What the steps need to know of a language, read from left to right in one pass.
//!
//! A scanner reports tokens, comments, statements and lines to a [`Sink`]. In a causal scan nothing is reported before the
//! text alone proves it: where the next byte could still change what a token is, the scan stops at the end of the text.
//! So the reports for a prefix of a text are a prefix of the reports for the text, which is what makes steps causal. A
//! complete scan takes the end of the text for the end of a line.

mod braces;
mod cursor;
mod keywords;
mod literals;
mod plain;
mod preprocessor;
mod python;
mod rules;
mod statement;
mod tee;

pub(crate) use tee::Tee;

use crate::language::Language;

/// Says what a piece of code does for the block it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It only closes: braces, an empty statement, `#endif`.
    Closer,
    /// It belongs to a statement that leaves the block, or to `else`.
    Terminator,
    /// It belongs to no statement and says nothing of the block: a tag that opens or closes PHP.
    Neutral,
    /// Anything else.
    Other,
}

/// Says what kind of statement just ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatementKind {
    /// Names something without giving it a value: a declaration, an include, an opening namespace or class.
    Declares,
    /// A declaration with an initialiser.
    Initialises,
    /// Anything else.
    Other,
}

/// Describes a line that just ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineEnd {
    /// The first byte after the line end.
    pub(crate) end: usize,
    /// The line is blank and lies between statements: it separates chunks.
    pub(crate) separates: bool,
    /// The line has code and its last statement is complete, so that a chunk may be cut after it.
    pub(crate) statement_end: bool,
}

/// Hears what a scanner reads; positions are bytes of the text, in ascending order. What a sink has no use for does nothing.
#[allow(unused_variables)]
pub(crate) trait Sink {
    /// A word, an operator or the part of a directive.
    fn code(&mut self, start: usize, end: usize, role: Role) {}
    /// A literal begins; its text follows, once per line.
    fn literal_start(&mut self, start: usize, role: Role) {}
    /// The part of a literal that lies on one line.
    fn literal(&mut self, start: usize, end: usize) {}
    /// A comment begins; its text follows, once per line.
    fn comment_start(&mut self) {}
    /// The part of a comment that lies on one line.
    fn comment(&mut self, start: usize, end: usize) {}
    /// A statement, header or directive is complete.
    fn statement(&mut self, kind: StatementKind) {}
    /// A logical line of a language with significant indentation begins in the given column; tabs go to multiples of eight.
    fn logical_line(&mut self, column: usize) {}
    /// A preprocessor line begins or has ended: its line structure is part of the code.
    fn directive_edge(&mut self) {}
    /// The body of a definition at the top level begins.
    fn definition_opens(&mut self) {}
    /// The body of a definition at the top level has ended.
    fn definition_closes(&mut self) {}
    /// A line has ended.
    fn line(&mut self, line: LineEnd) {}
    /// Everything after this, and nothing before, depends on where the text ends. Heard in complete scans alone, perhaps
    /// more than once.
    fn text_ends(&mut self) {}
}

/// Reports what the text proves so far; nothing depends on where the text ends.
pub(crate) fn scan_causal<S: Sink>(text: &str, language: Language, sink: &mut S) {
    scan::<S, false>(text, language, sink);
}

/// Reports the whole text, the last line included, as if a line end followed it.
pub(crate) fn scan_complete<S: Sink>(text: &str, language: Language, sink: &mut S) {
    scan::<S, true>(text, language, sink);
}

fn scan<S: Sink, const COMPLETE: bool>(text: &str, language: Language, sink: &mut S) {
    match language {
        Language::Python => python::Scanner::<S, COMPLETE>::new(text, sink).run(),
        Language::Text => plain::Scanner::<S, COMPLETE>::new(text, sink).run(),
        _ => braces::Scanner::<S, COMPLETE>::new(text, language, sink).run(),
    }
}
