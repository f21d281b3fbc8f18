//! Causal attention over blocks of queries and keys, from tensor operations that run in any dtype on any device.
//!
//! Forward: for a block of queries, blocks of keys from the diagonal down, each with the running maximum m, the running
//! sum l of exponentials and the running sum of values, rescaled where m grows. What is kept beside the output is
//! L = m + ln l, one number a query and head. Backward: a block's weights are computed again as P = exp(S − L), and with
//! O the output and dO its gradient: dV = Pᵀ dO, dS = P (dO Vᵀ − Σ dO O) / √dim, dQ = dS K, dK = dSᵀ Q. So memory is
//! that of a pair of blocks, and beside it grows with the tokens, not with their square.
//!
//! Products are in the inputs' dtype; scores, maxima, exponentials and sums are in single precision where that is half.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use candle_core::{D, Result, Tensor};

use super::attention::Heads;
use super::composed::{accumulation, with_backward};

/// Added to scores that are not to be seen. Finite, since −∞ − −∞ is no number; its exponential is 0 all the same.
const HIDDEN: f64 = -1e30;

/// Returns how many queries and keys are taken at a time: eight blocks or more, so that little above the diagonal is
/// computed, but none so small that starting operations costs more than running them.
pub(super) fn block_tokens(longest_sequence: usize) -> usize {
    (longest_sequence / 8).next_multiple_of(64).clamp(256, 2048)
}

/// Attends as [`super::causal_attention`] does, which checks the shapes; with a `window` to the token itself and the
/// `window − 1` before it.
pub(super) fn attention(
    inputs: [&Tensor; 3],
    heads: Heads,
    sequences: &[Range<usize>],
    window: Option<usize>,
    block: usize,
) -> Result<Tensor> {
    let blocks = Blocks { heads, sequences: sequences.to_vec(), window, block };
    let detached = inputs.map(Tensor::detach);
    let (output, log_sums) = blocks.forward(detached.each_ref())?;
    with_backward("attention-blocks", inputs, output, move |inputs, output, grad| {
        blocks.backward(inputs, output, grad, &log_sums)
    })
}

struct Blocks {
    heads: Heads,
    sequences: Vec<Range<usize>>,
    window: Option<usize>,
    block: usize,
}

impl Blocks {
    /// Gives the output and, for each sequence, L as `[key_value, tokens · group, 1]`.
    fn forward(&self, inputs: [&Tensor; 3]) -> Result<(Tensor, Vec<Tensor>)> {
        let mut masks = HashMap::new();
        let mut outputs = Vec::with_capacity(self.sequences.len());
        let mut log_sums = Vec::with_capacity(self.sequences.len());
        for sequence in &self.sequences {
            let [query, key, value] = self.split(inputs, sequence)?;
            let (mut rows, mut sums) = (Vec::new(), Vec::new());
            for queries in self.blocks_of(sequence.len()) {
                let own = self.queries(&query, &queries)?;
                let (output, log_sum) = self.attend(&own, &key, &value, &queries, &mut masks)?;
                rows.push(output);
                sums.push(log_sum);
            }
            outputs.push(self.join(&Tensor::cat(&rows, 1)?, self.heads.group())?);
            log_sums.push(Tensor::cat(&sums, 1)?);
        }
        Ok((Tensor::cat(&outputs, 0)?, log_sums))
    }

    /// Attends from one block of queries to all keys that they see.
    fn attend(
        &self,
        own: &Tensor,
        key: &Tensor,
        value: &Tensor,
        queries: &Range<usize>,
        masks: &mut Masks,
    ) -> Result<(Tensor, Tensor)> {
        let mut running: Option<[Tensor; 3]> = None;
        for keys in self.seen_by(queries) {
            let scores = self.scores(own, &block_of(key, &keys)?, queries, &keys, masks)?;
            let maximum = scores.max_keepdim(D::Minus1)?;
            let value = block_of(value, &keys)?;
            let weigh = |maximum: &Tensor| -> Result<(Tensor, Tensor)> {
                let weights = scores.broadcast_sub(maximum)?.exp()?;
                let values = weights.to_dtype(own.dtype())?.matmul(&value)?.to_dtype(weights.dtype())?;
                Ok((weights.sum_keepdim(D::Minus1)?, values))
            };
            running = Some(match running.take() {
                None => {
                    let (sum, values) = weigh(&maximum)?;
                    [maximum, sum, values]
                }
                Some([before, sum, values]) => {
                    let maximum = before.maximum(&maximum)?;
                    let shrink = (before - &maximum)?.exp()?;
                    let (more, more_values) = weigh(&maximum)?;
                    [maximum, ((sum * &shrink)? + more)?, (values.broadcast_mul(&shrink)? + more_values)?]
                }
            });
        }
        let Some([maximum, sum, values]) = running else {
            candle_core::bail!("attention: queries {queries:?} see no key");
        };
        Ok((values.broadcast_div(&sum)?.to_dtype(own.dtype())?, (maximum + sum.log()?)?))
    }

