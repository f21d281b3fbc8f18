//! Preprocessor lines of C and C++.

use super::{Role, StatementKind};

/// Tells what a preprocessor line does, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    /// `#if`, `#ifdef`, `#ifndef`.
    Opens,
    /// `#else`, `#elif` and its kin.
    Continues,
    /// `#endif`.
    Closes,
    /// `#include`, `#import`, `#pragma`, `#undef`: names without values.
    Declares,
    /// `#define` and anything else.
    Other,
}

impl Directive {
    pub(super) fn named(word: &[u8]) -> Directive {
        match word {
            b"if" | b"ifdef" | b"ifndef" => Directive::Opens,
            b"else" | b"elif" | b"elifdef" | b"elifndef" => Directive::Continues,
            b"endif" => Directive::Closes,
            b"include" | b"include_next" | b"import" | b"pragma" | b"undef" => Directive::Declares,
            _ => Directive::Other,
        }
    }

    pub(super) fn role(self) -> Role {
        match self {
            Directive::Closes => Role::Closer,
            Directive::Continues => Role::Terminator,
            _ => Role::Other,
        }
    }

    pub(super) fn kind(self) -> StatementKind {
        match self {
            Directive::Opens | Directive::Declares => StatementKind::Declares,
            _ => StatementKind::Other,
        }
    }
}
