//! Text to ids: a byte-level BPE of Hugging Face's `tokenizers`, trained here or read from a `tokenizer.json`.

mod pieces;

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper};
use tokenizers::{SplitDelimiterBehavior, Tokenizer, TokenizerImpl};

use self::pieces::Pieces;
use crate::error::{ModelError, Result};

/// Number of byte tokens, which is the smallest possible vocabulary.
pub const BYTE_TOKENS: usize = 256;

/// Where merges may not cross, first match first. The pieces are those of Qwen2's tokenizers: `transformers` splits any
/// model of type qwen2 like this, whatever its `tokenizer.json` says, and would otherwise give other ids than we do.
const PIECES: [&str; 7] = [
    // English contractions
    r"'(?i:s|t|re|ve|m|ll|d)",
    // words with one leading blank or sign
    r"[^\r\n\p{L}\p{N}]?\p{L}+",
    // single digits
    r"\p{N}",
    // runs of signs with the line ends after them
    r" ?[^\s\p{L}\p{N}]+[\r\n]*",
    // line ends with the blanks before them
    r"\s*[\r\n]+",
    // blanks, all but the last before something else
    r"\s+(?!\S)",
    r"\s+",
];

type BpeTokenizer = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// Turns text into ids and back.
#[derive(Debug, Clone)]
pub struct StepTokenizer {
    inner: Tokenizer,
    pieces: Option<Pieces>,
    json: String,
    id: String,
    vocab_size: usize,
}

