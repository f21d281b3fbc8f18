//! One head of one sequence: what [`super::attention_cpu`] runs many of side by side.

use std::ops::Range;

use candle_core::Result;

use super::attention::seen_keys;
use super::cpu;
use super::product::{Matrix, add_product, matrix, set_product};

/// Queries per block: few, to skip most of what lies above the diagonal, but enough for the matrix product.
const QUERIES: usize = 64;

/// Keys per piece: the weights of a block and a piece stay in the second-level cache.
const KEYS: usize = 512;

/// One head of `[tokens, heads · dim]` numbers within one sequence.
#[derive(Clone, Copy)]
pub(super) struct HeadView<'a> {
    /// From the head's first number in the sequence's first row on.
    values: &'a [f32],
    /// Numbers from one row to the next.
    stride: usize,
    dim: usize,
}

impl<'a> HeadView<'a> {
    pub(super) fn new(values: &'a [f32], heads: usize, dim: usize, head: usize, first_row: usize) -> Self {
        let stride = heads * dim;
        Self { values: &values[first_row * stride + head * dim..], stride, dim }
    }

    fn rows(&self, rows: &Range<usize>) -> Result<Matrix<'a>> {
        matrix(&self.values[rows.start * self.stride..], rows.len(), self.dim, self.stride)
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.dim]
    }

    fn scale(&self) -> f32 {
        (self.dim as f32).sqrt().recip()
    }
}

/// Blocks of queries, each with the pieces of the keys that its rows see.
fn blocks(tokens: usize, window: Option<usize>) -> impl Iterator<Item = (Range<usize>, Vec<Range<usize>>)> {
    (0..tokens).step_by(QUERIES).map(move |start| {
        let rows = start..tokens.min(start + QUERIES);
        let first = seen_keys(start, window).start;
        let pieces = (first..rows.end).step_by(KEYS).map(|key| key..rows.end.min(key + KEYS)).collect();
        (rows, pieces)
    })
}

/// The columns of a piece that a row sees.
fn seen_of(piece: &Range<usize>, row: usize, window: Option<usize>) -> Range<usize> {
    let seen = seen_keys(row, window);
    let clamp = |key: usize| key.clamp(piece.start, piece.end) - piece.start;
    clamp(seen.start)..clamp(seen.end)
}

/// What a head's forward gives.
pub(super) struct Forward {
    /// `[tokens, dim]`.
    pub output: Vec<f32>,
    /// The logarithm of each row's sum of exponentials of scaled scores.
    pub log_sums: Vec<f32>,
}

/// Maximum and sum of exponentials of the scores that a row has met so far.
#[derive(Clone, Copy)]
struct RowSum {
    maximum: f32,
    sum: f32,
}

impl Forward {
    pub(super) fn run([query, key, value]: [HeadView; 3], tokens: usize, window: Option<usize>) -> Result<Self> {
        let dim = query.dim;
        let (mut output, mut log_sums) = (vec![0f32; tokens * dim], vec![0f32; tokens]);
        let mut scratch = vec![0f32; QUERIES * KEYS];
        for (rows, pieces) in blocks(tokens, window) {
            let output = &mut output[rows.start * dim..rows.end * dim];
            let mut sums = [RowSum { maximum: f32::NEG_INFINITY, sum: 0.0 }; QUERIES];
            for piece in pieces {
                let scores = &mut scratch[..rows.len() * piece.len()];
                set_product(query.scale(), query.rows(&rows)?, key.rows(&piece)?.reversed_axes(), scores)?;
                cpu::vectorised(|| {
                    let places = scores.chunks_exact_mut(piece.len()).zip(output.chunks_exact_mut(dim));
                    for ((scores, output), (row, sum)) in places.zip(rows.clone().zip(&mut sums)) {
                        exponentials(scores, seen_of(&piece, row, window), sum, output);
                    }
                });
                add_product(matrix(scores, rows.len(), piece.len(), piece.len())?, value.rows(&piece)?, output)?;
            }
            for (index, row) in rows.enumerate() {
                let RowSum { maximum, sum } = sums[index];
                let factor = sum.recip();
                output[index * dim..][..dim].iter_mut().for_each(|value| *value *= factor);
                log_sums[row] = maximum + sum.ln();
            }
        }
        Ok(Self { output, log_sums })
    }
}

