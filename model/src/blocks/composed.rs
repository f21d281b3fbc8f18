//! What the composed forms share: sums in single precision, and large tensors taken some rows at a time.

use candle_core::{DType, Result, Tensor};

/// Numbers of a tensor that are held in single precision at a time (256 MB).
const NUMBERS_AT_A_TIME: usize = 64 << 20;

/// Returns the dtype that sums, norms and exponentials are computed in: single for half precision, else the same.
pub(crate) fn accumulation(dtype: DType) -> DType {
    match dtype {
        DType::BF16 | DType::F16 => DType::F32,
        other => other,
    }
}

/// Sums the rows of a matrix; a product, whose sums cuBLAS keeps in single precision whatever the dtype.
pub(super) fn sum_of_rows(matrix: &Tensor) -> Result<Tensor> {
    let (rows, width) = matrix.dims2()?;
    Tensor::ones((1, rows), matrix.dtype(), matrix.device())?.matmul(matrix)?.reshape(width)
}

/// Calls `map` with some rows of all inputs at a time and puts its results, of as many rows, one after the other.
pub(super) fn by_rows<const M: usize>(
    inputs: &[&Tensor],
    map: impl Fn(&[Tensor]) -> Result<[Tensor; M]>,
) -> Result<[Tensor; M]> {
    by_rows_within(NUMBERS_AT_A_TIME, inputs, map)
}

fn by_rows_within<const M: usize>(
    numbers: usize,
    inputs: &[&Tensor],
    map: impl Fn(&[Tensor]) -> Result<[Tensor; M]>,
) -> Result<[Tensor; M]> {
    let rows = inputs[0].dim(0)?;
    let width = (inputs[0].elem_count() / rows.max(1)).max(1);
    let at_a_time = (numbers / width).max(1);
    let part = |start: usize, count: usize| {
        let parts = inputs.iter().map(|input| input.narrow(0, start, count));
        map(&parts.collect::<Result<Vec<_>>>()?)
    };
    if rows <= at_a_time {
        return part(0, rows);
    }
    let first = part(0, at_a_time)?;
    let mut wholes = Vec::with_capacity(M);
    for result in &first {
        let mut shape = result.dims().to_vec();
        shape[0] = rows;
        wholes.push(Tensor::zeros(shape, result.dtype(), result.device())?);
    }
    let place = |results: &[Tensor; M], start: usize| -> Result<()> {
        for (whole, result) in wholes.iter().zip(results) {
            whole.slice_set(&result.contiguous()?, 0, start)?;
        }
        Ok(())
    };
    place(&first, 0)?;
    drop(first);
    for start in (at_a_time..rows).step_by(at_a_time) {
        place(&part(start, at_a_time.min(rows - start))?, start)?;
    }
    wholes.try_into().map_err(|_| candle_core::Error::Msg("by_rows: results without a place".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocks::test_support::normal;

    #[test]
    fn rows_at_a_time_give_what_all_at_once_give() {
        let (left, right) = (normal("l", &[11, 3]), normal("r", &[11, 2]));
        let map = |rows: &[Tensor]| Ok([rows[0].sqr()?, rows[1].sum_keepdim(1)?]);
        let whole = by_rows_within(1000, &[&left, &right], map).unwrap();
        for numbers in [1, 7, 12, 32] {
            let parts = by_rows_within(numbers, &[&left, &right], map).unwrap();
            for (whole, part) in whole.iter().zip(&parts) {
                assert_eq!(whole.to_vec2::<f64>().unwrap(), part.to_vec2::<f64>().unwrap());
            }
        }
    }
}
