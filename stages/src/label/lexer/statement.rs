//! What is known of the statement that is being read, in the languages with braces.

use super::keywords::{self, Head};
use super::{Role, StatementKind};
use crate::language::Language;

/// Counts what tells a declaration from anything else, token by token.
#[derive(Clone, Copy)]
pub(super) struct Statement {
    /// A token of it was read.
    pub(super) started: bool,
    pub(super) head: Head,
    /// The role of all its tokens.
    pub(super) role: Role,
    words: u8,
    /// Words before the first `=`, once there is one.
    declared: Option<u8>,
    /// A sign that no declaration has.
    odd: bool,
    /// A group in parentheses.
    group: bool,
    literal: bool,
    /// A word or sign was read after which a brace opens a body, not a value.
    pub(super) body: bool,
    /// A word that names a type: `class`, `interface`, `trait`.
    names_type: bool,
    /// The first word has a capital, as types have.
    pub(super) capital: bool,
    /// A pattern follows `let`.
    binds: bool,
}

impl Statement {
    pub(super) const NEW: Statement = Statement {
        started: false,
        head: Head::Word,
        role: Role::Other,
        words: 0,
        declared: None,
        odd: false,
        group: false,
        literal: false,
        body: false,
        names_type: false,
        capital: false,
        binds: false,
    };

    pub(super) fn begin(head: Head) -> Statement {
        let role = match head {
            Head::Terminator => Role::Terminator,
            _ => Role::Other,
        };
        Statement { started: true, head, role, ..Statement::NEW }
    }

    /// Follows `else`, `do` or `try`: an opening brace plays their role.
    pub(super) fn after_bare(role: Role) -> Statement {
        Statement { role, ..Statement::NEW }
    }

    /// Reads the inside of a bracket: part of the same statement.
    pub(super) fn inner(self) -> Statement {
        Statement { started: true, head: Head::Expression, role: self.role, ..Statement::NEW }
    }

    /// Returns the role of a brace that opens here.
    pub(super) fn role_here(self) -> Role {
        self.role
    }

    pub(super) fn word(&mut self) {
        self.words = self.words.saturating_add(1);
    }

    /// Notes what a word tells beside its place, in languages other than C.
    pub(super) fn note(&mut self, word: &[u8], language: Language) {
        self.body |= keywords::opens_body(word, language);
        self.names_type |= self.declared.is_none() && keywords::names_type(word, self.group, language);
        self.binds |= language == Language::Rust && word == b"let";
        self.capital |= self.words == 1 && word.first().is_some_and(u8::is_ascii_uppercase);
    }

    /// Says whether this is the head of a class or its like.
    pub(super) fn heads_type(self) -> bool {
        self.names_type && self.declared.is_none()
    }

    /// Says whether a value is being read: behind `=`, `return` and their like.
    pub(super) fn has_value(self) -> bool {
        self.declared.is_some() || self.head == Head::Terminator
    }

    /// Says whether the pattern of a Rust `let` is being read.
    pub(super) fn in_pattern(self) -> bool {
        self.binds && self.declared.is_none()
    }

    pub(super) fn literal(&mut self) {
        self.literal = true;
    }

    pub(super) fn group(&mut self) {
        if self.declared.is_none() {
            self.group = true;
        }
    }

    pub(super) fn sign(&mut self, byte: u8) {
        match byte {
            b'=' => {
                self.declared.get_or_insert(self.words);
            }
            b'*' | b'&' | b'<' | b'>' | b',' | b':' | b'[' | b']' | b'~' => {}
            _ if self.declared.is_none() => self.odd = true,
            _ => {}
        }
    }

    /// Says whether a colon ends a label here.
    pub(super) fn is_label(self) -> bool {
        match self.head {
            Head::Case | Head::Access => self.started && (self.head == Head::Case || self.words == 1),
            Head::Word => self.started && self.words == 1 && !self.odd && !self.group && !self.literal,
            _ => false,
        }
    }

    /// Says whether an opening brace begins a namespace or a block of `extern "C"`.
    pub(super) fn opens_namespace(self) -> bool {
        match self.head {
            Head::Namespace => true,
            Head::Extern => self.words == 1 && self.literal && !self.group,
            _ => false,
        }
    }

    /// Says whether this may be a macro call that needs no semicolon: one word, or one word and a group.
    pub(super) fn is_macro_call(self, last: u8) -> bool {
        self.started
            && self.head == Head::Word
            && self.words == 1
            && !self.odd
            && self.declared.is_none()
            && matches!(last, b'a' | b')')
    }

    /// Tells what kind of statement ended, given whether it stands at the top level.
    pub(super) fn kind(self, top_level: bool) -> StatementKind {
        match self.head {
            Head::Import => StatementKind::Declares,
            Head::Namespace if self.declared.is_none() => StatementKind::Declares,
            Head::Case if self.names_type => StatementKind::Declares,
            Head::Word | Head::Class | Head::Extern | Head::Access => self.declaration(top_level),
            _ => StatementKind::Other,
        }
    }

    fn declaration(self, top_level: bool) -> StatementKind {
        if self.odd {
            return StatementKind::Other;
        }
        match self.declared {
            Some(words) if words >= 2 => StatementKind::Initialises,
            Some(_) => StatementKind::Other,
            None if self.words < 2 || self.literal => StatementKind::Other,
            None if !self.group || top_level => StatementKind::Declares,
            // `Type name(value);` in a body.
            None => StatementKind::Initialises,
        }
    }
}
