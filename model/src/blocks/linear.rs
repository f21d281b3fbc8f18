//! The affine map y = x Wᵀ + b.
//!
//! Tensor operations would transpose the gradient of Wᵀ and add it with strides; one operation gives the weight's
//! gradient in its own layout.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::composed::sum_of_rows;
use super::cpu;
use super::product::{add_product, matrix, product, set_product, transposed};
use super::with_backward::with_backward;

/// Applies a linear layer: `input` `[tokens, in]`, `weight` `[out, in]`, `bias` `[out]`; gives `[tokens, out]`.
///
/// # Errors
/// The shapes do not fit.
pub fn linear(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    if !cpu::is_native(input) {
        return linear_composed(input, weight, bias);
    }
    let input = &input.contiguous()?;
    match bias {
        Some(bias) => input.apply_op3(weight, bias, Linear),
        None => input.apply_op2(weight, Linear),
    }
}

/// Computes the gradient of an input that linear maps share: Σ grad · weight over pairs of an output's gradient and the weight.
pub(crate) fn input_gradient(maps: &[(&Tensor, &Tensor)]) -> Result<Tensor> {
    let Some(((grad, weight), rest)) = maps.split_first() else {
        candle_core::bail!("linear: an input that no map reads has no gradient");
    };
    if !cpu::is_native(grad) {
        let mut sum = grad.contiguous()?.matmul(weight)?;
        for (grad, weight) in rest {
            sum = (sum + grad.contiguous()?.matmul(weight)?)?;
        }
        return Ok(sum);
    }
    let (tokens, inner) = (grad.dim(0)?, weight.dim(1)?);
    let mut sum = vec![0f32; tokens * inner];
    for (index, (grad, weight)) in maps.iter().enumerate() {
        let outer = weight.dim(0)?;
        cpu::with_slices([grad, weight], |[grad, weight]| {
            let (grad, weight) = (matrix(grad, tokens, outer, outer)?, matrix(weight, outer, inner, inner)?);
            if index == 0 { set_product(1.0, grad, weight, &mut sum) } else { add_product(grad, weight, &mut sum) }
        })?;
    }
    Tensor::from_vec(sum, (tokens, inner), grad.device())
}

/// Computes the gradient of a linear map's weight, gradᵀ · input.
pub(crate) fn weight_gradient(input: &Tensor, grad: &Tensor) -> Result<Tensor> {
    if !cpu::is_native(grad) {
        return grad.contiguous()?.t()?.matmul(&input.contiguous()?);
    }
    let ((tokens, inner), outer) = (input.dims2()?, grad.dim(1)?);
    cpu::with_slices([input, grad], |[input, grad]| {
        let grad = matrix(grad, tokens, outer, outer)?;
        let values = product(grad.reversed_axes(), matrix(input, tokens, inner, inner)?)?;
        Tensor::from_vec(values, (outer, inner), &candle_core::Device::Cpu)
    })
}

/// Computes the gradient of a linear map's bias, the sum of the rows.
pub(crate) fn bias_gradient(grad: &Tensor) -> Result<Tensor> {
    if !cpu::is_native(grad) {
        return sum_of_rows(&grad.contiguous()?);
    }
    let (rows, width) = grad.dims2()?;
    cpu::with_slices([grad], |[values]| {
        let sums = cpu::sum_rows(rows, width, |row, sum| cpu::add_into(sum, &values[row * width..][..width]));
        Tensor::from_vec(sums, width, grad.device())
    })
}

