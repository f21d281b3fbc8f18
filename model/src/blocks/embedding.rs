//! Rows by index: token embeddings, and the few rows of a sequence that carry a separator.

use candle_core::{Result, Tensor};

/// Picks rows of `table` `[rows, width]`; the backward adds up the gradients of rows picked repeatedly.
///
/// # Errors
/// An index is out of range.
pub fn select_rows(table: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let indices = Tensor::from_slice(rows, rows.len(), table.device())?;
    table.index_select(&indices, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_native, normal};

    #[test]
    fn gradients_equal_finite_differences_with_repeated_rows() {
        check_against_differences(&[normal("table", &[5, 3])], |t| select_rows(&t[0], &[4, 1, 1, 0, 4, 4]));
    }

    #[test]
    fn both_precisions_agree() {
        let rows: Vec<u32> = (0..300).map(|i| i * 7 % 50).collect();
        check_native(&[normal("table", &[50, 30])], |t| select_rows(&t[0], &rows), |t| select_rows(&t[0], &rows));
    }
}
