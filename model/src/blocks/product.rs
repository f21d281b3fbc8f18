//! Matrix products of native blocks: strided views in, accumulation into a plain slice.
//!
//! Tensor products would allocate each result, and on the CPU look up the number of processors for every single one.

use candle_core::{Error, Result};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, ShapeBuilder, s};
use rayon::prelude::*;

/// Rows of a result that one thread computes; fixed, so that results do not depend on the number of threads.
const ROWS_PER_TASK: usize = 128;

/// Below this many multiplications a second thread costs more than it gains.
const PARALLEL_MULTIPLICATIONS: usize = 1 << 21;

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
    let multiplications = rows * inner * columns;
    if multiplications < PARALLEL_MULTIPLICATIONS || rows <= ROWS_PER_TASK {
        let mut output = ArrayViewMut2::from_shape((rows, columns), output).map_err(Error::wrap)?;
        general_mat_mul(scale, &left, &right, keep, &mut output);
        return Ok(());
    }
    output.par_chunks_mut(ROWS_PER_TASK * columns).enumerate().try_for_each(|(task, part)| {
        let first = task * ROWS_PER_TASK;
        let count = part.len() / columns;
        let mut part = ArrayViewMut2::from_shape((count, columns), part).map_err(Error::wrap)?;
        general_mat_mul(scale, &left.slice(s![first..first + count, ..]), &right, keep, &mut part);
        Ok(())
    })
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
    fn a_slice_that_is_too_short_is_an_error() {
        assert!(matrix(&[0.0; 5], 2, 3, 3).is_err());
    }
}
