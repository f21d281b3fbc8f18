//! What tells the languages with braces apart while scanning.

use crate::language::Language;

/// Lists the lexical rules of one language.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// `#` begins a preprocessor line, and a backslash continues a line.
    pub(super) preprocessor: bool,
    /// `#` begins a comment.
    pub(super) hash_comments: bool,
    /// `/*` inside of a comment opens another.
    pub(super) comments_nest: bool,
    /// `R"x( … )x"` is one literal.
    pub(super) raw_prefix: bool,
    /// `r#" … "#` is one literal.
    pub(super) rust: bool,
    /// `""" … """` is one literal.
    pub(super) triple_quotes: bool,
    /// A literal in double quotes may hold line ends.
    pub(super) strings_span_lines: bool,
    /// A literal in single quotes may hold line ends.
    pub(super) single_quotes_span_lines: bool,
    /// A single quote may begin a name instead of a character.
    pub(super) lifetimes: bool,
    /// Backticks enclose literals that may hold line ends.
    pub(super) backtick_literals: bool,
    /// A backslash is an escape between backticks.
    pub(super) backtick_escapes: bool,
    /// A statement ends with its line.
    pub(super) lines_end_statements: bool,
    /// A semicolon in parentheses that are no `for` header means that they were never closed.
    pub(super) semicolon_heals: bool,
}

impl Rules {
    pub(super) fn of(language: Language) -> Rules {
        let none = Rules::default();
        match language {
            Language::C | Language::Cpp => {
                Rules { preprocessor: true, raw_prefix: true, semicolon_heals: true, ..none }
            }
            Language::Java => Rules { triple_quotes: true, ..none },
            Language::Go => Rules { backtick_literals: true, lines_end_statements: true, ..none },
            Language::Kotlin => Rules { triple_quotes: true, comments_nest: true, lines_end_statements: true, ..none },
            Language::Scala => {
                Rules { triple_quotes: true, comments_nest: true, lifetimes: true, lines_end_statements: true, ..none }
            }
            Language::Rust => {
                Rules { rust: true, comments_nest: true, lifetimes: true, strings_span_lines: true, ..none }
            }
            Language::JavaScript | Language::TypeScript => {
                Rules { backtick_literals: true, backtick_escapes: true, lines_end_statements: true, ..none }
            }
            Language::Php => {
                Rules { hash_comments: true, strings_span_lines: true, single_quotes_span_lines: true, ..none }
            }
            Language::Python | Language::Text => none,
        }
    }
}
