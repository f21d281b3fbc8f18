//! Tokens of normal code, and the runs of tokens by which near-duplicates are told.

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
/// A token is a word (letters, digits, `_`, everything beyond ASCII) or one other byte; white space is none.
pub struct Shingles<'code> {
    code: &'code [u8],
    /// Hashes of the newest tokens, the oldest first.
    window: [u64; SHINGLE_TOKENS],
    tokens: usize,
}

impl<'code> Shingles<'code> {
    /// Starts at the first token of normal code.
    pub fn of(code: &'code [u8]) -> Self {
        Shingles { code, window: [0; SHINGLE_TOKENS], tokens: 0 }
    }

    fn next_token(&mut self) -> Option<&'code [u8]> {
        let code = self.code.trim_ascii_start();
        let first = code.first()?;
        let length = match is_word(*first) {
            true => code.iter().position(|byte| !is_word(*byte)).unwrap_or(code.len()),
            false => 1,
        };
        let (token, rest) = code.split_at(length);
        self.code = rest;
        Some(token)
    }
}

impl Iterator for Shingles<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            let token = self.next_token()?;
            self.window.rotate_left(1);
            if let Some(newest) = self.window.last_mut() {
                *newest = hash(token);
            }
            self.tokens += 1;
            if self.tokens >= SHINGLE_TOKENS {
                return Some(self.window.iter().fold(0, |state, token| mix(state ^ token)));
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// FNV-1a: tokens are short, and equal hashes of different tokens do no harm.
fn hash(token: &[u8]) -> u64 {
    token.iter().fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads a number over all 64 bits; the last step of the generator SplitMix64.
pub(super) fn mix(number: u64) -> u64 {
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
    fn white_space_between_tokens_does_not_count() {
        let of = |code: &str| Shingles::of(code.as_bytes()).collect::<Vec<_>>();
        assert_eq!(of("return a + b - c;"), of("return a+b-c ;\n  "));
        assert_ne!(of("return a + b - c;"), of("return b + a - c;"));
    }
}
