//! AdamW with decoupled weight decay, fp32 master weights and fp32 moments, each rank holding its share (ZeRO stage 2).
//!
//! Every parameter decays, biases and norms too, as in PyTorch's defaults.

use candle_core::{CpuStorage, DType, InplaceOp2, Tensor};
use rayon::prelude::*;

use crate::blocks::cpu;
use crate::collective::Collective;
use crate::error::{ModelError, Result};
use crate::qwen2::StepModel;
use crate::zero::{Layout, Piece};

/// Holds AdamW's numbers; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a parameter that decays per step and unit of learning rate.
    pub weight_decay: f64,
}

/// What is kept of each owned number: the master weight and both moments, one row of a group's state each.
pub(crate) const STATE_ROWS: [&str; 3] = ["master", "exp_avg", "exp_avg_sq"];

/// Holds this rank's share of the optimiser's state.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    layout: Layout,
    steps: u64,
    /// Per group `[3, share]` in f32, rows as [`STATE_ROWS`].
    states: Vec<Tensor>,
}

impl AdamW {
    /// Starts with the model's weights and moments of 0.
    ///
    /// # Errors
    /// The device refuses memory.
    pub fn new(config: AdamWConfig, layout: Layout, model: &StepModel) -> Result<Self> {
        let mut states = Vec::with_capacity(layout.groups().len());
        for group in layout.groups() {
            let master = layout.own_parameters(model, group)?;
            let moments = Tensor::zeros((2, group.share), DType::F32, model.device())?;
            states.push(Tensor::cat(&[master.unsqueeze(0)?, moments], 0)?);
        }
        Ok(Self { config, layout, steps: 0, states })
    }

    /// Returns how many updates were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns which rank owns what.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the device that holds the state.
    pub(crate) fn device(&self) -> &candle_core::Device {
        self.states.first().map_or(&candle_core::Device::Cpu, Tensor::device)
    }

    /// Updates the owned numbers from their gradients times `scale`, and then every rank's parameters.
    ///
    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p(1 − ηλ) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
    ///
    /// # Errors
    /// Gradients of another layout, or a rank is gone.
    pub fn step(
        &mut self,
        model: &StepModel,
        gradients: &[Tensor],
        scale: f64,
        learning_rate: f64,
        collective: &dyn Collective,
    ) -> Result<()> {
        let shares = self.layout.groups().iter().map(|group| group.share);
        if !shares.eq(gradients.iter().map(Tensor::elem_count)) {
            return Err(ModelError::Input("gradients and optimiser state are of different parameters".to_owned()));
        }
        let steps = self.steps + 1;
        let update = Update::new(self.config, steps, scale, learning_rate);
        for (state, gradient) in self.states.iter_mut().zip(gradients) {
            update.apply(state, gradient)?;
        }
        for (group, state) in self.layout.groups().iter().zip(&self.states) {
            let whole = collective.all_gather(&state.get(0)?.to_dtype(model.dtype())?)?;
            for member in &group.members {
                if let Some(parameter) = model.parameters().get(&member.name) {
                    let numbers = whole.narrow(0, member.place.start, member.place.len())?;
                    parameter.set(&numbers.reshape(member.shape.clone())?)?;
                }
            }
        }
        self.steps = steps;
        Ok(())
    }

    /// Copies what this rank owns of a row (see [`STATE_ROWS`]) of a parameter to the host.
    pub(crate) fn numbers(&self, piece: &Piece, row: usize) -> Result<Vec<f32>> {
        let row = self.states[piece.group].get(row)?;
        Ok(row.narrow(0, piece.of_share.start, piece.of_share.len())?.to_vec1()?)
    }

    /// Goes on from a state `[3, share]` per group, as if that many updates had been made.
    pub(crate) fn restore(&mut self, steps: u64, states: Vec<Tensor>) -> Result<()> {
        let fits =
            states.len() == self.states.len() && states.iter().zip(&self.states).all(|(a, b)| a.dims() == b.dims());
        if !fits {
            return Err(ModelError::Checkpoint("the optimiser's state is of other parameters".to_owned()));
        }
        (self.steps, self.states) = (steps, states);
        Ok(())
    }
}