    fn backward(
        &self,
        inputs: [&Tensor; 3],
        output: &Tensor,
        grad: &Tensor,
        log_sums: &[Tensor],
    ) -> Result<[Option<Tensor>; 3]> {
        let mut masks = HashMap::new();
        let mut gradients: [Vec<Tensor>; 3] = Default::default();
        for (sequence, log_sums) in self.sequences.iter().zip(log_sums) {
            let [query, key, value] = self.split(inputs, sequence)?;
            let of_queries = |tensor| split(tensor, sequence, self.heads, self.heads.group());
            let (output, grad) = (of_queries(output)?, of_queries(grad)?);
            let blocks: Vec<Range<usize>> = self.blocks_of(sequence.len()).collect();
            let mut of_query = Vec::with_capacity(blocks.len());
            let mut of_key: Vec<Option<Tensor>> = vec![None; blocks.len()];
            let mut of_value = of_key.clone();
            for queries in &blocks {
                let [own, output, grad, log_sum] = [&query, &output, &grad, log_sums].map(|t| self.queries(t, queries));
                let (own, output, grad, log_sum) = (own?, output?, grad?, log_sum?);
                let precise = accumulation(own.dtype());
                let mean = (output.to_dtype(precise)? * grad.to_dtype(precise)?)?.sum_keepdim(D::Minus1)?;
                let mut sum = None;
                for keys in self.seen_by(queries) {
                    let (key, value) = (block_of(&key, &keys)?, block_of(&value, &keys)?);
                    let scores = self.scores(&own, &key, queries, &keys, &mut masks)?;
                    let weights = scores.broadcast_sub(&log_sum)?.exp()?;
                    drop(scores);
                    let place = keys.start / self.block;
                    let transposed = weights.to_dtype(own.dtype())?.transpose(1, 2)?;
                    add(&mut of_value[place], transposed.matmul(&grad)?.to_dtype(precise)?)?;
                    let of_weights = grad.matmul(&value.transpose(1, 2)?)?.to_dtype(precise)?;
                    let of_scores = (of_weights.broadcast_sub(&mean)? * weights)?;
                    let of_scores = of_scores.affine(self.scale(), 0.0)?.to_dtype(own.dtype())?;
                    add(&mut sum, of_scores.matmul(&key)?.to_dtype(precise)?)?;
                    add(&mut of_key[place], of_scores.transpose(1, 2)?.matmul(&own)?.to_dtype(precise)?)?;
                }
                of_query.extend(sum.map(|sum| sum.to_dtype(own.dtype())).transpose()?);
            }
            let dtype = query.dtype();
            let flat = |blocks: Vec<Option<Tensor>>| -> Result<Tensor> {
                let blocks = blocks.into_iter().flatten().map(|block| block.to_dtype(dtype));
                Tensor::cat(&blocks.collect::<Result<Vec<_>>>()?, 1)
            };
            gradients[0].push(self.join(&Tensor::cat(&of_query, 1)?, self.heads.group())?);
            gradients[1].push(self.join(&flat(of_key)?, 1)?);
            gradients[2].push(self.join(&flat(of_value)?, 1)?);
        }
        let [of_query, of_key, of_value] = gradients.map(|parts| Tensor::cat(&parts, 0));
        Ok([Some(of_query?), Some(of_key?), Some(of_value?)])
    }

    fn scale(&self) -> f64 {
        (self.heads.dim as f64).sqrt().recip()
    }

    fn blocks_of(&self, tokens: usize) -> impl Iterator<Item = Range<usize>> {
        let block = self.block;
        (0..tokens).step_by(block).map(move |start| start..tokens.min(start + block))
    }

    /// Blocks of keys that some query of a block sees, that of the queries themselves first: there each query sees at
    /// least itself, so that the running maximum is one of a score from the start.
    fn seen_by(&self, queries: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let first = self.window.map_or(0, |window| (queries.start + 1).saturating_sub(window));
        let (block, end) = (self.block, queries.end);
        let blocks = first / block..=(end - 1) / block;
        blocks.rev().map(move |index| index * block..end.min((index + 1) * block))
    }

