//! Causal attention as one operation for f32 on the CPU, forward and backward, in parallel over sequences and heads.
//!
//! Nothing but the output is kept for the backward: it computes a block's weights again from queries and keys.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::attention::{Heads, QUERY_BLOCK};
use super::cpu;
use super::product::{Matrix, add_product, matrix, product};

/// The operation with the shape it works on.
pub(super) struct CausalAttention {
    pub heads: Heads,
    pub sequences: Vec<Range<usize>>,
}

/// One head of `[tokens, heads · dim]` numbers within one sequence.
#[derive(Clone, Copy)]
struct HeadView<'a> {
    /// From the head's first number in the sequence's first row on.
    values: &'a [f32],
    /// Numbers from one row to the next.
    stride: usize,
    dim: usize,
}

impl<'a> HeadView<'a> {
    fn new(values: &'a [f32], heads: usize, dim: usize, head: usize, first_row: usize) -> Self {
        let stride = heads * dim;
        Self { values: &values[first_row * stride + head * dim..], stride, dim }
    }

    fn rows(&self, first: usize, count: usize) -> Result<Matrix<'a>> {
        matrix(&self.values[first * self.stride..], count, self.dim, self.stride)
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.dim]
    }
}

/// Queries `start..start + rows` of a head against the keys up to the last of them.
#[derive(Clone, Copy)]
struct Block {
    start: usize,
    rows: usize,
}

impl Block {
    fn keys(self) -> usize {
        self.start + self.rows
    }

    fn all(tokens: usize) -> impl Iterator<Item = Self> {
        let at = move |start| Self { start, rows: QUERY_BLOCK.min(tokens - start) };
        (0..tokens).step_by(QUERY_BLOCK).map(at)
    }

    /// This block's rows of a head.
    fn own<'a>(self, view: HeadView<'a>) -> Result<Matrix<'a>> {
        view.rows(self.start, self.rows)
    }

    /// A head's rows up to this block's last.
    fn seen<'a>(self, view: HeadView<'a>) -> Result<Matrix<'a>> {
        view.rows(0, self.keys())
    }

    /// Attention weights `[rows, keys]`: softmax of the scaled scores, 0 above the diagonal.
    fn weights(self, query: HeadView, key: HeadView) -> Result<Vec<f32>> {
        let mut scores = product(self.own(query)?, self.seen(key)?.reversed_axes())?;
        let scale = (query.dim as f32).sqrt().recip();
        for (row, scores) in scores.chunks_exact_mut(self.keys()).enumerate() {
            let (seen, hidden) = scores.split_at_mut(self.start + row + 1);
            softmax(seen, scale);
            hidden.fill(0.0);
        }
        Ok(scores)
    }
}

fn softmax(scores: &mut [f32], scale: f32) {
    const LANES: usize = 8;
    let mut maxima = [f32::NEG_INFINITY; LANES];
    for chunk in scores.chunks(LANES) {
        for (maximum, score) in maxima.iter_mut().zip(chunk) {
            *maximum = if score > maximum { *score } else { *maximum };
        }
    }
    let maximum = maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = cpu::exp((*score - maximum) * scale);
    }
    let mut sums = [0f32; LANES];
    for chunk in scores.chunks(LANES) {
        cpu::add_into(&mut sums, chunk);
    }
    let factor = sums.iter().sum::<f32>().recip();
    scores.iter_mut().for_each(|score| *score *= factor);
}

/// The gradients of one query head's share: of its queries, and of the keys and values that its group shares.
struct HeadGradients {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

impl CausalAttention {
    /// Every pair of sequence and query head, in a fixed order.
    fn tasks(&self) -> Vec<(Range<usize>, usize)> {
        let heads = 0..self.heads.query;
        let of = |sequence: &Range<usize>| heads.clone().map(|head| (sequence.clone(), head)).collect::<Vec<_>>();
        self.sequences.iter().flat_map(of).collect()
    }

