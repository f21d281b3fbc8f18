//! Causal attention over blocks of queries, from tensor operations that run in any dtype on any device.
//!
//! A block of queries against all keys that it sees: scores, their softmax, one product with the values. Nothing of it is
//! kept. The backward computes a block's weights P again, and with O the output and dO its gradient: dV = Pᵀ dO,
//! dS = P (dO Vᵀ − Σ dO O), dQ = dS K / √dim, dK = dSᵀ Q / √dim. A block has fewer queries where the sequence is longer, so
//! that memory is that of a block and beside it grows with the tokens, not with their square.
//!
//! Products are in the inputs' dtype, the softmax and sums over blocks in single precision where that is half. Each
//! operation on scores passes over memory, so there are few: queries are scaled instead of scores, the mask touches the
//! keys that it hides some of, and Σ dO O is subtracted within the product dO Vᵀ.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use candle_core::{D, Result, Tensor};

use super::attention::{Heads, seen_keys};
use super::composed::accumulation;
use super::fused;
use super::with_backward::with_backward;

/// Added to scores that are not to be seen. Finite, since −∞ − −∞ is no number; its exponential is 0 all the same.
const HIDDEN: f64 = -1e30;

/// Scores of all heads that are computed at a time, at most (2 GB in single precision).
const SCORES_AT_A_TIME: usize = 1 << 29;

/// Returns how many queries are taken at a time.
pub(super) fn block_tokens(heads: Heads, longest_sequence: usize) -> usize {
    let most = SCORES_AT_A_TIME / (heads.query * longest_sequence).max(1);
    (most / 64 * 64).clamp(64, 512)
}

/// Attention over such heads and sequences.
#[derive(Clone)]
pub(crate) struct Blocks {
    heads: Heads,
    sequences: Vec<Range<usize>>,
    window: Option<usize>,
    block: usize,
}

/// What is added to scores, by numbers of queries and keys and the way from the first key to the first query.
type Masks = HashMap<(usize, usize, usize), Tensor>;

impl Blocks {
    /// With a `window` to the token itself and the `window − 1` before it. [`super::Attention`] checks the shapes.
    pub(super) fn new(heads: Heads, sequences: &[Range<usize>], window: Option<usize>, block: usize) -> Self {
        Self { heads, sequences: sequences.to_vec(), window, block }
    }

    pub(super) fn attend(&self, inputs: [&Tensor; 3]) -> Result<Tensor> {
        let detached = inputs.map(Tensor::detach);
        let (output, blocks) = (self.forward(detached.each_ref())?, self.clone());
        with_backward("attention-blocks", inputs, output, move |inputs, output, grad| {
            Ok(blocks.backward(inputs, output, grad)?.map(Some))
        })
    }

    fn forward(&self, [query, key, value]: [&Tensor; 3]) -> Result<Tensor> {
        let mut masks = Masks::new();
        let mut outputs = Vec::with_capacity(self.sequences.len());
        for sequence in &self.sequences {
            let query = self.scaled(&self.split_queries(query, sequence)?)?;
            let (key, value) = (self.split_keys(key, sequence)?, self.split_keys(value, sequence)?);
            let attend = |queries: Range<usize>| -> Result<Tensor> {
                let keys = self.seen_by(&queries);
                let weights = self.weights(&self.rows(&query, &queries)?, &key, &queries, &mut masks)?;
                weights.matmul(&value.narrow(1, keys.start, keys.len())?)
            };
            let blocks = self.blocks_of(sequence.len()).map(attend).collect::<Result<Vec<_>>>()?;
            outputs.push(self.join(&Tensor::cat(&blocks, 1)?, self.heads.group())?);
        }
        Tensor::cat(&outputs, 0)
    }

