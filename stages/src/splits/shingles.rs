//! Tokens of normal code, and the runs of tokens by which near-duplicates are told.

use crate::eight::{FACTOR, eight, fold, word_or_wide_length};

/// Tokens in a shingle. One changed token changes five shingles, so a copy with other names is no near-duplicate, and one with a
/// line more is.
pub const SHINGLE_TOKENS: usize = 5;

/// Code of fewer tokens has no near-duplicates, only equals.
///
/// One token changed in n leaves a Jaccard similarity of (n - 9) / (n + 1), which is under the threshold of 0.8 for n < 49: shorter
/// code could only be joined by what the estimate gets wrong, and there are thousands of short functions of one pattern.
pub const LEAST_TOKENS: usize = 50;

/// Yields one hash for each run of `SHINGLE_TOKENS` tokens, in order, repeats included.
///
/// A run's hash is the polynomial of its tokens' hashes, carried on from the run before it (Rabin and Karp), so that a token costs the
/// same however long runs are.
pub struct Shingles<'code> {
    words: Tokens<'code>,
    /// Hashes of the newest tokens, in turn.
    window: [u64; SHINGLE_TOKENS],
    tokens: usize,
    polynomial: u64,
}

/// The polynomial's base, and the power with which a token leaves it.
const BASE: u64 = FACTOR;
const LEAVING: u64 = BASE.wrapping_pow(SHINGLE_TOKENS as u32);

impl<'code> Shingles<'code> {
    /// Starts at the first token of normal code.
    pub fn of(code: &'code [u8]) -> Self {
        Shingles { words: Tokens::of(code), window: [0; SHINGLE_TOKENS], tokens: 0, polynomial: 0 }
    }
}

/// Yields the hash of each token of code; equal hashes of different tokens do no harm.
///
/// A token is a word (letters, digits, `_`, everything beyond ASCII) or one other byte; white space is none. Eight bytes are looked at
/// together, since most words are shorter and a loop over their bytes could not be foreseen by the processor.
pub struct Tokens<'code> {
    code: &'code [u8],
    at: usize,
}

impl<'code> Tokens<'code> {
    /// Starts at the first token.
    pub fn of(code: &'code [u8]) -> Self {
        Tokens { code, at: 0 }
    }
}

impl Iterator for Tokens<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let first = *self.code.get(self.at)?;
            let mut bytes = eight(self.code, self.at);
            let mut length = word_or_wide_length(bytes);
            if length == 0 {
                self.at += 1;
                if first.is_ascii_whitespace() {
                    continue;
                }
                return Some(add(0, u64::from(first)));
            }
            let mut hash = 0;
            loop {
                self.at += length;
                hash = add(hash, bytes & (u64::MAX >> (64 - 8 * length)));
                if length < 8 {
                    return Some(hash);
                }
                bytes = eight(self.code, self.at);
                length = word_or_wide_length(bytes);
                if length == 0 {
                    return Some(hash);
                }
            }
        }
    }
}

fn add(hash: u64, bytes: u64) -> u64 {
    let hash = fold(hash, bytes);
    hash ^ (hash >> 32)
}

impl Iterator for Shingles<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let newest = self.words.next()?;
            let oldest = std::mem::replace(&mut self.window[self.tokens % SHINGLE_TOKENS], newest);
            self.polynomial =
                self.polynomial.wrapping_mul(BASE).wrapping_add(newest).wrapping_sub(oldest.wrapping_mul(LEAVING));
            self.tokens += 1;
            if self.tokens >= SHINGLE_TOKENS {
                return Some(mix(self.polynomial));
            }
        }
    }
}

/// Spreads a number over all 64 bits; the last step of the generator SplitMix64.
pub fn mix(number: u64) -> u64 {
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shingle_begins_at_every_token_but_the_last_four() {
        let count = |code: &str| Shingles::of(code.as_bytes()).count();
        assert_eq!(count("int a;\n"), 0);
        assert_eq!(count("int a = 1;"), 1);
        assert_eq!(count("if(a_1<=b)"), 3);
        assert_eq!(count("größe = \"ä b\""), 2);
        assert_eq!(count(""), 0);
    }

    #[test]
    fn a_token_does_not_depend_on_what_surrounds_it() {
        for length in 1..30 {
            let word: String = ('a'..='z').cycle().take(length).collect();
            let alone: Vec<u64> = Tokens::of(word.as_bytes()).collect();
            let within: Vec<u64> = Tokens::of(format!("{word}+{word} ").as_bytes()).collect();
            assert_eq!(alone.len(), 1);
            assert_eq!((within.len(), within[0], within[2]), (3, alone[0], alone[0]), "{word}");
        }
    }

    #[test]
    fn white_space_between_tokens_does_not_count() {
        let of = |code: &str| Shingles::of(code.as_bytes()).collect::<Vec<_>>();
        assert_eq!(of("return a + b - c;"), of("return a+b-c ;\n  "));
        assert_ne!(of("return a + b - c;"), of("return b + a - c;"));
    }
}
