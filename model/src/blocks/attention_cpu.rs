//! Causal attention as one operation for f32 on the CPU, forward and backward, in parallel over sequences and heads.
//!
//! Blocks of queries meet pieces of the keys that they see, so that a task's memory beyond its result does not grow with
//! the sequence. For the backward the logarithm of each row's sum of exponentials is kept: it computes a piece's weights
//! again from queries, keys and that number.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::attention::Heads;
use super::attention_head::{Backward, Forward, HeadView};
use super::cpu;

/// The operation with the shape it works on and what its forward leaves for the backward. Clones share both.
#[derive(Clone)]
pub(crate) struct CausalAttention(Arc<State>);

struct State {
    heads: Heads,
    window: Option<usize>,
    /// Every pair of sequence and query head, in a fixed order.
    tasks: Vec<(Range<usize>, usize)>,
    sequences: Vec<Range<usize>>,
    /// By task and row, written by the forward.
    log_sums: OnceLock<Vec<Vec<f32>>>,
}

impl CausalAttention {
    pub(super) fn new(heads: Heads, sequences: &[Range<usize>], window: Option<usize>) -> Self {
        let of = |sequence: &Range<usize>| (0..heads.query).map(|head| (sequence.clone(), head)).collect::<Vec<_>>();
        let tasks = sequences.iter().flat_map(of).collect();
        let sequences = sequences.to_vec();
        Self(Arc::new(State { heads, window, tasks, sequences, log_sums: OnceLock::new() }))
    }

    /// Computes the gradients of query, key and value.
    pub(super) fn backward(&self, inputs: [&Tensor; 3], output: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        self.0.backward(inputs, output, grad)
    }
}

impl State {
    fn query_view<'a>(&self, values: &'a [f32], head: usize, row: usize) -> HeadView<'a> {
        HeadView::new(values, self.heads.query, self.heads.dim, head, row)
    }

    fn shared_view<'a>(&self, values: &'a [f32], head: usize, row: usize) -> HeadView<'a> {
        HeadView::new(values, self.heads.key_value, self.heads.dim, head / self.heads.group(), row)
    }

    /// Lays the parts of each head side by side as `[tokens, heads · dim]`, parts of a group added up in their order.
    ///
    /// `part(sequence, query head)` gives a part, `[rows, dim]`.
    fn gather<'a>(&self, tokens: usize, heads: usize, part: impl Fn(usize, usize) -> &'a [f32] + Sync) -> Vec<f32> {
        let (dim, group) = (self.heads.dim, self.heads.query / heads);
        let width = heads * dim;
        let mut gathered = vec![0f32; tokens * width];
        for (index, sequence) in self.sequences.iter().enumerate() {
            let rows = &mut gathered[sequence.start * width..sequence.end * width];
            cpu::for_rows(rows, width, |row, places| {
                for (head, place) in places.chunks_exact_mut(dim).enumerate() {
                    place.copy_from_slice(&part(index, head * group)[row * dim..][..dim]);
                    for member in 1..group {
                        cpu::add_into(place, &part(index, head * group + member)[row * dim..][..dim]);
                    }
                }
            });
        }
        gathered
    }

    fn backward(&self, [query, key, value]: [&Tensor; 3], output: &Tensor, grad: &Tensor) -> Result<[Tensor; 3]> {
        let Some(log_sums) = self.log_sums.get() else {
            bail!("attention: backward before forward");
        };
        let parts: Vec<Backward> = cpu::with_slices([query, key, value, output, grad], |slices| {
            let [query, key, value, output, grad] = slices;
            let run = |((sequence, head), log_sums): (&(Range<usize>, usize), &Vec<f32>)| {
                let of_query = |values| self.query_view(values, *head, sequence.start);
                let shared = |values| self.shared_view(values, *head, sequence.start);
                let views = [of_query(query), shared(key), shared(value), of_query(output), of_query(grad)];
                Backward::run(views, log_sums, sequence.len(), self.window)
            };
            self.tasks.par_iter().zip(log_sums).map(run).collect()
        })?;
        let Heads { query: heads, key_value, .. } = self.heads;
        let tokens = query.dim(0)?;
        let at = |sequence: usize, head: usize| &parts[sequence * heads + head];
        let grad_query = self.gather(tokens, heads, |sequence, head| &at(sequence, head).query);
        let grad_key = self.gather(tokens, key_value, |sequence, head| &at(sequence, head).key);
        let grad_value = self.gather(tokens, key_value, |sequence, head| &at(sequence, head).value);
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok([tensor(grad_query, query)?, tensor(grad_key, key)?, tensor(grad_value, value)?])
    }
}

impl CustomOp3 for CausalAttention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Self(state) = self;
        let (query, key) = (cpu::slice(query, query_layout)?, cpu::slice(key, key_layout)?);
        let value = cpu::slice(value, value_layout)?;
        let run = |(sequence, head): &(Range<usize>, usize)| {
            let query = state.query_view(query, *head, sequence.start);
            let key = state.shared_view(key, *head, sequence.start);
            let value = state.shared_view(value, *head, sequence.start);
            Forward::run([query, key, value], sequence.len(), state.window)
        };
        let parts: Vec<Forward> = state.tasks.par_iter().map(run).collect::<Result<_>>()?;
        let heads = state.heads.query;
        let tokens = query_layout.shape().dims2()?.0;
        let output = state.gather(tokens, heads, |sequence, head| &parts[sequence * heads + head].output);
        // A second forward of the same operation would write the same numbers.
        state.log_sums.get_or_init(|| parts.into_iter().map(|part| part.log_sums).collect());
        Ok((CpuStorage::F32(output), query_layout.shape().clone()))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        output: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [of_query, of_key, of_value] = self.backward([query, key, value], output, grad)?;
        Ok((Some(of_query), Some(of_key), Some(of_value)))
    }
}
