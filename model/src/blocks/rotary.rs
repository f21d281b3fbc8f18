//! Rotary position embedding: pairs (i, i + d/2) of each head turn by an angle that grows with the position.

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor};

use super::composed::by_rows;
use super::with_backward::with_backward;
use super::{cpu, fused};

/// Holds cosine and sine of every position of a batch, each `[tokens, head_dim / 2]`.
#[derive(Debug, Clone)]
pub struct RotaryTable {
    cosine: Tensor,
    sine: Tensor,
    head_dim: usize,
}

impl RotaryTable {
    /// Computes the angles position · theta^(−2i / head_dim).
    ///
    /// Angles are rounded to f32 as PyTorch computes them, so that long positions agree with pretrained weights.
    ///
    /// # Errors
    /// The device refuses memory.
    pub fn new(positions: &[u32], head_dim: usize, theta: f64, dtype: DType, device: &Device) -> Result<Self> {
        let half = head_dim / 2;
        let frequency = |i: usize| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32);
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        if !device.is_cpu() {
            let positions: Vec<f32> = positions.iter().map(|position| *position as f32).collect();
            let positions = Tensor::from_slice(&positions, (positions.len(), 1), device)?;
            let angles = positions.broadcast_mul(&Tensor::from_vec(frequencies, (1, half), device)?)?;
            let (cosine, sine) = (angles.cos()?.to_dtype(dtype)?, angles.sin()?.to_dtype(dtype)?);
            return Ok(Self { cosine, sine, head_dim });
        }
        let angles = positions.iter().flat_map(|position| {
            let position = *position as f32;
            frequencies.iter().map(move |frequency| f64::from(position * frequency))
        });
        let angles: Vec<f64> = angles.collect();
        let tensor = |function: fn(f64) -> f64| {
            let values: Vec<f64> = angles.iter().map(|angle| function(*angle)).collect();
            Tensor::from_vec(values, (positions.len(), half), &Device::Cpu)?.to_dtype(dtype)
        };
        Ok(Self { cosine: tensor(f64::cos)?, sine: tensor(f64::sin)?, head_dim })
    }
}

/// Turns every head of `input` `[tokens, heads · head_dim]` by the table's angles.
///
/// # Errors
/// The table has another number of tokens, or the width is no multiple of the head's.
pub fn rotate(input: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    let (tokens, width) = input.dims2()?;
    if table.cosine.dim(0)? != tokens || !width.is_multiple_of(table.head_dim) {
        candle_core::bail!(
            "rotary: input [{tokens}, {width}] does not fit {} positions and heads of {}",
            table.cosine.dim(0)?,
            table.head_dim
        );
    }
    if !cpu::is_native(input) {
        return rotate_composed(input, table);
    }
    let inverse = false;
    input.apply_op3(&table.cosine, &table.sine, Rotate { inverse })
}

/// Turns back, which is the transposed map: the gradient of the input of [`rotate`] from that of its output.
pub(crate) fn rotate_back(grad: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    if !cpu::is_native(grad) {
        return turned(grad, &table.cosine, &table.sine.neg()?);
    }
    grad.contiguous()?.apply_op3_no_bwd(&table.cosine, &table.sine, &Rotate { inverse: true })
}

/// Computes in the table's dtype, so that half precision is rounded once.
fn rotate_composed(input: &Tensor, table: &RotaryTable) -> Result<Tensor> {
    let (cosine, sine) = (table.cosine.clone(), table.sine.clone());
    let output = turned(&input.detach(), &cosine, &sine)?;
    with_backward("rotary", [input], output, move |_, _, grad| Ok([Some(turned(grad, &cosine, &sine.neg()?)?)]))
}