/// Turns the scores of a row into exponentials above its maximum so far, 0 where it does not see. Where the maximum
/// grows, what was summed up below the old one shrinks.
#[inline(always)]
fn exponentials(scores: &mut [f32], seen: Range<usize>, row: &mut RowSum, output: &mut [f32]) {
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    let seen = &mut scores[seen];
    if seen.is_empty() {
        return;
    }
    let maximum = row.maximum.max(cpu::maximum(seen));
    let shrink = cpu::exp(row.maximum - maximum);
    row.maximum = maximum;
    output.iter_mut().for_each(|value| *value *= shrink);
    seen.iter_mut().for_each(|score| *score = cpu::exp(*score - maximum));
    row.sum = row.sum * shrink + cpu::sum(seen);
}

/// The gradients of one query head's share: of its queries, and of the keys and values that its group shares, each
/// `[tokens, dim]`.
pub(super) struct Backward {
    pub query: Vec<f32>,
    pub key: Vec<f32>,
    pub value: Vec<f32>,
}

impl Backward {
    /// With P the weights, O the output and dO its gradient: dV = Pᵀ dO, dP = dO Vᵀ, dS = P (dP − Σ dO O) / √dim,
    /// dQ = dS K, dK = dSᵀ Q.
    pub(super) fn run(
        [query, key, value, output, grad]: [HeadView; 5],
        log_sums: &[f32],
        tokens: usize,
        window: Option<usize>,
    ) -> Result<Self> {
        let (dim, scale) = (query.dim, query.scale());
        let zeros = || vec![0f32; tokens * dim];
        let mut gradients = Self { query: zeros(), key: zeros(), value: zeros() };
        let (mut weights, mut scores) = (vec![0f32; QUERIES * KEYS], vec![0f32; QUERIES * KEYS]);
        for (rows, pieces) in blocks(tokens, window) {
            let means: Vec<f32> = rows.clone().map(|row| cpu::dot(grad.row(row), output.row(row))).collect();
            for piece in pieces {
                let size = rows.len() * piece.len();
                let (weights, scores) = (&mut weights[..size], &mut scores[..size]);
                let (queries, grads) = (query.rows(&rows)?, grad.rows(&rows)?);
                set_product(scale, queries, key.rows(&piece)?.reversed_axes(), weights)?;
                set_product(1.0, grads, value.rows(&piece)?.reversed_axes(), scores)?;
                cpu::vectorised(|| {
                    let places = weights.chunks_exact_mut(piece.len()).zip(scores.chunks_exact_mut(piece.len()));
                    for ((weights, scores), (row, mean)) in places.zip(rows.clone().zip(&means)) {
                        let seen = seen_of(&piece, row, window);
                        weights_and_gradients([weights, scores], seen, log_sums[row], *mean, scale);
                    }
                });
                let as_matrix = |values| matrix(values, rows.len(), piece.len(), piece.len());
                let (weights, scores) = (as_matrix(weights)?, as_matrix(scores)?);
                let of = |rows: &Range<usize>| rows.start * dim..rows.end * dim;
                add_product(weights.reversed_axes(), grads, &mut gradients.value[of(&piece)])?;
                add_product(scores, key.rows(&piece)?, &mut gradients.query[of(&rows)])?;
                add_product(scores.reversed_axes(), queries, &mut gradients.key[of(&piece)])?;
            }
        }
        Ok(gradients)
    }
}

/// Turns a row's scaled scores into weights, and the weights' gradients into those of the scores before scaling.
#[inline(always)]
fn weights_and_gradients(places: [&mut [f32]; 2], seen: Range<usize>, log_sum: f32, mean: f32, scale: f32) {
    let [weights, scores] = places;
    for place in [&mut *weights, &mut *scores] {
        place[..seen.start].fill(0.0);
        place[seen.end..].fill(0.0);
    }
    for (weight, score) in weights[seen.clone()].iter_mut().zip(&mut scores[seen]) {
        *weight = cpu::exp(*weight - log_sum);
        *score = *weight * (*score - mean) * scale;
    }
}