    pub(super) fn backward(
        &self,
        [query, key, value]: [&Tensor; 3],
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let (dtype, precise) = (query.dtype(), accumulation(query.dtype()));
        let mut masks = Masks::new();
        let mut gradients: [Vec<Tensor>; 3] = Default::default();
        for sequence in &self.sequences {
            let query = self.scaled(&self.split_queries(query, sequence)?)?;
            let (key, value) = (self.split_keys(key, sequence)?, self.split_keys(value, sequence)?);
            let (output, grad) = (self.split_queries(output, sequence)?, self.split_queries(grad, sequence)?);
            let mean = (output.to_dtype(precise)? * grad.to_dtype(precise)?)?.sum_keepdim(D::Minus1)?;
            let (less_mean, beside_value) = subtracted(&mean, &value)?;
            let widened = Tensor::cat(&[&grad, &less_mean], 2)?;
            let value = Tensor::cat(&[&value, &beside_value], 2)?;
            let zeros = Tensor::zeros(key.shape(), precise, key.device())?;
            let (of_key, of_value) = (zeros.copy()?, zeros);
            let mut of_query = Vec::new();
            for queries in self.blocks_of(sequence.len()) {
                let keys = self.seen_by(&queries);
                let own = self.rows(&query, &queries)?;
                let weights = self.weights(&own, &key, &queries, &mut masks)?;
                let transposed = weights.transpose(1, 2)?;
                add(&of_value, &keys, &transposed.matmul(&self.rows(&grad, &queries)?)?.to_dtype(precise)?)?;
                let value = value.narrow(1, keys.start, keys.len())?;
                let of_weights = self.rows(&widened, &queries)?.matmul(&value.transpose(1, 2)?)?;
                let of_scores = (weights * of_weights)?;
                let key = key.narrow(1, keys.start, keys.len())?;
                of_query.push(self.scaled(&of_scores.matmul(&key)?)?);
                add(&of_key, &keys, &of_scores.transpose(1, 2)?.matmul(&own)?.to_dtype(precise)?)?;
            }
            gradients[0].push(self.join(&Tensor::cat(&of_query, 1)?, self.heads.group())?);
            gradients[1].push(self.join(&of_key.to_dtype(dtype)?, 1)?);
            gradients[2].push(self.join(&of_value.to_dtype(dtype)?, 1)?);
        }
        let [of_query, of_key, of_value] = gradients.map(|parts| Tensor::cat(&parts, 0));
        Ok([of_query?, of_key?, of_value?])
    }

    /// Divides by √dim, rounding once.
    fn scaled(&self, tensor: &Tensor) -> Result<Tensor> {
        let scale = (self.heads.dim as f64).sqrt().recip();
        tensor.to_dtype(accumulation(tensor.dtype()))?.affine(scale, 0.0)?.to_dtype(tensor.dtype())
    }

    fn blocks_of(&self, tokens: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let block = self.block;
        (0..tokens).step_by(block).map(move |start| start..tokens.min(start + block))
    }

    /// Keys that some query of a block sees.
    fn seen_by(&self, queries: &Range<usize>) -> Range<usize> {
        seen_keys(queries.start, self.window).start..queries.end
    }

