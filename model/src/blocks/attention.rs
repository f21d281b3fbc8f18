//! Causal self-attention with grouped key and value heads over several sequences laid end to end.
//!
//! Queries are taken in blocks against the keys up to the block's end, so that memory grows with the longest sequence,
//! not with its square.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::attention_blocks::Blocks;
use super::attention_cpu::CausalAttention;
use super::{attention_blocks, cpu};

/// Holds the numbers of heads and their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; divides `query`.
    pub key_value: usize,
    /// Width of one head.
    pub dim: usize,
}

impl Heads {
    /// Query heads that share one key and value head.
    pub fn group(&self) -> usize {
        self.query / self.key_value
    }
}

/// The positions that a query sees, in its sequence: itself and what comes before it, of that only the newest where there
/// is a window; `window` counts the query itself.
pub(super) fn seen_keys(query: usize, window: Option<usize>) -> Range<usize> {
    let first = window.map_or(0, |window| (query + 1).saturating_sub(window));
    first..query + 1
}

/// Attends within each sequence to the token itself and all before it, with scores scaled by 1 / √dim.
///
/// With a `window` each token sees only that many tokens, itself included. `query` is `[tokens, query · dim]`, `key` and
/// `value` are `[tokens, key_value · dim]`; `sequences` are the rows of each sequence and cover all rows in order. Gives
/// `[tokens, query · dim]`.
///
/// # Errors
/// The shapes do not fit the heads, the sequences do not cover the rows, or the window is 0.
pub fn causal_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: Heads,
    sequences: &[Range<usize>],
    window: Option<usize>,
) -> Result<Tensor> {
    Attention::new([query, key, value], heads, sequences, window)?.attend([query, key, value])
}

/// An attention that keeps what its backward needs beside inputs and output.
pub(crate) enum Attention {
    /// One operation for f32 on the CPU.
    Native(CausalAttention),
    /// Tensor operations.
    Blocks(Blocks),
}

impl Attention {
    /// Prepares to attend, see [`causal_attention`].
    pub(crate) fn new(
        [query, key, value]: [&Tensor; 3],
        heads: Heads,
        sequences: &[Range<usize>],
        window: Option<usize>,
    ) -> Result<Self> {
        require_fits([query, key, value], heads, sequences, window)?;
        if cpu::is_native(query) {
            return Ok(Self::Native(CausalAttention::new(heads, sequences, window)));
        }
        let longest = sequences.iter().map(Range::len).max().unwrap_or(0);
        let block = attention_blocks::block_tokens(heads, longest);
        Ok(Self::Blocks(Blocks::new(heads, sequences, window, block)))
    }

    /// Attends, recording gradients where an input does.
    pub(crate) fn attend(&self, inputs: [&Tensor; 3]) -> Result<Tensor> {
        match self {
            Self::Native(native) => inputs[0].apply_op3(inputs[1], inputs[2], native.clone()),
            Self::Blocks(blocks) => blocks.attend(inputs),
        }
    }

    /// Computes the gradients of query, key and value.
    pub(crate) fn backward(&self, inputs: [&Tensor; 3], output: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        match self {
            Self::Native(native) => native.backward(inputs, output, grad),
            Self::Blocks(blocks) => blocks.backward(inputs, output, grad),
        }
    }
}

