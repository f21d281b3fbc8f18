//! A small model on the GPU beside the same on the CPU in f32: logits, loss and every gradient.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use secprm_model::{CheckpointFiles, PackedBatch, Qwen2Config, StepModel, StepTokenizer, TrainedParameters};

use crate::Result;
use crate::options::Options;
use crate::pass::{CLASS_WEIGHTS, Pass, training_pass};
use crate::report::limited;

const LENGTHS: [usize; 3] = [700, 33, 260];

fn config() -> Qwen2Config {
    Qwen2Config {
        hidden_size: 256,
        intermediate_size: 704,
        num_hidden_layers: 3,
        num_attention_heads: 8,
        num_key_value_heads: 2,
        initializer_range: 0.05,
        ..Qwen2Config::small(512)
    }
}

/// Three sequences of different lengths, with the labels of their separators.
fn batch() -> Result<(PackedBatch, Vec<u8>)> {
    let mut batch = PackedBatch::new();
    let mut labels = Vec::new();
    for (index, length) in LENGTHS.into_iter().enumerate() {
        let ids: Vec<u32> = (0..length).map(|token| ((token * 37 + index * 11 + token * token) % 512) as u32).collect();
        let separators: Vec<u32> = (10..length as u32).step_by(11).collect();
        labels.extend(separators.iter().map(|separator| u8::from((separator / 11) % 3 != 0)));
        batch.push(&ids, &separators)?;
    }
    Ok((batch, labels))
}

/// Compares both precisions, and leaves the model and the CPU's numbers in a folder where one is named.
pub fn run(device: &Device, options: &Options) -> Result<()> {
    let (batch, labels) = batch()?;
    let model = StepModel::random(config(), 1)?;
    for (dtype, name, logits_limit, gradient_limit) in
        [(DType::F32, "f32", 1e-4, 1e-4), (DType::BF16, "bf16", 5e-2, 1e-1)]
    {
        // The CPU computes with the same rounded weights, so that what differs is the computation.
        let on_cpu = moved(&model, dtype, DType::F32, &Device::Cpu)?;
        let on_gpu = moved(&model, dtype, dtype, device)?;
        let expected_logits = logits(&on_cpu, &batch)?;
        let difference = relative(&logits(&on_gpu, &batch)?, &expected_logits, 0.0)?;
        limited("parity", &format!("logits, {name}"), difference, "relative", logits_limit);
        let (expected, found) =
            (training_pass(&on_cpu, &batch, &labels, false)?, training_pass(&on_gpu, &batch, &labels, true)?);
        let difference = (found.loss - expected.loss).abs();
        limited("parity", &format!("loss, {name}"), difference, "absolute", logits_limit);
        let (difference, worst) = worst_gradient(&found, &expected)?;
        limited("parity", &format!("gradients, {name}"), difference, "relative", gradient_limit);
        eprintln!("gpu_check parity: of the gradients in {name}, {worst} differs most");
        if let Some(folder) = &options.folder {
            leave(&folder.join(name), &on_cpu, &batch, &labels, &expected_logits, &expected)?;
        }
    }
    Ok(())
}

/// The model with its weights rounded to one dtype and held in another.
fn moved(model: &StepModel, rounded: DType, held: DType, device: &Device) -> Result<StepModel> {
    let tensors = model.parameters().iter().map(|(name, parameter)| {
        let tensor = parameter.as_detached_tensor().to_dtype(rounded)?.to_dtype(held)?.to_device(device)?;
        Ok((name.clone(), tensor))
    });
    Ok(StepModel::from_tensors(model.config().clone(), tensors.collect::<Result<BTreeMap<_, _>>>()?)?)
}

fn logits(model: &StepModel, batch: &PackedBatch) -> Result<Tensor> {
    Ok(model.forward_batch(batch, Some(TrainedParameters::Head))?.detach())
}

/// The norm of the difference over the norm of what is expected, or over `least` where that is larger.
pub fn relative(found: &Tensor, expected: &Tensor, least: f64) -> Result<f64> {
    let plain = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all();
    let (found, expected) = (plain(found)?, plain(expected)?);
    let norm = |tensor: &Tensor| tensor.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
    Ok(norm(&(found - &expected)?)? / norm(&expected)?.max(least))
}

/// The gradient that differs most, relative to itself or to a thousandth of all together.
fn worst_gradient(found: &Pass, expected: &Pass) -> Result<(f64, String)> {
    let mut squares = 0.0;
    for gradient in expected.gradients.values() {
        squares += f64::from(gradient.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let mut worst = (0.0, String::new());
    for (name, gradient) in &expected.gradients {
        let difference = relative(&found.gradients[name], gradient, squares.sqrt() * 1e-3)?;
        if !difference.is_finite() || difference > worst.0 {
            worst = (difference, name.clone());
        }
    }
    Ok(worst)
}

/// Writes what model/benches/pytorch_gpu.py compares PyTorch with.
fn leave(
    folder: &Path,
    model: &StepModel,
    batch: &PackedBatch,
    labels: &[u8],
    logits: &Tensor,
    pass: &Pass,
) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let tokenizer = StepTokenizer::train(["int main(void) { return 0; }"].iter(), 300)?;
    CheckpointFiles::from_model(model, &tokenizer)?.write_dir(&folder.join("model"))?;
    let integers = |values: Vec<i64>| Tensor::new(values, &Device::Cpu);
    let mut tensors = HashMap::from([
        ("input_ids".to_owned(), integers(batch.input_ids().iter().map(|id| i64::from(*id)).collect())?),
        ("separators".to_owned(), integers(batch.separators().iter().map(|row| i64::from(*row)).collect())?),
        ("lengths".to_owned(), integers(LENGTHS.iter().map(|length| *length as i64).collect())?),
        ("labels".to_owned(), integers(labels.iter().map(|label| i64::from(*label)).collect())?),
        ("class_weights".to_owned(), Tensor::new(&CLASS_WEIGHTS, &Device::Cpu)?),
        ("loss".to_owned(), Tensor::new(&[pass.loss], &Device::Cpu)?),
        ("logits".to_owned(), logits.clone()),
    ]);
    for (name, gradient) in &pass.gradients {
        tensors.insert(format!("gradient.{name}"), gradient.contiguous()?);
    }
    candle_core::safetensors::save(&tensors, folder.join("expected.safetensors"))?;
    Ok(())
}
