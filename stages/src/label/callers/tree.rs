//! Syntax trees within limits that do not depend on the machine.
//!
//! Parsers of broken or hostile text can take a time that grows with the square of its length, and a stack as deep as it is
//! long. Counts bound the work, never a clock, so that all machines give up on the same files; and a large file is parsed on
//! a thread whose stack holds the deepest that its size allows.

use std::ops::ControlFlow;
use std::thread;

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use super::syntax::grammar;
use crate::language::Language;

/// Larger files are not parsed.
const MOST_BYTES: usize = 512 << 10;

/// How often the parser may report progress, which it does every hundred operations: ordinary code of this size takes four
/// thousand reports.
const MOST_REPORTS: u64 = 10_000;

/// How many of these reports may come while no reading of the text is free of errors: then an operation may cost as much as
/// all before it. Ordinary code takes a dozen.
const MOST_TROUBLED_REPORTS: u64 = 200;

/// The parser reads the text in pieces of so many bytes, again where it looks ahead and comes back.
const PIECE_BYTES: usize = 1 << 10;

/// How often it may read each piece, on average, and how often at least.
const MOST_READS: (usize, usize) = (50, 1_000);

/// Files up to this size are parsed on the caller's thread, whose stack they cannot exhaust: most samples are that small, and
/// a thread costs more than they do.
const SMALL_BYTES: usize = 4 << 10;

/// Address space for the stack of larger ones; memory is taken as it is used, which for ordinary code is next to nothing.
const STACK_BYTES: usize = 256 << 20;

/// Signs that may follow each other in the code without a comma, semicolon, brace or line that counts between them: in a
/// broken statement of many more, one step of the parser's recovery takes the square of their number, and reports nothing.
const MOST_SIGNS: usize = 2_000;

/// Says how a file was parsed.
pub(super) enum Parsed {
    /// There is a tree, perhaps with errors in it.
    Tree(Tree),
    /// The language has no functions.
    Nothing,
    /// The file was too large, or took too much work.
    GaveUp,
}

/// Parses one file, given its code without comments too; a file that is not its language's becomes a tree with errors.
pub(super) fn parse(text: &str, code: &[u8], language: Language) -> Parsed {
    let Some(grammar) = grammar(language, text) else {
        return Parsed::Nothing;
    };
    if text.len() > MOST_BYTES || longest_run_of_signs(code) > MOST_SIGNS {
        return Parsed::GaveUp;
    }
    if text.len() <= SMALL_BYTES {
        return parse_within_limits(text, &grammar).map_or(Parsed::GaveUp, Parsed::Tree);
    }
    let tree = thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(STACK_BYTES);
        let running = worker.spawn_scoped(scope, || parse_within_limits(text, &grammar)).ok()?;
        running.join().ok()?
    });
    tree.map_or(Parsed::GaveUp, Parsed::Tree)
}

fn longest_run_of_signs(code: &[u8]) -> usize {
    let (mut longest, mut run) = (0, 0);
    for byte in code {
        match byte {
            b',' | b';' | b'{' | b'}' | b'\n' => run = 0,
            b')' | b']' | b'"' | b'\'' | b'_' => {}
            _ => run += usize::from(byte.is_ascii_punctuation()),
        }
        longest = longest.max(run);
    }
    longest
}

fn parse_within_limits(text: &str, grammar: &tree_sitter::Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(grammar).ok()?;
    let most_reads = MOST_READS.0 * (text.len() / PIECE_BYTES) + MOST_READS.1;
    let (mut reads, mut reports, mut troubled_reports) = (0, 0, 0);
    let reads_left = std::cell::Cell::new(true);
    let mut progress = |state: &ParseState| {
        reports += 1;
        troubled_reports += u64::from(state.has_error());
        let goes_on = reports <= MOST_REPORTS && troubled_reports <= MOST_TROUBLED_REPORTS && reads_left.get();
        match goes_on {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let mut piece = |start: usize, _| {
        reads += 1;
        reads_left.set(reads <= most_reads);
        let bytes = text.as_bytes().get(start..).unwrap_or(&[]);
        // Nothing more to read ends the parse soon; its tree is thrown away.
        match reads_left.get() {
            true => bytes.get(..PIECE_BYTES).unwrap_or(bytes),
            false => &[],
        }
    };
    let tree = parser.parse_with_options(&mut piece, None, Some(options));
    tree.filter(|_| reads_left.get())
}
