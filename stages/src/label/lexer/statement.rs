//! What is known of the statement that is being read, in the languages with braces.

use super::keywords::Head;
use super::{Role, StatementKind};

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