fn turned(input: &Tensor, cosine: &Tensor, sine: &Tensor) -> Result<Tensor> {
    let half = cosine.dim(1)?;
    let [output] = by_rows(&[input, cosine, sine], |rows| {
        let (tokens, width) = rows[0].dims2()?;
        let precise = rows[0].to_dtype(cosine.dtype())?;
        let by_head = precise.reshape((tokens, width / (2 * half), 2 * half))?;
        if let Some(turned) = fused::rotate(&by_head, &rows[1], &rows[2]) {
            return Ok([turned?.reshape((tokens, width))?.to_dtype(input.dtype())?]);
        }
        let heads = precise.reshape((tokens, width / (2 * half), 2, half))?;
        let (first, second) = (heads.narrow(2, 0, 1)?, heads.narrow(2, 1, 1)?);
        let cosine = rows[1].reshape((tokens, 1, 1, half))?;
        let sine = rows[2].reshape((tokens, 1, 1, half))?;
        let turned_first = (first.broadcast_mul(&cosine)? - second.broadcast_mul(&sine)?)?;
        let turned_second = (second.broadcast_mul(&cosine)? + first.broadcast_mul(&sine)?)?;
        let turned = Tensor::cat(&[turned_first, turned_second], 2)?.reshape((tokens, width))?;
        Ok([turned.to_dtype(input.dtype())?])
    })?;
    Ok(output)
}

struct Rotate {
    /// Turns back, which is the transposed map and so the backward.
    inverse: bool,
}

impl CustomOp3 for Rotate {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        c: &CpuStorage,
        cl: &Layout,
        s: &CpuStorage,
        sl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, cosine, sine) = (cpu::slice(x, xl)?, cpu::slice(c, cl)?, cpu::slice(s, sl)?);
        let width = xl.shape().dims2()?.1;
        let half = cl.shape().dims2()?.1;
        let sign = if self.inverse { -1.0 } else { 1.0 };
        let mut output = vec![0f32; input.len()];
        cpu::for_rows(&mut output, width, |index, place| {
            let row = &input[index * width..][..width];
            let (cosine, sine) = (&cosine[index * half..][..half], &sine[index * half..][..half]);
            for (head, turned) in row.chunks_exact(2 * half).zip(place.chunks_exact_mut(2 * half)) {
                let (first, second) = head.split_at(half);
                let (turned_first, turned_second) = turned.split_at_mut(half);
                for i in 0..half {
                    let sine = sign * sine[i];
                    turned_first[i] = first[i] * cosine[i] - second[i] * sine;
                    turned_second[i] = second[i] * cosine[i] + first[i] * sine;
                }
            }
        });
        Ok((CpuStorage::F32(output), xl.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        cosine: &Tensor,
        sine: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let inverse = !self.inverse;
        let grad_input = grad.contiguous()?.apply_op3_no_bwd(cosine, sine, &Rotate { inverse })?;
        Ok((Some(grad_input), None, None))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, check_native, normal};

    fn table(tokens: u32, dtype: DType) -> RotaryTable {
        let positions: Vec<u32> = (0..tokens).map(|position| position * 3).collect();
        RotaryTable::new(&positions, 6, 10_000.0, dtype, &Device::Cpu).unwrap()
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let table = table(4, DType::F64);
        check_against_differences(&[normal("x", &[4, 12])], |t| rotate_composed(&t[0], &table));
    }

    #[test]
    fn the_native_form_equals_the_composed_one() {
        let (single, double) = (table(900, DType::F32), table(900, DType::F64));
        check_native(&[normal("x", &[900, 24])], |t| rotate(&t[0], &single), |t| rotate_composed(&t[0], &double));
    }

    #[test]
    fn position_zero_is_left_alone_and_lengths_are_kept() {
        let input = normal("x", &[5, 12]).to_dtype(DType::F32).unwrap();
        let turned = rotate(&input, &table(5, DType::F32)).unwrap();
        let (before, after) = (input.to_vec2::<f32>().unwrap(), turned.to_vec2::<f32>().unwrap());
        assert_eq!(before[0], after[0]);
        let length = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
        for (left, right) in before.iter().zip(&after) {
            assert!((length(left) - length(right)).abs() < 1e-4);
        }
    }

    #[test]
    fn half_precision_is_turned_by_angles_in_single() {
        let single = table(900, DType::F32);
        let double = table(900, DType::F64);
        check_half(&[normal("x", &[900, 24])], |t| {
            rotate(&t[0], if t[0].dtype() == DType::BF16 { &single } else { &double })
        });
    }
}
