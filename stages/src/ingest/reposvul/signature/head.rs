//! The tokens of a definition's head, in languages with braces.

use crate::language::Language;

/// Bytes of a text that are looked at.
const HEAD_BYTES: usize = 16 << 10;

/// Bytes that the symbol or type of an operator has at most: `operator std::vector<int>`.
const OPERATOR_BYTES: usize = 128;

/// A token of a head. White space, comments, directives, annotations, literals and brackets are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'code> {
    /// An identifier or keyword; `operator==` is one word.
    Word(&'code str),
    /// What is between a pair of parentheses.
    Group(&'code str),
    /// `::`.
    Scope,
    /// Any other character.
    Mark(char),
}

/// Returns the tokens before the body, and before what follows the parameters and is no part of the declaration.
pub fn head_tokens(code: &str, language: Language) -> Vec<Token<'_>> {
    let mut head = Head { rest: start_of(code), has_operators: language != Language::Java };
    let mut tokens = Vec::new();
    let mut has_group = false;
    while let Some(token) = head.next_token() {
        if has_group && matches!(token, Token::Mark(';' | ':' | '=')) {
            break;
        }
        has_group |= matches!(token, Token::Group(_));
        tokens.push(token);
    }
    tokens
}

fn start_of(code: &str) -> &str {
    code.get(..code.floor_char_boundary(HEAD_BYTES)).unwrap_or(code)
}

struct Head<'code> {
    rest: &'code str,
    has_operators: bool,
}

impl<'code> Head<'code> {
    fn next_token(&mut self) -> Option<Token<'code>> {
        loop {
            self.skip_blanks();
            let first = self.rest.chars().next()?;
            match first {
                '{' => return None,
                '(' => return self.enclosed('(', ')').map(Token::Group),
                '[' => {
                    self.enclosed('[', ']')?;
                }
                '"' | '\'' => self.take(literal_bytes(self.rest)).map(|_| ())?,
                '@' => self.skip_annotation()?,
                _ if self.rest.starts_with("::") => return self.take(2).map(|_| Token::Scope),
                _ if is_of_word(first) => return self.word().map(Token::Word),
                _ => return self.take(first.len_utf8()).map(|_| Token::Mark(first)),
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Option<&'code str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest.trim_start();
            let skipped = blank_bytes(rest);
            self.rest = rest.get(skipped..).unwrap_or("");
            if skipped == 0 {
                return;
            }
        }
    }

    fn word(&mut self) -> Option<&'code str> {
        let whole = self.rest;
        let word = self.take(word_bytes(whole))?;
        if word != "operator" || !self.has_operators {
            return Some(word);
        }
        // `operator()` is a name, and the parameters follow it; `operator(int x)` is a function of that name.
        let symbols = if self.rest.trim_start().starts_with("()") {
            self.rest.find(')').map_or(0, |close| close + 1)
        } else {
            let near = self.rest.get(..self.rest.floor_char_boundary(OPERATOR_BYTES)).unwrap_or("");
            near.find(['(', '{', ';']).unwrap_or(0)
        };
        self.take(symbols)?;
        whole.get(..word.len() + symbols).map(str::trim_end)
    }

    /// `@Name`, `@a.b.Name(...)`.
    fn skip_annotation(&mut self) -> Option<()> {
        self.take(1)?;
        let name = self.rest.find(|letter| !is_of_word(letter) && letter != '.').unwrap_or(self.rest.len());
        self.take(name)?;
        self.skip_blanks();
        if self.rest.starts_with('(') {
            self.enclosed('(', ')')?;
        }
        Some(())
    }

    /// Takes what begins with an opening character up to the one that closes it, and returns what is between them.
    fn enclosed(&mut self, open: char, close: char) -> Option<&'code str> {
        let mut depth = 0usize;
        let mut at = 0;
        while let Some(rest) = self.rest.get(at..).filter(|rest| !rest.is_empty()) {
            let first = rest.chars().next()?;
            let blank = blank_bytes(rest);
            if blank > 0 && first != '#' {
                at += blank;
                continue;
            }
            if matches!(first, '"' | '\'') {
                at += literal_bytes(rest);
                continue;
            }
            at += first.len_utf8();
            if first == open {
                depth += 1;
            } else if first == close {
                depth -= 1;
                if depth == 0 {
                    return self.take(at)?.get(1..at - 1);
                }
            }
        }
        None
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn word_bytes(text: &str) -> usize {
    text.find(|letter| !is_of_word(letter)).unwrap_or(text.len())
}

/// Bytes of the comment or directive that a text begins with.
fn blank_bytes(text: &str) -> usize {
    if text.starts_with("/*") {
        return text.get(2..).and_then(|rest| rest.find("*/")).map_or(text.len(), |end| end + 4);
    }
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if !text.starts_with('#') {
        return 0;
    }
    let mut bytes = 0;
    for line in text.split_inclusive('\n') {
        bytes += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    bytes
}

/// Bytes of the literal that a text begins with; one that is never closed ends with its line.
fn literal_bytes(text: &str) -> usize {
    let mut letters = text.char_indices();
    let Some((_, quote)) = letters.next() else { return 0 };
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\n' => return at,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
