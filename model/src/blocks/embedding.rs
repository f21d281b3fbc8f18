//! Rows by index: token embeddings, and the few rows of a sequence that carry a separator.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

use super::composed::accumulation;
use super::cpu;
use super::with_backward::with_backward;

/// Picks rows of `table` `[rows, width]`; the backward adds up the gradients of rows picked repeatedly.
///
/// # Errors
/// An index is out of range.
pub fn select_rows(table: &Tensor, rows: &[u32]) -> Result<Tensor> {
    if accumulation(table.dtype()) == table.dtype() {
        let indices = Tensor::from_slice(rows, rows.len(), table.device())?;
        return table.index_select(&indices, 0);
    }
    select_rows_composed(table, rows)
}

/// Adds up gradients of repeated rows in the dtype of sums before they are rounded to the table's.
fn select_rows_composed(table: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let indices = Tensor::from_slice(rows, rows.len(), table.device())?;
    let output = table.detach().index_select(&indices, 0)?;
    if !table.track_op() {
        return Ok(output);
    }
    let rows = rows.to_vec();
    with_backward("select-rows", [table], output, move |[table], _, grad| {
        Ok([Some(select_rows_backward(table.dim(0)?, &rows, grad)?)])
    })
}

/// Computes the gradient of a table of so many rows: each row's gradients added up.
pub(crate) fn select_rows_backward(table_rows: usize, rows: &[u32], grad: &Tensor) -> Result<Tensor> {
    let (dtype, width, device) = (grad.dtype(), grad.dim(1)?, grad.device());
    if cpu::is_native(grad) {
        let mut gradient = vec![0f32; table_rows * width];
        cpu::with_slices([grad], |[grad]| {
            for (row, grad) in rows.iter().zip(grad.chunks_exact(width)) {
                cpu::add_into(&mut gradient[*row as usize * width..][..width], grad);
            }
            Ok(())
        })?;
        return Tensor::from_vec(gradient, (table_rows, width), device);
    }
    let mut places: BTreeMap<u32, u32> = rows.iter().map(|row| (*row, 0)).collect();
    places.values_mut().zip(0..).for_each(|(place, index)| *place = index);
    let distinct: Vec<u32> = places.keys().copied().collect();
    let place_of_row: Vec<u32> = rows.iter().map(|row| places[row]).collect();
    let sums = Tensor::zeros((distinct.len(), width), accumulation(dtype), device)?;
    let place_of_row = Tensor::from_slice(&place_of_row, place_of_row.len(), device)?;
    let sums = sums.index_add(&place_of_row, &grad.to_dtype(accumulation(dtype))?.contiguous()?, 0)?;
    let distinct = Tensor::from_slice(&distinct, distinct.len(), device)?;
    Tensor::zeros((table_rows, width), dtype, device)?.index_add(&distinct, &sums.to_dtype(dtype)?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, check_native, normal};

    #[test]
    fn gradients_equal_finite_differences_with_repeated_rows() {
        check_against_differences(&[normal("table", &[5, 3])], |t| select_rows(&t[0], &[4, 1, 1, 0, 4, 4]));
    }

    #[test]
    fn the_form_for_half_precision_equals_the_other() {
        let rows: Vec<u32> = (0..40).map(|i| i * 7 % 13).collect();
        let table = [normal("table", &[15, 4])];
        check_against_differences(&table, |t| select_rows_composed(&t[0], &rows));
        check_native(&table, |t| select_rows_composed(&t[0], &rows), |t| select_rows(&t[0], &rows));
    }

    #[test]
    fn a_row_picked_a_thousand_times_keeps_its_gradient_in_half_precision() {
        let rows: Vec<u32> = (0..2000).map(|i| i % 2 * 3).collect();
        check_half(&[normal("table", &[5, 4])], |t| select_rows(&t[0], &rows));
    }

    #[test]
    fn both_precisions_agree() {
        let rows: Vec<u32> = (0..300).map(|i| i * 7 % 50).collect();
        check_native(&[normal("table", &[50, 30])], |t| select_rows(&t[0], &rows), |t| select_rows(&t[0], &rows));
    }
}
