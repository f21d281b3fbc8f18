//! The differentiable building blocks of the backbone.
//!
//! Rows are tokens: every block works on `[tokens, width]`, and sequences of a batch lie one after the other without
//! padding. Only [`attention`] and the positions of [`rotary`] know where one sequence ends and the next begins.
//!
//! Each block exists twice. The composed form is made of tensor operations, forward and backward, and runs in any dtype
//! on any device; in half precision it computes norms, exponentials and sums in single. The native form is one
//! multi-threaded operation for f32 on the CPU. Both keep their inputs and output for the backward and nothing between. A
//! block picks the native form where it applies. Gradients of the composed forms are tested against finite differences in
//! f64, the native forms against the composed ones.

pub mod attention;
mod attention_blocks;
mod attention_cpu;
mod attention_head;
mod composed;
pub(crate) mod cpu;
pub mod embedding;
mod fused;
pub mod linear;
mod product;
pub mod rms_norm;
pub mod rotary;
pub mod swiglu;
#[cfg(test)]
pub(crate) mod test_support;
mod with_backward;

pub(crate) use composed::accumulation;

pub(crate) use attention::Attention;
pub use attention::{Heads, causal_attention};
pub use embedding::select_rows;
pub(crate) use embedding::select_rows_backward;
pub use linear::linear;
pub(crate) use linear::{bias_gradient, input_gradient, weight_gradient};
pub use rms_norm::rms_norm;
pub(crate) use rms_norm::rms_norm_backward;
pub(crate) use rotary::rotate_back;
pub use rotary::{RotaryTable, rotate};
pub use swiglu::swiglu;
pub(crate) use swiglu::swiglu_backward;
