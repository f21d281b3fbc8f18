//! A short way to the same ids for ASCII text: cut it where the library would, and look each piece up.
//!
//! Merges never cross the border of a piece, code repeats its pieces, and the library takes its general way for each: a regular expression
//! with look-ahead, then merge after merge. So a thread keeps the ids of pieces it has met; the library is asked once for each. Whatever
//! is not sure to come out the same (other pieces, text beyond ASCII, added tokens in the text, a normaliser that changes ASCII) is the
//! library's as a whole.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::{NormalizerWrapper, SplitDelimiterBehavior, Tokenizer};

use super::PIECES;
use crate::error::Result;

/// The same pieces as the `tokenizer.json` of Qwen2 and Qwen2.5 spells them.
const PIECES_OF_QWEN2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// Pieces that a thread keeps, a few megabytes; past this number it starts anew.
const KEPT_PIECES: usize = 1 << 16;
/// Longer pieces are the library's each time, so that what is kept stays small.
const KEPT_BYTES: usize = 64;

/// Cuts and looks up for one tokenizer.
#[derive(Debug, Clone)]
pub(super) struct Pieces {
    /// Tells the tokenizers of a process apart.
    number: u64,
    /// The added tokens, which the library looks for before it cuts.
    added: Vec<String>,
    /// The bytes they begin with.
    begins_added: [bool; 256],
}

/// What a thread keeps of one tokenizer.
#[derive(Default)]
struct Kept {
    number: u64,
    /// Where a piece's ids lie in `ids`.
    places: HashMap<Box<[u8]>, (u32, u32), RandomState>,
    ids: Vec<u32>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

impl Pieces {
    /// Returns the short way for a tokenizer that has one.
    pub(super) fn of(tokenizer: &Tokenizer) -> Option<Pieces> {
        let keeps_ascii = matches!(tokenizer.get_normalizer(), None | Some(NormalizerWrapper::NFC(_)));
        if !keeps_ascii || !cuts_known_pieces(tokenizer.get_pre_tokenizer()?) {
            return None;
        }
        let decoder = tokenizer.get_added_tokens_decoder();
        let added: Vec<String> =
            decoder.into_values().map(|token| token.content).filter(|text| !text.is_empty()).collect();
        let mut begins_added = [false; 256];
        added.iter().for_each(|token| begins_added[token.as_bytes()[0] as usize] = true);
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Some(Pieces { number: NEXT.fetch_add(1, Ordering::Relaxed), added, begins_added })
    }

    /// Whether the short way gives the ids of a text.
    pub(super) fn takes(&self, text: &str) -> bool {
        let begins_token = |start: usize| {
            let rest = &text.as_bytes()[start..];
            self.added.iter().any(|token| rest.starts_with(token.as_bytes()))
        };
        let mut bytes = text.bytes().enumerate();
        text.is_ascii() && !bytes.any(|(at, byte)| self.begins_added[byte as usize] && begins_token(at))
    }

