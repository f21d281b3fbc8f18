//! Root mean square normalisation: y = x / √(mean(x²) + ε) · w.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::composed::{accumulation, by_rows, sum_of_rows};
use super::with_backward::with_backward;
use super::{cpu, fused};

/// Normalises each row of `input` `[tokens, width]` and scales it by `weight` `[width]`.
///
/// # Errors
/// The shapes do not fit.
pub fn rms_norm(input: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    if !cpu::is_native(input) {
        return rms_norm_composed(input, weight, epsilon);
    }
    let epsilon = epsilon as f32;
    input.apply_op2(weight, RmsNorm { epsilon })
}

fn rms_norm_composed(input: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    let detached = (input.detach(), weight.detach());
    let output = match fused::rms_norm(&detached.0, &detached.1, epsilon) {
        Some(output) => output?,
        None => {
            let [output] = by_rows(&[&detached.0], |rows| {
                let (normed, _) = normed(&rows[0], epsilon)?;
                Ok([normed.to_dtype(input.dtype())?.broadcast_mul(&detached.1)?])
            })?;
            output
        }
    };
    with_backward("rms-norm", [input, weight], output, move |[input, weight], _, grad| {
        Ok(rms_norm_backward(input, weight, epsilon, grad)?.map(Some))
    })
}

/// Computes the gradients of input and weight.
pub(crate) fn rms_norm_backward(input: &Tensor, weight: &Tensor, epsilon: f64, grad: &Tensor) -> Result<[Tensor; 2]> {
    if cpu::is_native(input) {
        let native = RmsNorm { epsilon: epsilon as f32 };
        return Ok([native.of_input(input, weight, grad)?, native.of_weight(input, grad)?]);
    }
    let precise = accumulation(input.dtype());
    let scaled_by = weight.to_dtype(precise)?;
    let [of_input, of_weight] = by_rows(&[input, grad], |rows| {
        let (normed, scale) = normed(&rows[0], epsilon)?;
        let grad = rows[1].to_dtype(precise)?;
        let scaled = grad.broadcast_mul(&scaled_by)?;
        let shrink = (&scaled * &normed)?.mean_keepdim(D::Minus1)?;
        let of_input = (scaled - normed.broadcast_mul(&shrink)?)?.broadcast_mul(&scale)?;
        Ok([of_input.to_dtype(input.dtype())?, (grad * normed)?])
    })?;
    Ok([of_input, sum_of_rows(&of_weight)?.to_dtype(weight.dtype())?])
}

/// Rows over the root of their mean square, and one over the root, in the dtype of sums.
fn normed(rows: &Tensor, epsilon: f64) -> Result<(Tensor, Tensor)> {
    let rows = rows.to_dtype(accumulation(rows.dtype()))?;
    let scale = (rows.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?.recip()?;
    Ok((rows.broadcast_mul(&scale)?, scale))
}

struct RmsNorm {
    epsilon: f32,
}

impl RmsNorm {
    /// One over the root of a row's mean square.
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> f32 {
        (cpu::dot(row, row) / row.len() as f32 + self.epsilon).sqrt().recip()
    }

    fn of_input(&self, input: &Tensor, weight: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let width = input.dims2()?.1;
        let output = cpu::with_slices([input, weight, grad], |[input, weight, grad]| {
            let at = |index: usize| index * width..(index + 1) * width;
            let mut output = vec![0f32; input.len()];
            cpu::for_rows(&mut output, width, |index, place| {
                let (x, g) = (&input[at(index)], &grad[at(index)]);
                let scale = self.scale(x);
                for ((value, g), w) in place.iter_mut().zip(g).zip(weight) {
                    *value = g * w;
                }
                let shrink = cpu::dot(place, x) * scale * scale / width as f32;
                for (value, x) in place.iter_mut().zip(x) {
                    *value = scale * (*value - x * shrink);
                }
            });
            Ok(output)
        })?;
        Tensor::from_vec(output, input.shape(), input.device())
    }

    fn of_weight(&self, input: &Tensor, grad: &Tensor) -> Result<Tensor> {
        let (rows, width) = input.dims2()?;
        let sums = cpu::with_slices([input, grad], |[input, grad]| {
            let at = |index: usize| index * width..(index + 1) * width;
            Ok(cpu::sum_rows(rows, width, |index, sum| {
                let (x, g) = (&input[at(index)], &grad[at(index)]);
                let scale = self.scale(x);
                for ((sum, x), g) in sum.iter_mut().zip(x).zip(g) {
                    *sum += x * scale * g;
                }
            }))
        })?;
        Tensor::from_vec(sums, width, input.device())
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (input, weight) = (cpu::slice(x, xl)?, cpu::slice(w, wl)?);
        let width = xl.shape().dims2()?.1;
        if weight.len() != width {
            candle_core::bail!("rms norm: weight of {} does not fit rows of {width}", weight.len());
        }
        let mut output = vec![0f32; input.len()];
        cpu::for_rows(&mut output, width, |index, place| {
            let row = &input[index * width..][..width];
            let scale = self.scale(row);
            for ((value, x), w) in place.iter_mut().zip(row).zip(weight) {
                *value = x * scale * w;
            }
        });
        Ok((CpuStorage::F32(output), xl.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_input = x.track_op().then(|| self.of_input(x, w, grad)).transpose()?;
        Ok((of_input, w.track_op().then(|| self.of_weight(x, grad)).transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, check_native, normal};

    #[test]
    fn gradients_equal_finite_differences() {
        let inputs = [normal("x", &[3, 6]), normal("w", &[6])];
        check_against_differences(&inputs, |t| rms_norm_composed(&t[0], &t[1], 1e-6));
    }

    #[test]
    fn the_native_form_equals_the_composed_one() {
        let inputs = [normal("x", &[600, 50]), normal("w", &[50])];
        check_native(&inputs, |t| rms_norm(&t[0], &t[1], 1e-6), |t| rms_norm_composed(&t[0], &t[1], 1e-6));
    }

    #[test]
    fn half_precision_is_rounded_once_and_sums_are_single() {
        check_half(&[normal("x", &[900, 50]), normal("w", &[50])], |t| rms_norm(&t[0], &t[1], 1e-6));
    }
}
