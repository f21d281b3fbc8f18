//! A backward of one's own over tensor operations.
//!
//! candle records each tensor operation together with what its own backward needs. A block that knows a shorter
//! backward computes its result from detached tensors and hands both in here, so that the graph keeps the block's
//! inputs and output and nothing between them.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail,
};

/// Gradients of the inputs, from inputs, output and the output's gradient; none where it is not wanted.
type Backward<const N: usize> =
    Box<dyn Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync>;

/// An operation whose result is known before it is recorded.
pub(super) struct Known<const N: usize> {
    name: &'static str,
    /// Taken by the forward, so that the graph does not hold it twice.
    output: Mutex<Option<Tensor>>,
    backward: Backward<N>,
}

/// Puts a result that is known already, computed from the detached inputs, into the graph with the given backward.
///
/// The backward gets detached tensors.
pub(super) fn with_backward<const N: usize>(
    name: &'static str,
    inputs: [&Tensor; N],
    output: Tensor,
    backward: impl Fn([&Tensor; N], &Tensor, &Tensor) -> Result<[Option<Tensor>; N]> + Send + Sync + 'static,
) -> Result<Tensor>
where
    Known<N>: Record<N>,
{
    if !inputs.iter().any(|input| input.track_op()) {
        return Ok(output);
    }
    Known { name, output: Mutex::new(Some(output)), backward: Box::new(backward) }.record(inputs)
}

/// candle's operations have one, two or three inputs, each kind its own trait.
pub(super) trait Record<const N: usize> {
    fn record(self, inputs: [&Tensor; N]) -> Result<Tensor>;
}

impl Record<1> for Known<1> {
    fn record(self, [input]: [&Tensor; 1]) -> Result<Tensor> {
        input.apply_op1(self)
    }
}

impl Record<2> for Known<2> {
    fn record(self, [first, second]: [&Tensor; 2]) -> Result<Tensor> {
        first.apply_op2(second, self)
    }
}

impl Record<3> for Known<3> {
    fn record(self, [first, second, third]: [&Tensor; 3]) -> Result<Tensor> {
        first.apply_op3(second, third, self)
    }
}

fn copied<S>(source: &S, layout: &Layout) -> Result<(S, Shape)>
where
    S: BackendStorage,
    S::Device: BackendDevice<Storage = S>,
{
    let mut storage = source.device().zeros_impl(layout.shape(), source.dtype())?;
    source.copy_strided_src(&mut storage, 0, layout)?;
    Ok((storage, layout.shape().clone()))
}

impl<const N: usize> Known<N> {
    fn take(&self) -> Result<Tensor> {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner).take();
        output.ok_or_else(|| candle_core::Error::Msg(format!("{}: its result was taken already", self.name)))
    }

    fn on_cpu(&self) -> Result<(CpuStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => copied(storage, layout),
            _ => bail!("{}: inputs and result are on different devices", self.name),
        }
    }

    fn on_cuda(&self) -> Result<(CudaStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => copied(storage, layout),
            _ => bail!("{}: inputs and result are on different devices", self.name),
        }
    }

    fn gradients(&self, inputs: [&Tensor; N], output: &Tensor, grad: &Tensor) -> Result<[Option<Tensor>; N]> {
        // Detached tensors record nothing; whether an input wants a gradient is known from the attached one.
        let detached = inputs.map(Tensor::detach);
        let mut gradients = (self.backward)(detached.each_ref(), &output.detach(), &grad.detach())?;
        for (gradient, input) in gradients.iter_mut().zip(inputs) {
            if !input.track_op() {
                *gradient = None;
            }
        }
        Ok(gradients)
    }
}

impl CustomOp1 for Known<1> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn bwd(&self, input: &Tensor, output: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let [gradient] = self.gradients([input], output, grad)?;
        Ok(gradient)
    }
}

impl CustomOp2 for Known<2> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok(self.gradients([first, second], output, grad)?.into())
    }
}

impl CustomOp3 for Known<3> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.on_cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.on_cuda()
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        third: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        Ok(self.gradients([first, second, third], output, grad)?.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::blocks::test_support::normal;

    #[test]
    fn a_result_that_is_a_view_is_kept_without_what_it_views() {
        let whole = candle_core::Var::from_tensor(&normal("x", &[6, 4])).unwrap();
        let view = whole.as_detached_tensor().narrow(0, 2, 3).unwrap().narrow(1, 1, 2).unwrap();
        let output = with_backward("view", [whole.as_tensor()], view.clone(), |_, _, _| Ok([None])).unwrap();
        assert_eq!(output.to_vec2::<f64>().unwrap(), view.to_vec2::<f64>().unwrap());
        assert!(output.is_contiguous() && output.layout().start_offset() == 0);
    }
}