    /// The weights of a block of scaled queries, `[key_value, queries · group, keys]`.
    fn weights(&self, own: &Tensor, key: &Tensor, queries: &Range<usize>, masks: &mut Masks) -> Result<Tensor> {
        let keys = self.seen_by(queries);
        let scores = own.matmul(&key.narrow(1, keys.start, keys.len())?.transpose(1, 2)?)?;
        // Without a window only keys among the queries themselves are hidden from some of them.
        let masked = if self.window.is_none() { queries.clone() } else { keys.clone() };
        let place = (queries.len(), masked.len(), queries.start - masked.start);
        let mask = match masks.entry(place) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(self.mask(queries, &masked, &scores)?),
        };
        let scores = if masked == keys {
            (scores + &*mask)?
        } else {
            let before = masked.start - keys.start;
            scores.slice_set(&(scores.narrow(2, before, masked.len())? + &*mask)?, 2, before)?;
            scores
        };
        fused::softmax(&scores.to_dtype(accumulation(scores.dtype()))?)?.to_dtype(own.dtype())
    }

    /// Makes on the device what is added to scores, `[key_value, queries · group, keys]`, from the limits of each query.
    fn mask(&self, queries: &Range<usize>, keys: &Range<usize>, scores: &Tensor) -> Result<Tensor> {
        let device = scores.device();
        let column = |limit: &dyn Fn(i64) -> i64| {
            let limits: Vec<i64> = queries.clone().map(|query| limit(query as i64)).collect();
            Tensor::from_vec(limits, (1, queries.len(), 1, 1), device)
        };
        let row: Vec<i64> = keys.clone().map(|key| key as i64).collect();
        let row = Tensor::from_vec(row, (1, 1, 1, keys.len()), device)?;
        let mut hidden = row.broadcast_gt(&column(&|query| query)?)?;
        if let Some(window) = self.window {
            hidden = (hidden + row.broadcast_le(&column(&|query| query - window as i64)?)?)?;
        }
        let Heads { key_value, .. } = self.heads;
        let added = hidden.to_dtype(accumulation(scores.dtype()))?.affine(HIDDEN, 0.0)?.to_dtype(scores.dtype())?;
        let every = added.broadcast_as((key_value, queries.len(), self.heads.group(), keys.len()))?.contiguous()?;
        every.reshape((key_value, queries.len() * self.heads.group(), keys.len()))
    }

    /// One sequence of `[tokens, query · dim]` as `[key_value, tokens · group, dim]`.
    ///
    /// The query heads of a group become rows of one product beside their token, so that keys are not repeated and the
    /// rows of a block of tokens lie together.
    fn split_queries(&self, tensor: &Tensor, sequence: &Range<usize>) -> Result<Tensor> {
        self.split(tensor, sequence, self.heads.group())
    }

    /// One sequence of `[tokens, key_value · dim]` as `[key_value, tokens, dim]`.
    fn split_keys(&self, tensor: &Tensor, sequence: &Range<usize>) -> Result<Tensor> {
        self.split(tensor, sequence, 1)
    }

    fn split(&self, tensor: &Tensor, sequence: &Range<usize>, group: usize) -> Result<Tensor> {
        let (tokens, Heads { key_value, dim, .. }) = (sequence.len(), self.heads);
        let rows = tensor.narrow(0, sequence.start, tokens)?.reshape((tokens, key_value, group, dim))?;
        rows.permute((1, 0, 2, 3))?.contiguous()?.reshape((key_value, tokens * group, dim))
    }

    /// Undoes [`Self::split`].
    fn join(&self, tensor: &Tensor, group: usize) -> Result<Tensor> {
        let (tokens, Heads { key_value, dim, .. }) = (tensor.dim(1)? / group, self.heads);
        let heads = tensor.reshape((key_value, tokens, group, dim))?.permute((1, 0, 2, 3))?;
        heads.contiguous()?.reshape((tokens, key_value * group * dim))
    }

    /// The rows of a block of queries in `[key_value, tokens · group, _]`.
    fn rows(&self, tensor: &Tensor, queries: &Range<usize>) -> Result<Tensor> {
        let group = self.heads.group();
        tensor.narrow(1, queries.start * group, queries.len() * group)
    }
}

/// Returns columns to put beside dO and beside V, so that their product is dO Vᵀ − mean.
///
/// In half precision the mean is a sum of three numbers of it, which hold as many digits as one in single; zeros fill up
/// to eight columns, as tensor cores want them.
fn subtracted(mean: &Tensor, value: &Tensor) -> Result<(Tensor, Tensor)> {
    let dtype = value.dtype();
    let (parts, columns) = if accumulation(dtype) == dtype { (1, 1) } else { (3, 8) };
    let mut left = mean.neg()?;
    let mut beside = Vec::with_capacity(parts + 1);
    for _ in 0..parts {
        let part = left.to_dtype(dtype)?;
        left = (left - part.to_dtype(mean.dtype())?)?;
        beside.push(part);
    }
    let (key_value, rows, _) = mean.dims3()?;
    beside.push(Tensor::zeros((key_value, rows, columns - parts), dtype, mean.device())?);
    let ones: Vec<f32> = (0..columns).map(|column| if column < parts { 1.0 } else { 0.0 }).collect();
    let ones = Tensor::from_vec(ones, (1, 1, columns), mean.device())?.to_dtype(dtype)?;
    let beside_value = ones.broadcast_as((key_value, value.dim(1)?, columns))?.contiguous()?;
    let beside: Vec<Tensor> = beside.into_iter().filter(|part| part.elem_count() > 0).collect();
    Ok((Tensor::cat(&beside, 2)?, beside_value))
}

/// Adds to some rows of a sum `[key_value, tokens, dim]`, in place.
fn add(sum: &Tensor, rows: &Range<usize>, more: &Tensor) -> Result<()> {
    let added = (sum.narrow(1, rows.start, rows.len())? + more)?;
    sum.slice_set(&added, 1, rows.start)
}

#[cfg(test)]
#[path = "attention_blocks_tests.rs"]
mod tests;
