//! Forward kernels that candle has for CUDA and that the composed forms use there: one pass over memory instead of
//! several. Elsewhere the same from tensor operations.

use candle_core::{D, Result, Tensor};

/// Computes the softmax of the last dimension, in the dtype that is given.
pub(super) fn softmax(scores: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if scores.device().is_cuda() {
        return candle_nn::ops::softmax_last_dim(scores);
    }
    let exponentials = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

/// Computes the norm of rows, if there is a kernel that does; it sums in single precision and rounds once.
pub(super) fn rms_norm(input: &Tensor, weight: &Tensor, epsilon: f64) -> Option<Result<Tensor>> {
    #[cfg(feature = "cuda")]
    if input.device().is_cuda() {
        return Some(input.contiguous().and_then(|input| candle_nn::ops::rms_norm(&input, weight, epsilon as f32)));
    }
    let _ = (input, weight, epsilon);
    None
}

/// Turns `[tokens, heads, dim]` by angles `[tokens, dim / 2]`, all in one dtype, if there is a kernel that does.
pub(super) fn rotate(heads: &Tensor, cosine: &Tensor, sine: &Tensor) -> Option<Result<Tensor>> {
    #[cfg(feature = "cuda")]
    if heads.device().is_cuda() {
        let turn = || candle_nn::rotary_emb::rope_thd(&heads.unsqueeze(0)?.contiguous()?, cosine, sine)?.squeeze(0);
        return Some(turn());
    }
    let _ = (heads, cosine, sine);
    None
}