impl StepTokenizer {
    /// Trains a byte-level BPE on texts.
    ///
    /// All 256 bytes are tokens, so that any text encodes and decodes without loss. The result depends on the multiset of
    /// texts and on `vocab_size` alone, not on the order of the texts. Where the texts do not hold enough different
    /// pairs, the vocabulary stays smaller.
    ///
    /// # Errors
    /// `vocab_size` below [`BYTE_TOKENS`].
    pub fn train<I, S>(texts: I, vocab_size: usize) -> Result<Self>
    where
        I: Iterator<Item = S> + Send,
        S: AsRef<str> + Send,
    {
        if vocab_size < BYTE_TOKENS {
            let reason = format!("{vocab_size} is too small, a byte-level vocabulary needs at least {BYTE_TOKENS}");
            return Err(ModelError::config("vocab_size", reason));
        }
        let failed = |source| ModelError::Tokenizer { action: "training", source };
        let pattern = SplitPattern::Regex(PIECES.join("|"));
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
        let bytes = ByteLevel::new(false, false, false);
        let pieces = Sequence::new(vec![split.into(), bytes.into()]);
        let mut tokenizer = BpeTokenizer::new(BPE::default());
        tokenizer.with_pre_tokenizer(Some(pieces));
        tokenizer.with_decoder(Some(bytes));
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect::<HashSet<_>>())
            .build();
        tokenizer.train(&mut trainer, texts).map_err(failed)?;
        let text = tokenizer.to_string(false).map_err(failed)?;
        Self::from_json(&text)
    }

    /// Reads a `tokenizer.json`; truncation and padding settings in it are dropped.
    ///
    /// # Errors
    /// The text is no tokenizer this library knows.
    pub fn from_json(text: &str) -> Result<Self> {
        let failed = |source| ModelError::Tokenizer { action: "reading tokenizer.json", source };
        let mut inner: Tokenizer = text.parse().map_err(failed)?;
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None);
        if let ModelWrapper::BPE(bpe) = inner.get_model() {
            // Dropout draws from an unseeded generator.
            if bpe.dropout.is_some_and(|dropout| dropout > 0.0) {
                return Err(ModelError::config("tokenizer.json: dropout", "must be null or 0, ids would be random"));
            }
        }
        let json = inner.to_string(false).map_err(failed)?;
        let id = blake3::hash(json.as_bytes()).to_hex()[..32].to_owned();
        let largest = inner.get_vocab(true).into_values().max();
        let vocab_size = largest.map_or(0, |largest| largest as usize + 1);
        let pieces = Pieces::of(&inner);
        Ok(Self { inner, pieces, json, id, vocab_size })
    }

    /// Returns the canonical `tokenizer.json`.
    pub fn to_json(&self) -> &str {
        &self.json
    }

    /// Returns the tokenizer's identity: the first 32 hex digits of BLAKE3 over the canonical JSON.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns one more than the largest id, which is the least number of embedding rows.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Encodes a text by itself, without special tokens around it.
    ///
    /// # Errors
    /// The tokenizer has no token for a part of the text, which byte-level ones never report.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self.pieces.as_ref().filter(|pieces| pieces.takes(text)) {
            Some(pieces) => pieces.encode(text, |piece| self.encode_by_library(piece)),
            None => self.encode_by_library(text),
        }
    }

    fn encode_by_library(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .inner
            .encode_fast(text, false)
            .map_err(|source| ModelError::Tokenizer { action: "encoding", source })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Counts the tokens of a text.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        self.encode(text).map(|ids| ids.len())
    }

    /// Decodes ids; bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// The decoder refuses.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|source| ModelError::Tokenizer { action: "decoding", source })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const TEXTS: [&str; 4] = [
        "int copy(char *dst, const char *src) {\n    return strcpy(dst, src) != NULL;\n}\n",
        "def read(path):\n    with open(path) as handle:\n        return handle.read()\n",
        "for (int i = 0; i <= length; i++) {\n    total += values[i];\n}\n\n",
        "for (int i = 0; i < length; i++) {\n    total += values[i];\n}\n\n",
    ];

    fn trained() -> StepTokenizer {
        StepTokenizer::train(TEXTS.iter(), 300).unwrap()
    }

    #[test]
    fn training_does_not_depend_on_the_order_of_texts() {
        let mut texts: Vec<String> = (0..60)
            .map(|n| format!("{} {} = {n};\n", TEXTS[n % 4], format!("{n:b}").replace('0', "ab").replace('1', "c")))
            .collect();
        let first = StepTokenizer::train(texts.iter(), 350).unwrap();
        texts.reverse();
        texts.rotate_left(17);
        let second = StepTokenizer::train(texts.iter(), 350).unwrap();
        assert_eq!(first.to_json(), second.to_json());
        assert_eq!(first.id(), second.id());
        assert_eq!(first.id().len(), 32);
        assert_eq!(first.vocab_size(), 350);
    }

    #[test]
    fn reading_what_was_written_gives_the_same_tokenizer() {
        let tokenizer = trained();
        let again = StepTokenizer::from_json(tokenizer.to_json()).unwrap();
        assert_eq!(again.id(), tokenizer.id());
        assert_eq!(again.encode(TEXTS[1]).unwrap(), tokenizer.encode(TEXTS[1]).unwrap());
    }

    #[test]
    fn merges_shorten_known_text() {
        let tokenizer = trained();
        assert!(tokenizer.count_tokens(TEXTS[2]).unwrap() < TEXTS[2].len() * 3 / 4);
    }

    #[test]
    fn a_vocabulary_without_room_for_all_bytes_is_refused() {
        let error = StepTokenizer::train(TEXTS.iter(), 100).unwrap_err();
        assert!(error.to_string().contains("at least 256"), "{error}");
    }

    #[test]
    fn no_text_at_all_still_gives_a_tokenizer_of_bytes() {
        let tokenizer = StepTokenizer::train(std::iter::empty::<&str>(), 2048).unwrap();
        assert_eq!(tokenizer.vocab_size(), BYTE_TOKENS);
        assert_eq!(tokenizer.encode("ab\n").unwrap().len(), 3);
    }

    #[test]
    fn text_that_is_no_tokenizer_is_refused() {
        assert!(StepTokenizer::from_json("{}").unwrap_err().to_string().starts_with("tokenizer: reading"));
    }

    proptest! {
        #[test]
        fn any_text_survives_the_round_trip(text in ".{0,80}|[ \t\r\n\u{0}a-c\u{e9}\u{4e2d}\u{1f600}e\u{301}]{0,80}") {
            static TOKENIZER: LazyLock<StepTokenizer> = LazyLock::new(trained);
            let ids = TOKENIZER.encode(&text).unwrap();
            prop_assert_eq!(TOKENIZER.decode(&ids).unwrap(), text);
        }
    }
}