/// One step's constants, with the bias corrections folded in.
struct Update {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    keep: f32,
    rate: f32,
    second_correction: f32,
    scale: f32,
}

impl Update {
    fn new(config: AdamWConfig, steps: u64, scale: f64, learning_rate: f64) -> Self {
        let steps = steps as f64;
        Self {
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            epsilon: config.epsilon as f32,
            keep: (1.0 - learning_rate * config.weight_decay) as f32,
            rate: (learning_rate / (1.0 - config.beta1.powf(steps))) as f32,
            second_correction: (1.0 / (1.0 - config.beta2.powf(steps)).sqrt()) as f32,
            scale: scale as f32,
        }
    }

    fn apply(&self, state: &mut Tensor, gradient: &Tensor) -> Result<()> {
        if cpu::is_native(state) {
            state.inplace_op2(&gradient.contiguous()?, self)?;
        } else {
            *state = self.composed(state, gradient)?;
        }
        Ok(())
    }

    fn composed(&self, state: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let blend = |moment: Tensor, new: Tensor, beta: f32| -> Result<Tensor> {
            Ok(((moment * f64::from(beta))? + (new * f64::from(1.0 - beta))?)?)
        };
        let gradient = (gradient * f64::from(self.scale))?;
        let second = blend(state.get(2)?, gradient.sqr()?, self.beta2)?;
        let first = blend(state.get(1)?, gradient, self.beta1)?;
        let root = ((second.sqrt()? * f64::from(self.second_correction))? + f64::from(self.epsilon))?;
        let change = ((&first / root)? * f64::from(self.rate))?;
        let master = ((state.get(0)? * f64::from(self.keep))? - change)?;
        Ok(Tensor::stack(&[master, first, second], 0)?)
    }
}

impl InplaceOp2 for Update {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(
        &self,
        state: &mut CpuStorage,
        state_layout: &candle_core::Layout,
        gradient: &CpuStorage,
        gradient_layout: &candle_core::Layout,
    ) -> candle_core::Result<()> {
        const CHUNK: usize = 1 << 15;
        let gradient = cpu::slice(gradient, gradient_layout)?;
        let state = cpu::slice_mut(state, state_layout)?;
        let (master, moments) = state.split_at_mut(gradient.len());
        let (first, second) = moments.split_at_mut(gradient.len());
        let chunks = master.par_chunks_mut(CHUNK).zip(first.par_chunks_mut(CHUNK)).zip(second.par_chunks_mut(CHUNK));
        chunks.zip(gradient.par_chunks(CHUNK)).for_each(|(((master, first), second), gradient)| {
            for (((value, m), v), g) in master.iter_mut().zip(first).zip(second).zip(gradient) {
                let g = g * self.scale;
                *m = self.beta1 * *m + (1.0 - self.beta1) * g;
                *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
                *value = self.keep * *value - self.rate * *m / (v.sqrt() * self.second_correction + self.epsilon);
            }
        });
        Ok(())
    }
}

/// Computes the norm of all gradients of all ranks together.
///
/// # Errors
/// A rank is gone.
pub fn global_norm(gradients: &[Tensor], collective: &dyn Collective) -> Result<f64> {
    let mut sum = [0.0];
    for gradient in gradients {
        sum[0] += if cpu::is_native(gradient) {
            cpu::with_slices([gradient], |[values]| Ok(cpu::sum_of_squares(values)))?
        } else {
            f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?)
        };
    }
    collective.sum(&mut sum)?;
    Ok(sum[0].sqrt())
}

/// Returns what gradients of a norm are to be multiplied by so that it does not exceed `max_norm`.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    if norm > max_norm { max_norm / norm } else { 1.0 }
}

#[cfg(test)]
#[path = "optimizer_tests.rs"]
mod tests;