    /// Encodes a text that [`Self::takes`]; `ask` has the library encode a piece.
    pub(super) fn encode(&self, text: &str, ask: impl Fn(&str) -> Result<Vec<u32>>) -> Result<Vec<u32>> {
        KEPT.with_borrow_mut(|kept| {
            if kept.number != self.number {
                *kept = Kept { number: self.number, ..Kept::default() };
            }
            let mut ids = Vec::with_capacity(text.len() / 2);
            let mut start = 0;
            while start < text.len() {
                let end = piece_end(text.as_bytes(), start);
                kept.append(&text[start..end], &mut ids, &ask)?;
                start = end;
            }
            Ok(ids)
        })
    }
}

impl Kept {
    fn append(&mut self, piece: &str, ids: &mut Vec<u32>, ask: impl Fn(&str) -> Result<Vec<u32>>) -> Result<()> {
        if let Some((start, end)) = self.places.get(piece.as_bytes()) {
            ids.extend_from_slice(&self.ids[*start as usize..*end as usize]);
            return Ok(());
        }
        let asked = ask(piece)?;
        ids.extend_from_slice(&asked);
        if piece.len() <= KEPT_BYTES {
            if self.places.len() == KEPT_PIECES {
                self.places.clear();
                self.ids.clear();
            }
            let start = self.ids.len() as u32;
            self.ids.extend_from_slice(&asked);
            self.places.insert(piece.as_bytes().into(), (start, self.ids.len() as u32));
        }
        Ok(())
    }
}

/// Whether text is cut by the pieces that [`piece_end`] finds, and by nothing else.
fn cuts_known_pieces(pre_tokenizer: &PreTokenizerWrapper) -> bool {
    let PreTokenizerWrapper::Sequence(parts) = pre_tokenizer else { return false };
    let [PreTokenizerWrapper::Split(split), PreTokenizerWrapper::ByteLevel(bytes)] = parts.as_ref() else {
        return false;
    };
    let is_known = match &split.pattern {
        SplitPattern::Regex(pattern) => *pattern == PIECES.join("|") || pattern == PIECES_OF_QWEN2,
        SplitPattern::String(_) => false,
    };
    let is_isolated = matches!(split.behavior, SplitDelimiterBehavior::Isolated) && !split.invert;
    is_known && is_isolated && !bytes.add_prefix_space && !bytes.use_regex
}

/// Returns the end of the piece of ASCII text that begins at `start`: the first of [`PIECES`] that matches.
fn piece_end(text: &[u8], start: usize) -> usize {
    let at = |place: usize| text.get(place).copied().unwrap_or(0);
    let run = |from: usize, is_in: fn(&u8) -> bool| {
        let rest = text.get(from..).unwrap_or(&[]);
        from + rest.iter().position(|byte| !is_in(byte)).unwrap_or(rest.len())
    };
    let first = at(start);
    if first == b'\'' {
        match [at(start + 1), at(start + 2)].map(|byte| byte.to_ascii_lowercase()) {
            [b's' | b't' | b'm' | b'd', _] => return start + 2,
            [b'r' | b'v', b'e'] | [b'l', b'l'] => return start + 3,
            _ => {}
        }
    }
    if first.is_ascii_alphabetic() {
        return run(start + 1, u8::is_ascii_alphabetic);
    }
    if first.is_ascii_digit() {
        return start + 1;
    }
    if !is_line_end(&first) && at(start + 1).is_ascii_alphabetic() {
        return run(start + 2, u8::is_ascii_alphabetic);
    }
    let sign = start + usize::from(first == b' ' && start + 1 < text.len() && is_sign(&at(start + 1)));
    if is_sign(&at(sign)) {
        return run(run(sign, is_sign), is_line_end);
    }
    let end = run(start, is_space);
    if let Some(last) = text[start..end].iter().rposition(is_line_end) {
        return start + last + 1;
    }
    // The last blank goes with what follows it.
    if end == text.len() || end == start + 1 { end } else { end - 1 }
}

fn is_line_end(byte: &u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

fn is_sign(byte: &u8) -> bool {
    !is_space(byte) && !byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::super::StepTokenizer;
    use super::*;

    const TEXTS: [&str; 3] = [
        "int copy(char *dst, const char *src) {\n    return strcpy(dst, src) != NULL;\n}\n",
        "def read(path):\n    with open(path) as handle:\n        return handle.read()\n",
        "// it's what they'll do\r\n\r\n\tx +=  12;  \n",
    ];

    fn trained() -> &'static StepTokenizer {
        static TOKENIZER: LazyLock<StepTokenizer> = LazyLock::new(|| StepTokenizer::train(TEXTS.iter(), 320).unwrap());
        &TOKENIZER
    }

    /// As Qwen2.5's files are: NFC, its spelling of the pieces, added tokens.
    fn like_qwen() -> &'static StepTokenizer {
        static TOKENIZER: LazyLock<StepTokenizer> = LazyLock::new(|| {
            let mut json: serde_json::Value = serde_json::from_str(trained().to_json()).unwrap();
            json["normalizer"] = serde_json::json!({"type": "NFC"});
            json["pre_tokenizer"]["pretokenizers"][0]["pattern"] = serde_json::json!({"Regex": PIECES_OF_QWEN2});
            json["added_tokens"] = serde_json::json!([{
                "id": 320, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true,
            }]);
            StepTokenizer::from_json(&json.to_string()).unwrap()
        });
        &TOKENIZER
    }

    fn assert_same(tokenizer: &StepTokenizer, text: &str) {
        assert!(tokenizer.pieces.is_some());
        assert_eq!(tokenizer.encode(text).unwrap(), tokenizer.encode_by_library(text).unwrap(), "{text:?}");
    }

    #[test]
    fn added_tokens_are_the_librarys() {
        let ids = like_qwen().encode("a<|end|>b").unwrap();
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert_same(like_qwen(), "a <|end| > b");
    }

    #[test]
    fn other_pieces_are_the_librarys() {
        let json = trained().to_json().replace(r"\\p{N}", r"\\p{N}{1,3}");
        let tokenizer = StepTokenizer::from_json(&json).unwrap();
        assert!(tokenizer.pieces.is_none());
        assert!(!tokenizer.encode("x = 1234;").unwrap().is_empty());
    }

    #[test]
    fn more_pieces_than_a_thread_keeps_do_no_harm() {
        let letters = |n: u32| (0..4).map(|place| (b'a' + (n >> (4 * place) & 15) as u8) as char).collect::<String>();
        let many: String =
            (0..KEPT_PIECES as u32 + 100).map(|n| letters(n) + &"z".repeat((n >> 16) as usize) + " ").collect();
        assert_same(trained(), &many);
        assert_same(trained(), TEXTS[0]);
    }

    #[test]
    fn two_tokenizers_on_a_thread_keep_apart() {
        let other = StepTokenizer::train(TEXTS.iter(), 260).unwrap();
        for _ in 0..3 {
            assert_same(trained(), TEXTS[0]);
            assert_same(&other, TEXTS[0]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn ids_are_those_of_the_library(
            text in r"[ -~\t\r\n\x0b\x0c\x00\x1f\x7f]{0,60}|[ \t\r\n\x0b\x0c'sStTrReElLvVmMdD1a=(+]{0,60}|[ \n'a.\u{17f}\u{e9}\u{301}\u{a0}\u{2028}]{0,30}"
        ) {
            assert_same(trained(), &text);
            assert_same(like_qwen(), &text);
        }
    }
}
