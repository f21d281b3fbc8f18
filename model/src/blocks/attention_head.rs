//! One head of one sequence: what [`super::attention_cpu`] runs many of side by side.

use std::ops::Range;

use candle_core::Result;
use pulp::{Simd, WithSimd};

use super::attention::seen_keys;
use super::cpu;
use super::product::{Matrix, add_product, matrix, set_product, transposed};

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

    /// The first rows, turned: `[dim, rows]`.
    fn turned(&self, rows: usize) -> Turned {
        Turned { values: transposed(self.values, rows, self.dim, self.stride), rows }
    }

    fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.dim]
    }

    fn scale(&self) -> f32 {
        (self.dim as f32).sqrt().recip()
    }
}

/// A head's numbers as a product with queries reads them.
struct Turned {
    values: Vec<f32>,
    rows: usize,
}

impl Turned {
    /// Some of the rows it was made of, as columns `[dim, rows]`.
    fn columns(&self, rows: &Range<usize>) -> Result<Matrix<'_>> {
        let dim = self.values.len() / self.rows;
        matrix(&self.values[rows.start..], dim, rows.len(), self.rows)
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

/// Rows from `first_row` on against a piece of the keys.
struct Seen<'a> {
    first_row: usize,
    piece: &'a Range<usize>,
    window: Option<usize>,
}

impl Seen<'_> {
    /// The columns of the piece that the row of this index sees.
    #[inline(always)]
    fn columns(&self, index: usize) -> Range<usize> {
        let seen = seen_keys(self.first_row + index, self.window);
        let clamp = |key: usize| key.clamp(self.piece.start, self.piece.end) - self.piece.start;
        clamp(seen.start)..clamp(seen.end)
    }
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
        let turned_key = key.turned(tokens);
        for (rows, pieces) in blocks(tokens, window) {
            let output = &mut output[rows.start * dim..rows.end * dim];
            let mut sums = [RowSum { maximum: f32::NEG_INFINITY, sum: 0.0 }; QUERIES];
            for piece in pieces {
                let scores = &mut scratch[..rows.len() * piece.len()];
                set_product(query.scale(), query.rows(&rows)?, turned_key.columns(&piece)?, scores)?;
                let seen = Seen { first_row: rows.start, piece: &piece, window };
                cpu::vectorised(Exponentials {
                    seen,
                    scores: &mut *scores,
                    sums: &mut sums,
                    output: &mut *output,
                    dim,
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

/// Turns each row's scores into exponentials above the row's maximum so far, 0 where it does not see. Where the maximum
/// grows, what was summed up below the old one shrinks.
struct Exponentials<'a> {
    seen: Seen<'a>,
    scores: &'a mut [f32],
    sums: &'a mut [RowSum],
    output: &'a mut [f32],
    dim: usize,
}

impl WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.seen.piece.len();
        let places = self.scores.chunks_exact_mut(width).zip(self.output.chunks_exact_mut(self.dim));
        for (index, ((scores, output), row)) in places.zip(self.sums).enumerate() {
            let seen = self.seen.columns(index);
            scores[..seen.start].fill(0.0);
            scores[seen.end..].fill(0.0);
            let seen = &mut scores[seen];
            if seen.is_empty() {
                continue;
            }
            let maximum = row.maximum.max(cpu::maximum(seen));
            let shrink = cpu::exp(row.maximum - maximum);
            row.maximum = maximum;
            for value in output.iter_mut() {
                *value *= shrink;
            }
            for score in seen.iter_mut() {
                *score = cpu::exp(*score - maximum);
            }
            row.sum = row.sum * shrink + cpu::sum(seen);
        }
    }
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
        let (turned_key, turned_value) = (key.turned(tokens), value.turned(tokens));
        let (mut weights, mut scores) = (vec![0f32; QUERIES * KEYS], vec![0f32; QUERIES * KEYS]);
        for (rows, pieces) in blocks(tokens, window) {
            let means: Vec<f32> = rows.clone().map(|row| cpu::dot(grad.row(row), output.row(row))).collect();
            for piece in pieces {
                let size = rows.len() * piece.len();
                let (weights, scores) = (&mut weights[..size], &mut scores[..size]);
                let (queries, grads) = (query.rows(&rows)?, grad.rows(&rows)?);
                set_product(scale, queries, turned_key.columns(&piece)?, weights)?;
                set_product(1.0, grads, turned_value.columns(&piece)?, scores)?;
                let seen = Seen { first_row: rows.start, piece: &piece, window };
                let (places, log_sums) = ([&mut *weights, &mut *scores], &log_sums[rows.clone()]);
                cpu::vectorised(ScoreGradients { seen, places, log_sums, means: &means, scale });
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

/// Turns scaled scores into weights, and the weights' gradients into those of the scores before scaling.
struct ScoreGradients<'a> {
    seen: Seen<'a>,
    /// Scores and the gradients of weights; weights and the gradients of scores afterwards.
    places: [&'a mut [f32]; 2],
    log_sums: &'a [f32],
    means: &'a [f32],
    scale: f32,
}

impl WithSimd for ScoreGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.seen.piece.len();
        let [weights, gradients] = self.places;
        let places = weights.chunks_exact_mut(width).zip(gradients.chunks_exact_mut(width));
        let of_rows = self.log_sums.iter().zip(self.means);
        for (index, ((weights, gradients), (log_sum, mean))) in places.zip(of_rows).enumerate() {
            let seen = self.seen.columns(index);
            for place in [&mut *weights, &mut *gradients] {
                place[..seen.start].fill(0.0);
                place[seen.end..].fill(0.0);
            }
            row_gradients(&mut weights[seen.clone()], &mut gradients[seen], *log_sum, *mean, self.scale);
        }
    }
}

/// A function of its own, so that the compiler knows that the slices do not overlap.
#[inline(always)]
fn row_gradients(weights: &mut [f32], gradients: &mut [f32], log_sum: f32, mean: f32, scale: f32) {
    for (weight, gradient) in weights.iter_mut().zip(gradients) {
        let exponential = cpu::exp(*weight - log_sum);
        *weight = exponential;
        *gradient = exponential * (*gradient - mean) * scale;
    }
}