fn require_fits(
    [query, key, value]: [&Tensor; 3],
    heads: Heads,
    sequences: &[Range<usize>],
    window: Option<usize>,
) -> Result<()> {
    let tokens = query.dim(0)?;
    let key_value_shape = [tokens, heads.key_value * heads.dim];
    let fits = query.dims() == [tokens, heads.query * heads.dim]
        && key.dims() == key_value_shape
        && value.dims() == key_value_shape;
    if !fits {
        let (query, key, value) = (query.dims(), key.dims(), value.dims());
        candle_core::bail!("attention: query {query:?}, key {key:?} and value {value:?} do not fit {heads:?}");
    }
    if window == Some(0) {
        candle_core::bail!("attention: a window of 0 tokens leaves nothing to attend to");
    }
    let mut covered = 0;
    for sequence in sequences {
        if sequence.start != covered || sequence.is_empty() {
            candle_core::bail!("attention: sequences do not cover the rows in order at row {covered}");
        }
        covered = sequence.end;
    }
    if covered != tokens {
        candle_core::bail!("attention: sequences cover {covered} of {tokens} rows");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_native, normal};

    const HEADS: Heads = Heads { query: 4, key_value: 2, dim: 6 };

    fn inputs(tokens: usize) -> [Tensor; 3] {
        [normal("q", &[tokens, 24]), normal("k", &[tokens, 12]), normal("v", &[tokens, 12])]
    }

    /// The definition, one query and head at a time.
    fn naive(inputs: &[Tensor; 3], sequences: &[Range<usize>], window: usize) -> Vec<Vec<f64>> {
        let [q, k, v] = inputs.each_ref().map(|tensor| tensor.to_vec2::<f64>().unwrap());
        let mut output = vec![vec![0.0; HEADS.query * HEADS.dim]; q.len()];
        for sequence in sequences {
            for row in sequence.clone() {
                let first = sequence.start.max((row + 1).saturating_sub(window));
                for head in 0..HEADS.query {
                    let (own, shared) = (head * HEADS.dim, head / HEADS.group() * HEADS.dim);
                    let weights: Vec<f64> = (first..=row)
                        .map(|key| {
                            let score: f64 = (0..HEADS.dim).map(|i| q[row][own + i] * k[key][shared + i]).sum();
                            (score / (HEADS.dim as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = weights.iter().sum();
                    for (weight, key) in weights.iter().zip(first..) {
                        for i in 0..HEADS.dim {
                            output[row][own + i] += weight / total * v[key][shared + i];
                        }
                    }
                }
            }
        }
        output
    }

    fn composed(t: &[Tensor], sequences: &[Range<usize>], window: Option<usize>, block: usize) -> Result<Tensor> {
        Blocks::new(HEADS, sequences, window, block).attend([&t[0], &t[1], &t[2]])
    }

    #[test]
    fn the_composed_form_equals_the_definition_for_any_block_and_window() {
        let inputs = inputs(11);
        let sequences = [0..7, 7..8, 8..11];
        for window in [None, Some(1), Some(2), Some(5), Some(50)] {
            let expected = naive(&inputs, &sequences, window.unwrap_or(usize::MAX));
            for block in [1, 3, 64] {
                let found = composed(&inputs, &sequences, window, block).unwrap().to_vec2::<f64>().unwrap();
                for (left, right) in found.iter().flatten().zip(expected.iter().flatten()) {
                    assert!((left - right).abs() < 1e-12, "block {block}, {window:?}: {left} instead of {right}");
                }
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences_with_and_without_a_window() {
        for window in [None, Some(3)] {
            check_against_differences(&inputs(6), |t| composed(t, &[0..4, 4..6], window, 3));
        }
    }

    #[test]
    fn the_native_form_equals_the_composed_one_over_several_blocks_and_sequences() {
        let sequences = [0..150, 150..151, 151..215, 215..280];
        for window in [None, Some(2), Some(37), Some(64), Some(130), Some(1000)] {
            check_native(
                &inputs(280),
                |t| causal_attention(&t[0], &t[1], &t[2], HEADS, &sequences, window),
                |t| composed(t, &sequences, window, 1000),
            );
        }
    }

    #[test]
    fn the_native_form_equals_the_composed_one_over_several_pieces_of_keys() {
        for window in [None, Some(600)] {
            check_native(
                &inputs(1300),
                |t| causal_attention(&t[0], &t[1], &t[2], HEADS, &[0..1300], window),
                |t| composed(t, &[0..1300], window, 200),
            );
        }
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let [q, k, v] = inputs(700).map(|tensor| tensor.to_dtype(candle_core::DType::F32).unwrap());
        let huge = (q * 1e4).unwrap();
        let output = causal_attention(&huge, &k, &v, HEADS, &[0..700], None).unwrap();
        assert!(output.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|value| value.is_finite()));
    }

    #[test]
    fn a_later_token_has_no_influence() {
        let [q, k, v] = inputs(130).map(|tensor| tensor.to_dtype(candle_core::DType::F32).unwrap());
        let rows = |tensor: &Tensor, n: usize| tensor.narrow(0, 0, n).unwrap().contiguous().unwrap();
        let whole = causal_attention(&q, &k, &v, HEADS, &[0..130], None).unwrap();
        let part = causal_attention(&rows(&q, 100), &rows(&k, 100), &rows(&v, 100), HEADS, &[0..100], None).unwrap();
        let difference = (rows(&whole, 100) - part).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn sequences_that_leave_rows_out_and_an_empty_window_are_an_error() {
        let [q, k, v] = inputs(9);
        assert!(causal_attention(&q, &k, &v, HEADS, &[0..4, 5..9], None).is_err());
        assert!(causal_attention(&q, &k, &v, HEADS, &[0..8], None).is_err());
        assert!(causal_attention(&q, &v, &q, HEADS, &[0..9], None).is_err());
        assert!(causal_attention(&q, &k, &v, HEADS, &[0..9], Some(0)).is_err());
    }
}
