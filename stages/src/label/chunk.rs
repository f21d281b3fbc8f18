//! What a chunk does for the code around it: nothing, end a block, declare, or something of its own.

use super::lexer::{Role, Sink, StatementKind, scan_complete};
use crate::language::Language;

/// Sums up the code of a stretch of text; two stretches that follow each other add up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Nature {
    tokens: bool,
    /// Code that does more than close.
    code: bool,
    /// All code closes or leaves a block.
    ends: bool,
    /// All statements so far only declare, and nothing closes.
    declares: bool,
    declared: bool,
    /// A statement is not complete.
    open: bool,
}

impl Nature {
    pub(super) const EMPTY: Nature =
        Nature { tokens: false, code: false, ends: true, declares: true, declared: false, open: false };

    pub(super) fn code(&mut self, role: Role) {
        self.tokens = true;
        match role {
            Role::Closer => self.declares = false,
            Role::Neutral => {}
            Role::Terminator => {
                self.code = true;
                self.open = true;
            }
            Role::Other => {
                self.code = true;
                self.ends = false;
                self.open = true;
            }
        }
    }

    pub(super) fn statement(&mut self, kind: StatementKind) {
        self.open = false;
        match kind {
            StatementKind::Declares => self.declared = true,
            StatementKind::Initialises | StatementKind::Other => self.declares = false,
        }
    }

    pub(super) fn then(self, later: Nature) -> Nature {
        Nature {
            tokens: self.tokens || later.tokens,
            code: self.code || later.code,
            ends: self.ends && later.ends,
            declares: self.declares && later.declares,
            declared: self.declared || later.declared,
            open: later.open || (self.open && !later.tokens),
        }
    }

    /// Says whether nothing was read: no code at all, only white space and comments.
    pub(super) fn is_empty(self) -> bool {
        !self.tokens
    }

    /// Says whether there is more than white space, comments and what closes.
    pub(super) fn has_code(self) -> bool {
        self.code
    }

    /// Says whether the stretch only ends a block, so that it joins what is before it.
    pub(super) fn ends_block(self) -> bool {
        self.code && self.ends
    }

    /// Says whether the stretch only declares, so that it joins what is after it.
    pub(super) fn declares(self) -> bool {
        self.code && self.declares && self.declared && !self.open
    }

    /// Sums up a text on its own, as if nothing stood before it.
    pub(super) fn of(text: &str, language: Language) -> Nature {
        let mut sum = Sum(Nature::EMPTY);
        scan_complete(text, language, &mut sum);
        sum.0
    }
}

struct Sum(Nature);

impl Sink for Sum {
    fn code(&mut self, _start: usize, _end: usize, role: Role) {
        self.0.code(role);
    }

    fn literal_start(&mut self, _start: usize, role: Role) {
        self.0.code(role);
    }

    fn statement(&mut self, kind: StatementKind) {
        self.0.statement(kind);
    }
}