    /// Scaled scores `[key_value, queries · group, keys]`, hidden ones at [`HIDDEN`] or below.
    fn scores(
        &self,
        own: &Tensor,
        key: &Tensor,
        queries: &Range<usize>,
        keys: &Range<usize>,
        masks: &mut Masks,
    ) -> Result<Tensor> {
        let products = own.matmul(&key.transpose(1, 2)?)?;
        let scores = products.to_dtype(accumulation(own.dtype()))?.affine(self.scale(), 0.0)?;
        let cut_above = keys.end > queries.start + 1;
        let cut_below = self.window.is_some_and(|window| keys.start + window < queries.end);
        if !cut_above && !cut_below {
            return Ok(scores);
        }
        let place = (queries.len(), keys.len(), queries.start as i64 - keys.start as i64);
        let mask = match masks.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.mask(queries, keys, &scores)?),
        };
        let grouped = (self.heads.key_value, queries.len(), self.heads.group(), keys.len());
        let flat = scores.dims().to_vec();
        scores.reshape(grouped)?.broadcast_add(mask)?.reshape(flat)
    }

    /// What is added to scores, `[queries, 1, keys]`, made on the device from the limits of each query.
    fn mask(&self, queries: &Range<usize>, keys: &Range<usize>, like: &Tensor) -> Result<Tensor> {
        let column = |limit: &dyn Fn(i64) -> i64| {
            let limits: Vec<i64> = queries.clone().map(|query| limit(query as i64)).collect();
            Tensor::from_vec(limits, (queries.len(), 1, 1), like.device())
        };
        let keys: Vec<i64> = keys.clone().map(|key| key as i64).collect();
        let keys = Tensor::from_slice(&keys, (1, 1, keys.len()), like.device())?;
        let mut hidden = keys.broadcast_gt(&column(&|query| query)?)?;
        if let Some(window) = self.window {
            hidden = (hidden + keys.broadcast_le(&column(&|query| query - window as i64)?)?)?;
        }
        hidden.to_dtype(like.dtype())?.affine(HIDDEN, 0.0)
    }

    fn split(&self, [query, key, value]: [&Tensor; 3], sequence: &Range<usize>) -> Result<[Tensor; 3]> {
        let heads = self.heads;
        Ok([
            split(query, sequence, heads, heads.group())?,
            split(key, sequence, heads, 1)?,
            split(value, sequence, heads, 1)?,
        ])
    }

    /// The rows of a block of queries in `[key_value, tokens · group, _]`.
    fn queries(&self, tensor: &Tensor, queries: &Range<usize>) -> Result<Tensor> {
        let group = self.heads.group();
        tensor.narrow(1, queries.start * group, queries.len() * group)
    }

    /// Undoes [`split`].
    fn join(&self, tensor: &Tensor, group: usize) -> Result<Tensor> {
        let Heads { key_value, dim, .. } = self.heads;
        let tokens = tensor.dim(1)? / group;
        let heads = tensor.reshape((key_value, tokens, group, dim))?.permute((1, 0, 2, 3))?;
        heads.contiguous()?.reshape((tokens, key_value * group * dim))
    }
}

/// What is added to the scores of a pair of blocks, by numbers of queries and keys and the way from one to the other.
type Masks = HashMap<(usize, usize, i64), Tensor>;

/// One sequence of `[tokens, key_value · group · dim]` as `[key_value, tokens · group, dim]`.
///
/// The query heads of a group become rows of one product beside their token, so that keys are not repeated and the rows
/// of a block of tokens lie together.
fn split(tensor: &Tensor, sequence: &Range<usize>, heads: Heads, group: usize) -> Result<Tensor> {
    let rows = tensor.narrow(0, sequence.start, sequence.len())?;
    let rows = rows.reshape((sequence.len(), heads.key_value, group, heads.dim))?.permute((1, 0, 2, 3))?;
    rows.contiguous()?.reshape((heads.key_value, sequence.len() * group, heads.dim))
}

fn block_of(tensor: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    tensor.narrow(1, rows.start, rows.len())
}

fn add(total: &mut Option<Tensor>, more: Tensor) -> Result<()> {
    *total = Some(match total.take() {
        Some(before) => (before + more)?,
        None => more,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::single_range_in_vec_init)]
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, normal};

    const HEADS: Heads = Heads { query: 6, key_value: 2, dim: 4 };

    fn inputs(tokens: usize) -> [Tensor; 3] {
        [normal("q", &[tokens, 24]), normal("k", &[tokens, 8]), normal("v", &[tokens, 8])]
    }

    fn blocks(t: &[Tensor], sequences: &[Range<usize>], window: Option<usize>, block: usize) -> Result<Tensor> {
        attention([&t[0], &t[1], &t[2]], HEADS, sequences, window, block)
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
    fn blocks_grow_with_the_sequence_within_limits() {
        assert_eq!([1, 4096, 8192, 131_072].map(block_tokens), [256, 512, 1024, 2048]);
    }
}
