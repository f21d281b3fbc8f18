//! What the native blocks share: plain slices of tensors, vectorisable sums and exponentials, rows in parallel.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// Below this many elements a second thread costs more than it gains.
const PARALLEL_ELEMENTS: usize = 1 << 14;

/// Independent sums: as many as the widest vector register holds.
const LANES: usize = 16;

/// Tells whether the native form applies to a tensor.
pub fn is_native(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// Returns the contiguous numbers of a storage.
pub fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        (CpuStorage::F32(_), None) => bail!("native block needs a contiguous tensor"),
        _ => bail!("native block needs f32"),
    }
}

/// Returns the contiguous numbers of a storage to be changed.
pub fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("native block needs a contiguous tensor in f32"),
    }
}

/// Returns the host storage of a tensor's storage.
pub fn host(storage: &Storage) -> Result<&CpuStorage> {
    match storage {
        Storage::Cpu(storage) => Ok(storage),
        _ => bail!("native block needs a tensor on the cpu"),
    }
}

/// Calls a function with the numbers of several tensors.
pub fn with_slices<const N: usize, T>(tensors: [&Tensor; N], call: impl FnOnce([&[f32]; N]) -> Result<T>) -> Result<T> {
    let contiguous = tensors.map(|tensor| tensor.contiguous());
    let mut owned = Vec::with_capacity(N);
    for tensor in contiguous {
        owned.push(tensor?);
    }
    let guards: Vec<_> = owned.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (place, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *place = slice(host(storage)?, layout)?;
    }
    call(slices)
}

/// Runs work with the widest vector instructions that the processor has; `with_simd` must be inlined with all it calls.
///
/// Multiplications and additions stay separate operations in the same order, so that the width changes no bit.
pub fn vectorised<W: pulp::WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

/// Fills `output` row by row, in parallel where that pays; the function gets the row's index and its place.
pub fn for_rows(output: &mut [f32], width: usize, row: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = rows_per_task(width);
    let task = |(task, places): (usize, &mut [f32])| {
        for (index, place) in places.chunks_exact_mut(width).enumerate() {
            row(task * rows + index, place);
        }
    };
    if output.len() < PARALLEL_ELEMENTS {
        output.chunks_mut(rows * width).enumerate().for_each(task);
    } else {
        output.par_chunks_mut(rows * width).enumerate().for_each(task);
    }
}

/// As [`for_rows`] for two outputs of the same shape.
pub fn for_row_pairs(outputs: [&mut [f32]; 2], width: usize, row: impl Fn(usize, [&mut [f32]; 2]) + Sync) {
    let rows = rows_per_task(width);
    let [first, second] = outputs;
    let task = |(task, (firsts, seconds)): (usize, (&mut [f32], &mut [f32]))| {
        let places = firsts.chunks_exact_mut(width).zip(seconds.chunks_exact_mut(width));
        for (index, (first, second)) in places.enumerate() {
            row(task * rows + index, [first, second]);
        }
    };
    if first.len() < PARALLEL_ELEMENTS {
        first.chunks_mut(rows * width).zip(second.chunks_mut(rows * width)).enumerate().for_each(task);
    } else {
        first.par_chunks_mut(rows * width).zip(second.par_chunks_mut(rows * width)).enumerate().for_each(task);
    }
}

fn rows_per_task(width: usize) -> usize {
    (PARALLEL_ELEMENTS / 4).div_ceil(width)
}

/// Sums rows of width `width` that a function adds to its accumulator.
///
/// Rows are summed in blocks of fixed size and the blocks in order, so that the result does not depend on the threads.
pub fn sum_rows(rows: usize, width: usize, add: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    const BLOCK: usize = 256;
    let block = |index: usize| {
        let mut partial = vec![0f32; width];
        let start = index * BLOCK;
        (start..rows.min(start + BLOCK)).for_each(|row| add(row, &mut partial));
        partial
    };
    let blocks = rows.div_ceil(BLOCK);
    let partials: Vec<Vec<f32>> = if rows * width < PARALLEL_ELEMENTS {
        (0..blocks).map(block).collect()
    } else {
        (0..blocks).into_par_iter().map(block).collect()
    };
    let mut total = vec![0f32; width];
    for partial in partials {
        add_into(&mut total, &partial);
    }
    total
}

/// Adds one slice to another.
#[inline(always)]
pub fn add_into(total: &mut [f32], values: &[f32]) {
    for (sum, value) in total.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Sums squares in f64, in blocks of fixed size, so that the result does not depend on the threads.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let block = |block: &[f32]| block.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
    let partials: Vec<f64> = values.par_chunks(PARALLEL_ELEMENTS).map(block).collect();
    partials.iter().sum()
}

/// Computes a dot product in sixteen independent sums, which the compiler turns into vector instructions.
#[inline(always)]
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (left_chunks, right_chunks) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let (left_rest, right_rest) = (left_chunks.remainder(), right_chunks.remainder());
    for (a, b) in left_chunks.zip(right_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Finds the largest of at least one number.
#[inline(always)]
pub fn maximum(values: &[f32]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (maximum, value) in maxima.iter_mut().zip(chunk) {
            *maximum = if value > maximum { *value } else { *maximum };
        }
    }
    maxima.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Sums in independent sums, as [`dot`] does.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().sum();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Computes eˣ to about one unit in the last place without a branch, so that loops over it become vector instructions.
///
/// The argument is clamped to [−87, 88]; NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ rounds to an integer that then sits in the lowest bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = (x - power * LN2_HIGH) - power * LN2_LOW;
    let mut value = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        value = value * rest + coefficient;
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    value * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_agrees_with_the_library_to_a_few_units_in_the_last_place() {
        for step in -8700..8800 {
            let x = step as f32 * 0.01 + 0.000_37;
            let expected = f64::from(x.min(88.0)).exp();
            let relative = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(relative < 4e-7, "exp({x}): {relative}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn a_sum_over_rows_has_every_row_once() {
        let total = sum_rows(1000, 32, |row, sum| sum.iter_mut().for_each(|s| *s += row as f32));
        assert!(total.iter().all(|value| *value == 499_500.0));
    }
}
