//! Matrix products of native blocks: strided views in, accumulation into a plain slice.
//!
//! Tensor products would allocate each result, and on the CPU look up the number of processors for every single one.

use candle_core::{Error, Result};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, s};
use rayon::prelude::*;

/// Below this many multiplications a second thread costs more than it gains.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 21;

/// Rows of a result that one thread computes at a time: enough of them, since each task lays the right side out for its
/// kernel. The shape alone decides, so that results do not depend on the number of threads.
fn rows_per_task(rows: usize) -> usize {
    (rows / 8).next_multiple_of(64).clamp(128, 512)
}

/// A matrix within a slice.
pub type Matrix<'a> = ArrayView2<'a, f32>;

/// Views the start of a slice as `[rows, columns]` with the given distance between rows.
pub fn matrix(values: &[f32], rows: usize, columns: usize, stride: usize) -> Result<Matrix<'_>> {
    ArrayView2::from_shape((rows, columns).strides((stride, 1)), values).map_err(Error::wrap)
}

/// Adds left · right to `output`, which holds `[left rows, right columns]` without gaps.
pub fn add_product(left: Matrix, right: Matrix, output: &mut [f32]) -> Result<()> {
    write_product(1.0, left, right, 1.0, output)
}

/// Writes scale · left · right to `output`, whatever it held.
pub fn set_product(scale: f32, left: Matrix, right: Matrix, output: &mut [f32]) -> Result<()> {
    write_product(scale, left, right, 0.0, output)
}

/// output ← scale · left · right + keep · output.
fn write_product(scale: f32, left: Matrix, right: Matrix, keep: f32, output: &mut [f32]) -> Result<()> {
    let (rows, inner, columns) = (left.nrows(), left.ncols(), right.ncols());
    let (multiplications, rows_per_task) = (rows * inner * columns, rows_per_task(rows));
    if multiplications < PARALLEL_MULTIPLICATIONS || rows <= rows_per_task {
        let mut output = ArrayViewMut2::from_shape((rows, columns), output).map_err(Error::wrap)?;
        general_mat_mul(scale, &left, &right, keep, &mut output);
        return Ok(());
    }
    output.par_chunks_mut(rows_per_task * columns).enumerate().try_for_each(|(task, part)| {
        let first = task * rows_per_task;
        let count = part.len() / columns;
        let mut part = ArrayViewMut2::from_shape((count, columns), part).map_err(Error::wrap)?;
        general_mat_mul(scale, &left.slice(s![first..first + count, ..]), &right, keep, &mut part);
        Ok(())
    })
}

/// Copies `[rows, columns]` numbers, `stride` apart from row to row, as `[columns, rows]`.
///
/// A product reads its right side row by row: where it is used by several tasks, one copy is cheaper than a detour in each.
pub fn transposed(values: &[f32], rows: usize, columns: usize, stride: usize) -> Vec<f32> {
    const TILE: usize = 16;
    let mut output = vec![0f32; rows * columns];
    for first_row in (0..rows).step_by(TILE) {
        let count = TILE.min(rows - first_row);
        for (column, places) in output.chunks_exact_mut(rows).enumerate() {
            let places = &mut places[first_row..first_row + count];
            for (row, place) in places.iter_mut().enumerate() {
                *place = values[(first_row + row) * stride + column];
            }
        }
    }
    output
}

/// Computes left · right.
pub fn product(left: Matrix, right: Matrix) -> Result<Vec<f32>> {
    let mut output = vec![0f32; left.nrows() * right.ncols()];
    set_product(1.0, left, right, &mut output)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn a_product_split_among_threads_equals_the_definition() {
        let (rows, inner, columns) = (300, 90, 100);
        let left = SeededRng::new(1, "left").normals(rows * 100, 1.0);
        let right = SeededRng::new(1, "right").normals(columns * inner, 1.0);
        let found = product(
            matrix(&left, rows, inner, 100).unwrap(),
            matrix(&right, columns, inner, inner).unwrap().reversed_axes(),
        );
        let found = found.unwrap();
        for row in 0..rows {
            for column in 0..columns {
                let expected: f32 = (0..inner).map(|i| left[row * 100 + i] * right[column * inner + i]).sum();
                assert!((found[row * columns + column] - expected).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn transposing_swaps_rows_and_columns_and_leaves_gaps_out() {
        let values: Vec<f32> = (0..200).map(|i| i as f32).collect();
        let transposed = transposed(&values, 37, 3, 5);
        for row in 0..37 {
            for column in 0..3 {
                assert_eq!(transposed[column * 37 + row], values[row * 5 + column]);
            }
        }
    }

    #[test]
    fn a_slice_that_is_too_short_is_an_error() {
        assert!(matrix(&[0.0; 5], 2, 3, 3).is_err());
    }
}
