//! Blocks against all scores at a time, finite differences, half precision and extreme scores.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
use super::*;
use candle_core::DType;

use crate::blocks::test_support::{check_against_differences, check_half, normal};

const HEADS: Heads = Heads { query: 6, key_value: 2, dim: 4 };

fn inputs(tokens: usize) -> [Tensor; 3] {
    [normal("q", &[tokens, 24]), normal("k", &[tokens, 8]), normal("v", &[tokens, 8])]
}

fn blocks(t: &[Tensor], sequences: &[Range<usize>], window: Option<usize>, block: usize) -> Result<Tensor> {
    Blocks::new(HEADS, sequences, window, block).attend([&t[0], &t[1], &t[2]])
}

/// The definition, from operations that record everything, all scores at a time.
fn naive(t: &[Tensor], sequences: &[Range<usize>], window: Option<usize>) -> Result<Tensor> {
    let mut outputs = Vec::new();
    for sequence in sequences {
        let n = sequence.len();
        let heads = |tensor: &Tensor, heads: usize| {
            tensor.narrow(0, sequence.start, n)?.reshape((n, heads, HEADS.dim))?.transpose(0, 1)?.contiguous()
        };
        let repeat: Vec<u32> = (0..HEADS.query).map(|head| (head / HEADS.group()) as u32).collect();
        let repeat = Tensor::new(repeat, t[0].device())?;
        let key = heads(&t[1], HEADS.key_value)?.index_select(&repeat, 0)?;
        let value = heads(&t[2], HEADS.key_value)?.index_select(&repeat, 0)?;
        let scores = (heads(&t[0], HEADS.query)?.matmul(&key.t()?.contiguous()?)? / (HEADS.dim as f64).sqrt())?;
        let seen = |q: usize, k: usize| k <= q && window.is_none_or(|window| k + window > q);
        let mask = (0..n * n).map(|i| if seen(i / n, i % n) { 0.0 } else { f64::NEG_INFINITY });
        let mask = Tensor::from_iter(mask, t[0].device())?.reshape((1, n, n))?.to_dtype(scores.dtype())?;
        let weights = scores.broadcast_add(&mask)?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        outputs.push(weights.matmul(&value)?.transpose(0, 1)?.contiguous()?.reshape((n, HEADS.query * HEADS.dim))?);
    }
    Tensor::cat(&outputs, 0)
}

fn with_gradients(t: &[Tensor; 3], call: impl Fn(&[Tensor]) -> Result<Tensor>) -> Vec<Vec<f64>> {
    let variables = t.each_ref().map(|tensor| candle_core::Var::from_tensor(tensor).unwrap());
    let output = call(&variables.each_ref().map(|variable| variable.as_tensor().clone())).unwrap();
    let weights = normal("weights", output.dims());
    let store = (&output * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = variables.iter().map(|variable| store.get(variable).unwrap().clone());
    let all = std::iter::once(output.detach()).chain(gradients);
    all.map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
}

#[test]
fn any_block_and_window_give_what_all_scores_at_a_time_give() {
    let inputs = inputs(23);
    let sequences = [0..17, 17..18, 18..23];
    for window in [None, Some(1), Some(3), Some(6), Some(100)] {
        let expected = with_gradients(&inputs, |t| naive(t, &sequences, window));
        for block in [1, 4, 6, 64] {
            let found = with_gradients(&inputs, |t| blocks(t, &sequences, window, block));
            for (left, right) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((left - right).abs() < 1e-11, "{window:?}, block {block}: {left} instead of {right}");
            }
        }
    }
}

#[test]
fn gradients_equal_finite_differences_with_and_without_a_window() {
    for window in [None, Some(3)] {
        check_against_differences(&inputs(9), |t| blocks(t, &[0..7, 7..9], window, 3));
    }
}

#[test]
fn half_precision_has_its_maxima_and_sums_in_single() {
    check_half(&inputs(300), |t| blocks(t, &[0..300], None, 64));
}

#[test]
fn scores_far_apart_neither_overflow_nor_lose_a_query() {
    let [q, k, v] = inputs(40).map(|tensor| tensor.to_dtype(candle_core::DType::F32).unwrap());
    let huge = [(q * 1e4).unwrap(), k, v];
    for window in [None, Some(5)] {
        let output = blocks(&huge, &[0..40], window, 8).unwrap().flatten_all().unwrap();
        assert!(output.to_vec1::<f32>().unwrap().iter().all(|value| value.is_finite()));
    }
}

#[test]
fn blocks_shrink_as_sequences_grow() {
    let heads = Heads { query: 28, key_value: 4, dim: 128 };
    assert_eq!([1, 8192, 131_072, 1 << 20].map(|tokens| block_tokens(heads, tokens)), [512, 512, 128, 64]);
}

#[test]
fn a_mean_in_three_parts_has_the_digits_of_single_precision() {
    let mean = normal("mean", &[2, 5, 1]).to_dtype(DType::F32).unwrap();
    let value = Tensor::zeros((2, 3, 4), DType::BF16, mean.device()).unwrap();
    let (left, right) = subtracted(&mean, &value).unwrap();
    assert_eq!((left.dims(), right.dims()), (&[2, 5, 8][..], &[2, 3, 8][..]));
    let exact = |tensor: Tensor| tensor.to_dtype(DType::F64).unwrap();
    let product = exact(left).matmul(&exact(right).t().unwrap().contiguous().unwrap()).unwrap();
    let error = product.broadcast_add(&exact(mean)).unwrap().abs().unwrap().max_all().unwrap();
    assert!(error.to_scalar::<f64>().unwrap() < 1e-6);
}
