//! Forward and training passes of a 7B-shaped model with random weights in bf16.

use candle_core::{DType, Device};
use secprm_model::{StepModel, TrainedParameters};

use crate::Result;
use crate::flops::{batch, shape_7b};
use crate::measure::{MemoryWatch, seconds};
use crate::options::Options;
use crate::pass::training_pass;
use crate::report::number;

/// Times scoring: forward alone, nothing kept.
pub fn forward(device: &Device, options: &Options) -> Result<()> {
    let memory = MemoryWatch::start(device);
    let model = StepModel::random_on(shape_7b(options.layers), 1, DType::BF16, device)?;
    let (batch, _) = batch(options.tokens, model.config().vocab_size)?;
    let taken = seconds(device, 3, || {
        model.forward_batch(&batch, None)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(())
    })?;
    let flops = model.config().training_flops(options.tokens as u64, TrainedParameters::Head);
    print("forward", options, taken, flops as f64, memory.peak_gib());
    Ok(())
}

/// Times forward and backward with gradients of all parameters; no optimiser step.
pub fn train(device: &Device, options: &Options) -> Result<()> {
    let memory = MemoryWatch::start(device);
    let model = StepModel::random_on(shape_7b(options.layers), 1, DType::BF16, device)?;
    let (batch, labels) = batch(options.tokens, model.config().vocab_size)?;
    let mut loss = f64::NAN;
    let taken = seconds(device, 2, || {
        loss = training_pass(&model, &batch, &labels, true)?.loss;
        Ok(())
    })?;
    let flops = model.config().training_flops(options.tokens as u64, TrainedParameters::All);
    print("train", options, taken, flops as f64, memory.peak_gib());
    number("train", "loss with random weights", loss, "nats");
    Ok(())
}

fn print(part: &str, options: &Options, seconds: f64, flops: f64, peak_gib: f64) {
    let what = format!("7B shape, {} layers, {} tokens, bf16", options.layers, options.tokens);
    number(part, &what, seconds * 1e3, "ms");
    number(part, &what, options.tokens as f64 / seconds, "tokens/s");
    number(part, &what, 100.0 * flops / seconds / (options.peak_tflops * 1e12), "% MFU");
    number(part, &what, peak_gib, "GiB");
}