    fn query_view<'a>(&self, values: &'a [f32], head: usize, row: usize) -> HeadView<'a> {
        HeadView::new(values, self.heads.query, self.heads.dim, head, row)
    }

    fn shared_view<'a>(&self, values: &'a [f32], head: usize, row: usize) -> HeadView<'a> {
        HeadView::new(values, self.heads.key_value, self.heads.dim, head / self.heads.group(), row)
    }

    fn forward_head(query: HeadView, key: HeadView, value: HeadView, tokens: usize) -> Result<Vec<f32>> {
        let mut output = vec![0f32; tokens * query.dim];
        for (block, output) in Block::all(tokens).zip(output.chunks_mut(QUERY_BLOCK * query.dim)) {
            let weights = block.weights(query, key)?;
            add_product(matrix(&weights, block.rows, block.keys(), block.keys())?, block.seen(value)?, output)?;
        }
        Ok(output)
    }

    /// With P the weights, O the output and dO its gradient: dV = Pᵀ dO, dP = dO Vᵀ, dS = P (dP − Σ dO O) / √dim,
    /// dQ = dS K, dK = dSᵀ Q.
    fn backward_head([query, key, value, output, grad]: [HeadView; 5], tokens: usize) -> Result<HeadGradients> {
        let dim = query.dim;
        let scale = (dim as f32).sqrt().recip();
        let zeros = || vec![0f32; tokens * dim];
        let mut gradients = HeadGradients { query: zeros(), key: zeros(), value: zeros() };
        for block in Block::all(tokens) {
            let (rows, keys) = (block.rows, block.keys());
            let weights = block.weights(query, key)?;
            let transposed = matrix(&weights, rows, keys, keys)?.reversed_axes();
            add_product(transposed, block.own(grad)?, &mut gradients.value[..keys * dim])?;
            let mut scores = product(block.own(grad)?, block.seen(value)?.reversed_axes())?;
            let by_row = scores.chunks_exact_mut(keys).zip(weights.chunks_exact(keys));
            for (row, (scores, weights)) in by_row.enumerate() {
                let mean = cpu::dot(grad.row(block.start + row), output.row(block.start + row));
                for (score, weight) in scores.iter_mut().zip(weights) {
                    *score = weight * (*score - mean) * scale;
                }
            }
            let scores = matrix(&scores, rows, keys, keys)?;
            add_product(scores, block.seen(key)?, &mut gradients.query[block.start * dim..keys * dim])?;
            add_product(scores.reversed_axes(), block.own(query)?, &mut gradients.key[..keys * dim])?;
        }
        Ok(gradients)
    }
}

/// Adds `[rows, dim]` numbers of one head into `[tokens, heads · dim]`.
fn add_head(total: &mut [f32], values: &[f32], heads: usize, dim: usize, head: usize, first_row: usize) {
    let width = heads * dim;
    let rows = total[first_row * width..].chunks_exact_mut(width);
    for (row, values) in rows.zip(values.chunks_exact(dim)) {
        cpu::add_into(&mut row[head * dim..][..dim], values);
    }
}

impl CustomOp3 for CausalAttention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (query, key) = (cpu::slice(query, query_layout)?, cpu::slice(key, key_layout)?);
        let value = cpu::slice(value, value_layout)?;
        let tasks = self.tasks();
        let run = |(sequence, head): &(Range<usize>, usize)| {
            let query = self.query_view(query, *head, sequence.start);
            let key = self.shared_view(key, *head, sequence.start);
            let value = self.shared_view(value, *head, sequence.start);
            Self::forward_head(query, key, value, sequence.len())
        };
        let outputs: Vec<Vec<f32>> = tasks.par_iter().map(run).collect::<Result<_>>()?;
        let mut output = vec![0f32; query_layout.shape().elem_count()];
        for ((sequence, head), values) in tasks.iter().zip(&outputs) {
            add_head(&mut output, values, self.heads.query, self.heads.dim, *head, sequence.start);
        }
        Ok((CpuStorage::F32(output), query_layout.shape().clone()))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let tasks = self.tasks();
        let parts: Vec<HeadGradients> = cpu::with_slices([query, key, value, output, grad], |slices| {
            let [query, key, value, output, grad] = slices;
            let run = |(sequence, head): &(Range<usize>, usize)| {
                let of_query = |values| self.query_view(values, *head, sequence.start);
                let shared = |values| self.shared_view(values, *head, sequence.start);
                let views = [of_query(query), shared(key), shared(value), of_query(output), of_query(grad)];
                Self::backward_head(views, sequence.len())
            };
            tasks.par_iter().map(run).collect()
        })?;
        let Heads { query: heads, key_value, dim } = self.heads;
        let mut grad_query = vec![0f32; query.elem_count()];
        let mut grad_key = vec![0f32; key.elem_count()];
        let mut grad_value = vec![0f32; value.elem_count()];
        for ((sequence, head), part) in tasks.iter().zip(&parts) {
            let shared = head / self.heads.group();
            add_head(&mut grad_query, &part.query, heads, dim, *head, sequence.start);
            add_head(&mut grad_key, &part.key, key_value, dim, shared, sequence.start);
            add_head(&mut grad_value, &part.value, key_value, dim, shared, sequence.start);
        }
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok((Some(tensor(grad_query, query)?), Some(tensor(grad_key, key)?), Some(tensor(grad_value, value)?)))
    }
}
