//! Root mean square normalisation: y = x / √(mean(x²) + ε) · w.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::cpu;

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
    let mean_square = input.sqr()?.mean_keepdim(D::Minus1)?;
    let scale = (mean_square + epsilon)?.sqrt()?.recip()?;
    input.broadcast_mul(&scale)?.broadcast_mul(weight)
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
        let (rows, width) = x.dims2()?;
        cpu::with_slices([x, w, grad], |[input, weight, grad]| {
            let at = |index: usize| index * width..(index + 1) * width;
            let grad_input = if x.track_op() {
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
                Some(Tensor::from_vec(output, (rows, width), w.device())?)
            } else {
                None
            };
            let grad_weight = if w.track_op() {
                let sums = cpu::sum_rows(rows, width, |index, sum| {
                    let (x, g) = (&input[at(index)], &grad[at(index)]);
                    let scale = self.scale(x);
                    for ((sum, x), g) in sum.iter_mut().zip(x).zip(g) {
                        *sum += x * scale * g;
                    }
                });
                Some(Tensor::from_vec(sums, width, w.device())?)
            } else {
                None
            };
            Ok((grad_input, grad_weight))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_native, normal};

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
}
