//! One sequence of 128k tokens through a 7B-shaped model: forward through all layers, a training pass through as many as
//! asked for.

use candle_core::{DType, Device};
use secprm_model::{StepModel, TrainedParameters};

use crate::Result;
use crate::flops::{batch, shape_7b};
use crate::measure::{MemoryWatch, seconds};
use crate::options::Options;
use crate::pass::training_pass;
use crate::report::number;

/// Runs each once, after a short sequence that loads the kernels.
pub fn run(device: &Device, options: &Options) -> Result<()> {
    let tokens = options.long_tokens;
    {
        let memory = MemoryWatch::start(device);
        let model = StepModel::random_on(shape_7b(options.long_train_layers), 1, DType::BF16, device)?;
        let (short, short_labels) = batch(1024, model.config().vocab_size)?;
        let (long, labels) = batch(tokens, model.config().vocab_size)?;
        let mut calls = [(&long, &labels), (&short, &short_labels)].into_iter().rev();
        let mut loss = f64::NAN;
        let taken = seconds(device, 1, || {
            let (batch, labels) = calls.next().ok_or("one call too many")?;
            loss = training_pass(&model, batch, labels, true)?.loss;
            Ok(())
        })?;
        let what = format!("training pass, {} layers, {tokens} tokens", options.long_train_layers);
        let flops = model.config().training_flops(tokens as u64, TrainedParameters::All);
        print(&what, options, taken, flops as f64, memory.peak_gib());
        number("long", &format!("{what}: loss"), loss, "nats");
    }
    device.synchronize()?;
    let memory = MemoryWatch::start(device);
    let model = StepModel::random_on(shape_7b(options.layers), 1, DType::BF16, device)?;
    let (short, _) = batch(1024, model.config().vocab_size)?;
    let (long, _) = batch(tokens, model.config().vocab_size)?;
    let mut calls = [&short, &long].into_iter();
    let taken = seconds(device, 1, || {
        let batch = calls.next().ok_or("one call too many")?;
        model.forward_batch(batch, None)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        Ok(())
    })?;
    let what = format!("forward, {} layers, {tokens} tokens", options.layers);
    let flops = model.config().training_flops(tokens as u64, TrainedParameters::Head);
    print(&what, options, taken, flops as f64, memory.peak_gib());
    Ok(())
}

fn print(what: &str, options: &Options, seconds: f64, flops: f64, peak_gib: f64) {
    number("long", what, seconds, "s");
    number("long", what, 100.0 * flops / seconds / (options.peak_tflops * 1e12), "% MFU");
    number("long", what, peak_gib, "GiB");
}
