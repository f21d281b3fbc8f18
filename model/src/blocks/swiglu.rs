//! The gate of the MLP: silu(gate) · up with silu(x) = x / (1 + e⁻ˣ).

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::composed::{accumulation, by_rows};
use super::cpu;
use super::with_backward::with_backward;

/// Gates `up` with silu(`gate`), element by element; both `[tokens, width]`.
///
/// # Errors
/// The shapes differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !cpu::is_native(gate) {
        return swiglu_composed(gate, up);
    }
    gate.apply_op2(up, SwiGlu)
}

fn swiglu_composed(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (detached_gate, detached_up) = (gate.detach(), up.detach());
    let [output] = by_rows(&[&detached_gate, &detached_up], |rows| {
        let activated = rows[0].to_dtype(accumulation(gate.dtype()))?.silu()?.to_dtype(gate.dtype())?;
        Ok([activated.mul(&rows[1])?])
    })?;
    with_backward("swiglu", [gate, up], output, |[gate, up], _, grad| Ok(swiglu_backward(gate, up, grad)?.map(Some)))
}

/// Computes the gradients of gate and up.
pub(crate) fn swiglu_backward(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Result<[Tensor; 2]> {
    if cpu::is_native(gate) {
        return native_backward(gate, up, grad);
    }
    let dtype = gate.dtype();
    by_rows(&[gate, up, grad], |rows| {
        let precise = |index: usize| rows[index].to_dtype(accumulation(dtype));
        let (gate, up, grad) = (precise(0)?, precise(1)?, precise(2)?);
        let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
        let activated = (&gate * &sigmoid)?;
        // s (1 + x (1 − s)) with x s = a is s + a (1 − s).
        let slope = (&sigmoid + (&activated * sigmoid.affine(-1.0, 1.0)?)?)?;
        let of_gate = ((&grad * up)? * slope)?.to_dtype(dtype)?;
        Ok([of_gate, (grad * activated)?.to_dtype(dtype)?])
    })
}

fn native_backward(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Result<[Tensor; 2]> {
    let (rows, width) = gate.dims2()?;
    cpu::with_slices([gate, up, grad], |[gate, up, grad]| {
        let at = |index: usize| index * width..(index + 1) * width;
        let (mut grad_gate, mut grad_up) = (vec![0f32; gate.len()], vec![0f32; gate.len()]);
        cpu::for_row_pairs([&mut grad_gate, &mut grad_up], width, |index, [of_gate, of_up]| {
            let places = of_gate.iter_mut().zip(of_up);
            let inputs = gate[at(index)].iter().zip(&up[at(index)]).zip(&grad[at(index)]);
            for ((of_gate, of_up), ((x, u), dy)) in places.zip(inputs) {
                let s = sigmoid(*x);
                *of_gate = dy * u * s * (1.0 + x * (1.0 - s));
                *of_up = dy * x * s;
            }
        });
        let tensor = |values| Tensor::from_vec(values, (rows, width), &candle_core::Device::Cpu);
        Ok([tensor(grad_gate)?, tensor(grad_up)?])
    })
}

struct SwiGlu;

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + cpu::exp(-x))
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, gl: &Layout, u: &CpuStorage, ul: &Layout) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (cpu::slice(g, gl)?, cpu::slice(u, ul)?);
        let width = gl.shape().dims2()?.1;
        if gl.shape() != ul.shape() {
            candle_core::bail!("swiglu: gate {:?} and up {:?} differ", gl.shape(), ul.shape());
        }
        let mut output = vec![0f32; gate.len()];
        cpu::for_rows(&mut output, width, |index, place| {
            let (gate, up) = (&gate[index * width..][..width], &up[index * width..][..width]);
            for ((value, g), u) in place.iter_mut().zip(gate).zip(up) {
                *value = g * sigmoid(*g) * u;
            }
        });
        Ok((CpuStorage::F32(output), gl.shape().clone()))
    }

    fn bwd(&self, gate: &Tensor, up: &Tensor, _: &Tensor, grad: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(swiglu_backward(gate, up, grad)?.map(Some).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::test_support::{check_against_differences, check_half, check_native, normal};

    #[test]
    fn gradients_equal_finite_differences() {
        let inputs = [normal("gate", &[3, 5]), normal("up", &[3, 5])];
        check_against_differences(&inputs, |t| swiglu_composed(&t[0], &t[1]));
    }

    #[test]
    fn the_native_form_equals_the_composed_one() {
        let inputs = [normal("gate", &[500, 40]), normal("up", &[500, 40])];
        check_native(&inputs, |t| swiglu(&t[0], &t[1]), |t| swiglu_composed(&t[0], &t[1]));
    }

    #[test]
    fn half_precision_is_computed_in_single() {
        check_half(&[normal("gate", &[70, 40]), normal("up", &[70, 40])], |t| swiglu(&t[0], &t[1]));
    }
}
