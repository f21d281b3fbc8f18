//! A sample as the model sees it: prompt, then each step with a separator, supervised at the separator's last token
//! (FORMULAS.md, "Encoding"; the same ids as TRL's PRMTrainer, which truncates where this makes windows).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::tokenizer::StepTokenizer;

/// Says how samples are laid out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodeOptions {
    /// The text after each step, tokenised by itself.
    pub separator: String,
    /// The longest window in tokens, prompt included.
    pub max_tokens: usize,
}

impl Default for EncodeOptions {
    /// A blank line between steps, windows of at most 128,000 tokens (the paper's limit).
    fn default() -> Self {
        Self { separator: "\n\n".to_owned(), max_tokens: 128_000 }
    }
}

/// Holds a run of consecutive steps after the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The steps inside, as indices into the sample's steps.
    pub steps: Range<usize>,
    /// The prompt's ids, then each step's and the separator's.
    pub input_ids: Vec<u32>,
    /// The position of each step's separator's last token in `input_ids`, ascending, one per step of `steps`.
    pub step_positions: Vec<u32>,
}

/// Holds the windows of one sample.
///
/// Every step is in exactly one window or in `too_long`: the positions of all windows are as many as the steps less
/// `too_long`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Encoded {
    /// The windows in the steps' order; none for a sample without steps.
    pub windows: Vec<Window>,
    /// Steps that exceed `max_tokens` even alone after the prompt, ascending. Windows end before one and start after it.
    pub too_long: Vec<usize>,
    /// The length of the code in tokens: all steps, those too long among them, each with its separator, and no prompt (table 11).
    pub code_tokens: usize,
}

impl Encoded {
    /// Counts the supervised positions over all windows.
    pub fn positions(&self) -> usize {
        self.windows.iter().map(|window| window.step_positions.len()).sum()
    }

    /// Counts the tokens over all windows, repeated prompts included.
    pub fn tokens(&self) -> usize {
        self.windows.iter().map(|window| window.input_ids.len()).sum()
    }
}

/// Encodes one sample; prompt, steps and separator are tokenised each by itself.
///
/// # Errors
/// The separator has no token, or prompt and separator alone leave no room within `max_tokens`.
pub fn encode<S: AsRef<str>>(
    tokenizer: &StepTokenizer,
    prompt: &str,
    steps: &[S],
    options: &EncodeOptions,
) -> Result<Encoded> {
    let step_ids = steps.iter().map(|step| tokenizer.encode(step.as_ref())).collect::<Result<Vec<_>>>()?;
    let prompt_ids = tokenizer.encode(prompt)?;
    let separator_ids = tokenizer.encode(&options.separator)?;
    encode_ids(&prompt_ids, &step_ids, &separator_ids, options.max_tokens)
}

