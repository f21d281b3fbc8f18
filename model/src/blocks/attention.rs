//! Causal self-attention with grouped key and value heads over several sequences laid end to end.
//!
//! Queries are taken in blocks against the keys up to the block's end, so that memory grows with the longest sequence,
//! not with its square.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::attention_cpu::CausalAttention;
use super::{attention_blocks, cpu};

/// Queries per block: small enough to skip most of what lies above the diagonal, large enough for the matrix product.
pub(super) const QUERY_BLOCK: usize = 64;

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

/// Attends within each sequence to the token itself and all before it, with scores scaled by 1 / √dim.
///
/// `query` is `[tokens, query · dim]`, `key` and `value` are `[tokens, key_value · dim]`; `sequences` are the rows of
/// each sequence and cover all rows in order. Gives `[tokens, query · dim]`.
///
/// # Errors
/// The shapes do not fit the heads, or the sequences do not cover the rows.
pub fn causal_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: Heads,
    sequences: &[Range<usize>],
) -> Result<Tensor> {
    let tokens = query.dim(0)?;
    let key_value_shape = [tokens, heads.key_value * heads.dim];
    let fits = query.dims() == [tokens, heads.query * heads.dim]
        && key.dims() == key_value_shape
        && value.dims() == key_value_shape;
    if !fits {
        let (query, key, value) = (query.dims(), key.dims(), value.dims());
        candle_core::bail!("attention: query {query:?}, key {key:?} and value {value:?} do not fit {heads:?}");
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
    if cpu::is_native(query) {
        let sequences = sequences.to_vec();
        return query.apply_op3(key, value, CausalAttention { heads, sequences });
    }
    let longest = sequences.iter().map(Range::len).max().unwrap_or(0);
    attention_composed(query, key, value, heads, sequences, attention_blocks::block_tokens(heads, longest))
}

fn attention_composed(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    heads: Heads,
    sequences: &[Range<usize>],
    block: usize,
) -> Result<Tensor> {
    attention_blocks::attention([query, key, value], heads, sequences, None, block)
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
    fn naive(inputs: &[Tensor; 3], sequences: &[Range<usize>]) -> Vec<Vec<f64>> {
        let [q, k, v] = inputs.each_ref().map(|tensor| tensor.to_vec2::<f64>().unwrap());
        let mut output = vec![vec![0.0; HEADS.query * HEADS.dim]; q.len()];
        for sequence in sequences {
            for row in sequence.clone() {
                for head in 0..HEADS.query {
                    let (own, shared) = (head * HEADS.dim, head / HEADS.group() * HEADS.dim);
                    let weights: Vec<f64> = (sequence.start..=row)
                        .map(|key| {
                            let score: f64 = (0..HEADS.dim).map(|i| q[row][own + i] * k[key][shared + i]).sum();
                            (score / (HEADS.dim as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = weights.iter().sum();
                    for (weight, key) in weights.iter().zip(sequence.start..) {
                        for i in 0..HEADS.dim {
                            output[row][own + i] += weight / total * v[key][shared + i];
                        }
                    }
                }
            }
        }
        output
    }

    #[test]
    fn the_composed_form_equals_the_definition_for_any_block() {
        let inputs = inputs(11);
        let sequences = [0..7, 7..8, 8..11];
        let expected = naive(&inputs, &sequences);
        for block in [1, 3, 64] {
            let [q, k, v] = &inputs;
            let found = attention_composed(q, k, v, HEADS, &sequences, block).unwrap().to_vec2::<f64>().unwrap();
            for (left, right) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((left - right).abs() < 1e-12, "block {block}: {left} instead of {right}");
            }
        }
    }

    #[test]
    fn gradients_equal_finite_differences() {
        check_against_differences(&inputs(6), |t| attention_composed(&t[0], &t[1], &t[2], HEADS, &[0..4, 4..6], 3));
    }

    #[test]
    fn the_native_form_equals_the_composed_one_over_several_blocks_and_sequences() {
        let sequences = [0..150, 150..151, 151..215, 215..280];
        check_native(
            &inputs(280),
            |t| causal_attention(&t[0], &t[1], &t[2], HEADS, &sequences),
            |t| attention_composed(&t[0], &t[1], &t[2], HEADS, &sequences, 1000),
        );
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let [q, k, v] = inputs(70).map(|tensor| tensor.to_dtype(candle_core::DType::F32).unwrap());
        let huge = (q * 1e4).unwrap();
        let output = causal_attention(&huge, &k, &v, HEADS, &[0..70]).unwrap();
        assert!(output.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|value| value.is_finite()));
    }

    #[test]
    fn a_later_token_has_no_influence() {
        let [q, k, v] = inputs(130).map(|tensor| tensor.to_dtype(candle_core::DType::F32).unwrap());
        let rows = |tensor: &Tensor, n: usize| tensor.narrow(0, 0, n).unwrap().contiguous().unwrap();
        let whole = causal_attention(&q, &k, &v, HEADS, &[0..130]).unwrap();
        let part = causal_attention(&rows(&q, 100), &rows(&k, 100), &rows(&v, 100), HEADS, &[0..100]).unwrap();
        let difference = (rows(&whole, 100) - part).unwrap().abs().unwrap().max_all().unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn sequences_that_leave_rows_out_are_an_error() {
        let [q, k, v] = inputs(9);
        assert!(causal_attention(&q, &k, &v, HEADS, &[0..4, 5..9]).is_err());
        assert!(causal_attention(&q, &k, &v, HEADS, &[0..8]).is_err());
        assert!(causal_attention(&q, &v, &q, HEADS, &[0..9]).is_err());
    }
}
