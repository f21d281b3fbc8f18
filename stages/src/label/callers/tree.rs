//! Syntax trees within limits that do not depend on the machine.

use std::ops::ControlFlow;

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use super::syntax::grammar;
use crate::language::Language;

/// Larger files are not parsed: a broken file of 300 KB can take seconds.
const MOST_BYTES: usize = 1 << 20;

/// How often the parser may report progress, which it does every hundred operations: it counts work, not time, so that all
/// machines give up on the same files.
const MOST_REPORTS: u64 = 40_000;

/// Says how a file was parsed.
pub(super) enum Parsed {
    /// There is a tree, perhaps with errors in it.
    Tree(Tree),
    /// The language has no functions.
    Nothing,
    /// The file was too large, or took too much work.
    GaveUp,
}

/// Parses one file; a file that is not its language's becomes a tree with errors.
pub(super) fn parse(text: &str, language: Language) -> Parsed {
    let Some(grammar) = grammar(language, text) else {
        return Parsed::Nothing;
    };
    let mut parser = Parser::new();
    if text.len() > MOST_BYTES || parser.set_language(&grammar).is_err() {
        return Parsed::GaveUp;
    }
    let mut reports = 0;
    let mut progress = |_: &ParseState| {
        reports += 1;
        match reports > MOST_REPORTS {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let mut rest = |byte: usize, _| text.as_bytes().get(byte..).unwrap_or(&[]);
    match parser.parse_with_options(&mut rest, None, Some(options)) {
        Some(tree) => Parsed::Tree(tree),
        None => Parsed::GaveUp,
    }
}