fn linear_composed(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = input.detach().matmul(&weight.detach().t()?)?;
    // Each tells what it computes for nothing: a weight that is not trained costs no product.
    let (of_input, of_weight) = (input.track_op(), weight.track_op());
    let gradients = move |input: &Tensor, weight: &Tensor, grad: &Tensor| -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_input = of_input.then(|| input_gradient(&[(grad, weight)])).transpose()?;
        Ok((of_input, of_weight.then(|| weight_gradient(input, grad)).transpose()?))
    };
    match bias {
        None => with_backward("linear", [input, weight], product, move |[input, weight], _, grad| {
            Ok(gradients(input, weight, grad)?.into())
        }),
        Some(bias) => {
            let output = product.broadcast_add(&bias.detach())?;
            with_backward("linear-bias", [input, weight, bias], output, move |[input, weight, _], _, grad| {
                let (of_input, of_weight) = gradients(input, weight, grad)?;
                Ok([of_input, of_weight, Some(bias_gradient(grad)?)])
            })
        }
    }
}

struct Linear;

/// `[tokens, in]` and `[out, in]`, checked against each other.
fn shape(x: &Layout, w: &Layout) -> Result<(usize, usize, usize)> {
    let (tokens, inner) = x.shape().dims2()?;
    let (outer, w_inner) = w.shape().dims2()?;
    if inner != w_inner {
        candle_core::bail!("linear: input of width {inner} does not fit weight [{outer}, {w_inner}]");
    }
    Ok((tokens, inner, outer))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, inner, outer) = shape(xl, wl)?;
        let input = matrix(cpu::slice(x, xl)?, tokens, inner, inner)?;
        let weight = transposed(cpu::slice(w, wl)?, outer, inner, inner);
        let output = product(input, matrix(&weight, inner, outer, outer)?)?;
        Ok((CpuStorage::F32(output), (tokens, outer).into()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_input = x.track_op().then(|| input_gradient(&[(grad, w)])).transpose()?;
        Ok((of_input, w.track_op().then(|| weight_gradient(x, grad)).transpose()?))
    }
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear-bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (tokens, inner, outer) = shape(xl, wl)?;
        let bias = cpu::slice(b, bl)?;
        if bias.len() != outer {
            candle_core::bail!("linear: bias of {} does not fit weight [{outer}, {inner}]", bias.len());
        }
        let input = matrix(cpu::slice(x, xl)?, tokens, inner, inner)?;
        let weight = transposed(cpu::slice(w, wl)?, outer, inner, inner);
        let mut output = bias.repeat(tokens);
        add_product(input, matrix(&weight, inner, outer, outer)?, &mut output)?;
        Ok((CpuStorage::F32(output), (tokens, outer).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (grad_input, grad_weight) = CustomOp2::bwd(self, x, w, output, grad)?;
        let grad_bias = b.track_op().then(|| bias_gradient(grad)).transpose()?;
        Ok((grad_input, grad_weight, grad_bias))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, check_native, normal};

    #[test]
    fn gradients_equal_finite_differences() {
        let inputs = [normal("x", &[5, 3]), normal("w", &[4, 3]), normal("b", &[4])];
        check_against_differences(&inputs, |t| linear_composed(&t[0], &t[1], Some(&t[2])));
    }

    #[test]
    fn the_native_form_equals_the_composed_one() {
        let inputs = [normal("x", &[700, 33]), normal("w", &[24, 33]), normal("b", &[24])];
        check_native(&inputs, |t| linear(&t[0], &t[1], Some(&t[2])), |t| linear_composed(&t[0], &t[1], Some(&t[2])));
        check_native(&inputs[..2], |t| linear(&t[0], &t[1], None), |t| linear_composed(&t[0], &t[1], None));
    }

    #[test]
    fn widths_that_do_not_fit_are_an_error() {
        let (x, w) = (normal("x", &[5, 3]), normal("w", &[4, 2]));
        let to_f32 = |t: &Tensor| t.to_dtype(candle_core::DType::F32).unwrap();
        assert!(linear(&to_f32(&x), &to_f32(&w), None).is_err());
    }

    #[test]
    fn half_precision_sums_in_single() {
        let inputs = [normal("x", &[900, 33]), normal("w", &[24, 33]), normal("b", &[24])];
        check_half(&inputs, |t| linear(&t[0], &t[1], Some(&t[2])));
    }
}
