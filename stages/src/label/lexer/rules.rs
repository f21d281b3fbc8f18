//! What tells the languages with braces apart while scanning.

use crate::language::Language;

/// Lists the lexical rules of one language.
#[derive(Clone, Copy, Default)]
pub(super) struct Rules {
    /// `#` begins a preprocessor line, and a backslash continues a line.
    pub(super) preprocessor: bool,
    /// `#` begins a comment, but not `#[`.
    pub(super) hash_comments: bool,
    /// Code lies between `<?php` and `?>`; headers may end with a colon, literals may be heredocs.
    pub(super) php: bool,
    /// `@name` and `@name(…)` stand before what they describe.
    pub(super) annotations: bool,
    /// `#[…]` stands before what it describes.
    pub(super) attributes: bool,
    /// A slash where a value may begin opens a pattern.
    pub(super) patterns: bool,
    /// `/*` inside of a comment opens another.
    pub(super) comments_nest: bool,
    /// `R"x( … )x"` is one literal.
    pub(super) raw_prefix: bool,
    /// `r#" … "#` is one literal.
    pub(super) rust: bool,
    /// `""" … """` is one literal.
    pub(super) triple_quotes: bool,
    /// A backslash is an escape between triple quotes.
    pub(super) triple_escapes: bool,
    /// `${ … }` within double quotes is an expression with literals of its own.
    pub(super) interpolates: Interpolates,
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
    /// A statement ends where a comma ends its line: arms, variants and fields.
    pub(super) commas_end_statements: bool,
    /// The headers of `if` and `for` need no parentheses.
    pub(super) bare_headers: bool,
    /// A word and a colon begin a declaration, not a label.
    pub(super) colons_declare: bool,
    /// `Type name(value);` declares a variable: what looks like a prototype in a body is none.
    pub(super) groups_initialise: bool,
    /// A semicolon in parentheses that are no `for` header means that they were never closed.
    pub(super) semicolon_heals: bool,
}

/// Says which literals in double quotes hold expressions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Interpolates {
    #[default]
    Nothing,
    Everything,
    /// Those that follow a word at once.
    Prefixed,
}

impl Rules {
    pub(super) fn of(language: Language) -> Rules {
        let none = Rules::default();
        match language {
            Language::C | Language::Cpp => {
                Rules { preprocessor: true, raw_prefix: true, semicolon_heals: true, groups_initialise: true, ..none }
            }
            Language::Java => Rules { triple_quotes: true, triple_escapes: true, annotations: true, ..none },
            Language::Go => Rules { backtick_literals: true, lines_end_statements: true, bare_headers: true, ..none },
            Language::Kotlin => Rules {
                triple_quotes: true,
                interpolates: Interpolates::Everything,
                comments_nest: true,
                lines_end_statements: true,
                annotations: true,
                ..none
            },
            Language::Scala => Rules {
                triple_quotes: true,
                interpolates: Interpolates::Prefixed,
                comments_nest: true,
                lifetimes: true,
                lines_end_statements: true,
                annotations: true,
                ..none
            },
            Language::Rust => Rules {
                rust: true,
                comments_nest: true,
                lifetimes: true,
                strings_span_lines: true,
                attributes: true,
                bare_headers: true,
                commas_end_statements: true,
                colons_declare: true,
                ..none
            },
            Language::JavaScript | Language::TypeScript => Rules {
                backtick_literals: true,
                backtick_escapes: true,
                lines_end_statements: true,
                annotations: true,
                patterns: true,
                colons_declare: language == Language::TypeScript,
                ..none
            },
            Language::Php => Rules {
                hash_comments: true,
                php: true,
                attributes: true,
                strings_span_lines: true,
                single_quotes_span_lines: true,
                commas_end_statements: true,
                ..none
            },
            Language::Python | Language::Text => none,
        }
    }
}