/// Lays out what was tokenised already; see [`encode`].
///
/// # Errors
/// As [`encode`].
pub fn encode_ids(prompt: &[u32], steps: &[Vec<u32>], separator: &[u32], max_tokens: usize) -> Result<Encoded> {
    if separator.is_empty() {
        let reason = "has no token, so that there is nothing to supervise a step at";
        return Err(ModelError::config("separator", reason));
    }
    let overhead = prompt.len() + separator.len();
    if overhead > max_tokens {
        let reason = format!("{max_tokens} leaves no room for a step after {overhead} tokens of prompt and separator");
        return Err(ModelError::config("max_tokens", reason));
    }
    if u32::try_from(max_tokens).is_err() {
        return Err(ModelError::config("max_tokens", "exceeds 32 bits"));
    }
    let mut encoded = Encoded::default();
    let mut open: Option<Window> = None;
    for (index, step) in steps.iter().enumerate() {
        let added = step.len() + separator.len();
        encoded.code_tokens += added;
        if prompt.len() + added > max_tokens {
            encoded.windows.extend(open.take());
            encoded.too_long.push(index);
            continue;
        }
        let full = open.as_ref().is_some_and(|window| window.input_ids.len() + added > max_tokens);
        if full {
            encoded.windows.extend(open.take());
        }
        let window = open.get_or_insert_with(|| Window {
            steps: index..index,
            input_ids: prompt.to_vec(),
            step_positions: Vec::new(),
        });
        window.input_ids.extend_from_slice(step);
        window.input_ids.extend_from_slice(separator);
        window.step_positions.push((window.input_ids.len() - 1) as u32);
        window.steps.end = index + 1;
    }
    encoded.windows.extend(open);
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sample_is_the_prompt_then_each_step_with_its_separator() {
        let encoded = encode_ids(&[1, 2], &[vec![10], vec![], vec![11, 12]], &[7, 8], 100).unwrap();
        assert_eq!(encoded.windows.len(), 1);
        assert_eq!(encoded.windows[0].input_ids, [1, 2, 10, 7, 8, 7, 8, 11, 12, 7, 8]);
        assert_eq!(encoded.windows[0].step_positions, [4, 6, 10]);
        assert_eq!(encoded.windows[0].steps, 0..3);
    }

    #[test]
    fn a_sample_without_steps_has_no_window() {
        assert_eq!(encode_ids(&[1], &[], &[7], 10).unwrap(), Encoded::default());
    }

    #[test]
    fn a_step_too_long_alone_is_reported_and_windows_go_on_after_it() {
        let steps = [vec![3], vec![4; 9], vec![5], vec![6, 6]];
        let encoded = encode_ids(&[1], &steps, &[7], 6).unwrap();
        assert_eq!(encoded.too_long, [1]);
        let ranges: Vec<_> = encoded.windows.iter().map(|window| window.steps.clone()).collect();
        assert_eq!(ranges, [0..1, 2..4]);
        assert_eq!(encoded.windows[1].input_ids, [1, 5, 7, 6, 6, 7]);
        assert_eq!(encoded.code_tokens, 1 + 9 + 1 + 2 + steps.len());
    }

    #[test]
    fn options_that_can_never_hold_a_step_are_refused() {
        assert!(encode_ids(&[1, 1], &[], &[7], 2).unwrap_err().to_string().starts_with("max_tokens"));
        assert!(encode_ids(&[1, 1], &[], &[], 9).unwrap_err().to_string().starts_with("separator"));
    }

    #[test]
    fn text_is_tokenised_part_by_part() {
        let tokenizer = StepTokenizer::train(["a\n\n b\n\n a\n\n b"].iter(), 300).unwrap();
        let options = EncodeOptions::default();
        let encoded = encode(&tokenizer, "look:", &["a", "b\n"], &options).unwrap();
        let mut expected = tokenizer.encode("look:").unwrap();
        for part in ["a", "\n\n", "b\n", "\n\n"] {
            expected.extend(tokenizer.encode(part).unwrap());
        }
        assert_eq!(encoded.windows[0].input_ids, expected);
    }

    proptest! {
        #[test]
        fn every_step_is_in_one_window_or_too_long(
            lengths in prop::collection::vec(0usize..30, 0..40),
            prompt in 0usize..6,
            separator in 1usize..3,
            room in 0usize..40,
        ) {
            let max_tokens = prompt + separator + room;
            let steps: Vec<Vec<u32>> = lengths.iter().enumerate().map(|(i, n)| vec![100 + i as u32; *n]).collect();
            let encoded = encode_ids(&vec![1; prompt], &steps, &vec![7; separator], max_tokens).unwrap();
            prop_assert_eq!(encoded.positions(), steps.len() - encoded.too_long.len());
            let mut seen = encoded.too_long.clone();
            for window in &encoded.windows {
                prop_assert!(window.input_ids.len() <= max_tokens);
                prop_assert!(!window.steps.is_empty());
                prop_assert_eq!(window.steps.len(), window.step_positions.len());
                let mut rebuilt = vec![1; prompt];
                for (step, position) in window.steps.clone().zip(&window.step_positions) {
                    rebuilt.extend(&steps[step]);
                    rebuilt.extend(vec![7; separator]);
                    prop_assert_eq!(rebuilt.len() - 1, *position as usize);
                }
                prop_assert_eq!(&rebuilt, &window.input_ids);
                seen.extend(window.steps.clone());
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..steps.len()).collect::<Vec<_>>());
            // Greedy: a window that follows another directly could not have started with room to spare.
            for pair in encoded.windows.windows(2) {
                if pair[0].steps.end == pair[1].steps.start {
                    let next = steps[pair[1].steps.start].len() + separator;
                    prop_assert!(pair[0].input_ids.len() + next > max_tokens);
                }
            }
        }
    }
}
