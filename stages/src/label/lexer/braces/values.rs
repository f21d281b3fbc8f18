//! Which braces hold a value, such as an initialiser or an object, and which open a body.

use super::super::Sink;
use super::super::keywords::Head;
use super::{FrameKind, Scanner, VALUE_FOLLOWS};
use crate::language::Language;

impl<S: Sink, const COMPLETE: bool> Scanner<'_, S, COMPLETE> {
    /// Says whether the brace that opens here holds a value, so that blank lines within it separate nothing.
    pub(super) fn holds_value(&self) -> bool {
        let statement = self.statement;
        match self.language {
            Language::Kotlin | Language::Scala | Language::Php => statement.head == Head::Import,
            Language::C | Language::Cpp => {
                let leaves = statement.head == Head::Terminator;
                self.continues_value() || (statement.started && (self.follows_sign() || leaves))
            }
            _ if statement.head == Head::Import => true,
            Language::Java => {
                self.continues_value() || (statement.started && (self.follows_sign() || self.last == b']'))
            }
            Language::Go => {
                let literal = self.last == b'a' && (self.is_inside_value() || statement.has_value());
                !self.opens_body() && (self.continues_value() || self.follows_sign() || literal)
            }
            Language::Rust => {
                // Blocks are values too: only a type's name before the brace tells a literal.
                let literal = self.is_inside_value() || statement.has_value() || statement.capital;
                self.last == b'a' && (statement.in_pattern() || (literal && !self.opens_body()))
            }
            _ => {
                let operator = matches!(self.last, b'|' | b'&' | VALUE_FOLLOWS)
                    || (self.last == b':' && self.language == Language::TypeScript);
                self.continues_value() || (statement.started && (self.follows_sign() || operator))
            }
        }
    }

    fn inside(&self) -> Option<FrameKind> {
        self.stack.last().map(|frame| frame.kind)
    }

    /// Within a value, all braces hold values but those of functions.
    fn continues_value(&self) -> bool {
        self.inside() == Some(FrameKind::Initialiser) && !matches!(self.last, b')' | b'>')
    }

    fn follows_sign(&self) -> bool {
        matches!(self.last, b'=' | b',' | b'(' | b'[' | b'?')
    }

    /// Says whether a function, a branch or a type was named last, or the header of `if` or `for` is being read.
    fn opens_body(&self) -> bool {
        let in_header = matches!(self.statement.head, Head::Control | Head::For);
        self.statement.body || in_header
    }

    fn is_inside_value(&self) -> bool {
        matches!(self.inside(), Some(FrameKind::Group | FrameKind::Initialiser))
    }
}
