//! Computes what another library computes as well, and writes it down for comparison; `tests/interop/pytorch.py` is
//! the script that compares.
//!
//! - `parity train MODEL_DIR JOB.json OUT_DIR`: logits, gradients, losses of AdamW steps
//! - `parity load CHECKPOINT_DIR JOB.json OUT_DIR`: a whole checkpoint, tokenizer included; its logits, and it again
//! - `parity encode SAMPLES.json OUT_DIR`: a tokenizer, and the samples as training sees them

mod support;

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;
use secprm_model::{CheckpointFiles, EncodeOptions, HeadInit, StepModel, StepTokenizer, encode};
use serde::Deserialize;
use support::{Job, Outcome, read_model};

#[derive(Deserialize)]
struct Samples {
    separator: String,
    vocab_size: usize,
    samples: Vec<Sample>,
}

/// What this example alone reads of a job: how many AdamW steps to make.
#[derive(Deserialize)]
struct Steps {
    steps: usize,
}

#[derive(Deserialize)]
struct Sample {
    prompt: String,
    completions: Vec<String>,
    labels: Vec<i64>,
}

fn write_logits(model: &StepModel, job: &Job, path: &Path) -> Outcome<()> {
    let logits = model.forward_batch(&job.packed()?, None)?;
    Ok(candle_core::safetensors::save(&HashMap::from([("logits", logits)]), path)?)
}

fn train(directory: &Path, job: &Path, out: &Path) -> Outcome<()> {
    let Steps { steps } = serde_json::from_slice(&std::fs::read(job)?)?;
    let (model, job) = (read_model(directory)?, Job::read(job)?);
    write_logits(&model, &job, &out.join("logits.safetensors"))?;
    let batch = job.packed()?;
    let mut optimizer = job.optimizer(&model)?;
    let mut losses = Vec::new();
    for step in 0..steps {
        let (loss, gradients) = job.gradients(&model, &batch)?;
        if step == 0 {
            let gradients: HashMap<String, Tensor> = gradients.clone().into_iter().collect();
            candle_core::safetensors::save(&gradients, out.join("gradients.safetensors"))?;
        }
        job.update(&mut optimizer, &model, &gradients)?;
        losses.push(loss);
    }
    std::fs::write(out.join("losses.json"), serde_json::to_vec(&losses)?)?;
    let trained = model.parameters().iter().map(|(name, parameter)| (name.clone(), parameter.as_tensor().clone()));
    let trained: HashMap<String, Tensor> = trained.collect();
    Ok(candle_core::safetensors::save(&trained, out.join("trained.safetensors"))?)
}

fn load(directory: &Path, job: &Path, out: &Path) -> Outcome<()> {
    let checkpoint = CheckpointFiles::read_dir(directory)?.load(HeadInit::Required)?;
    write_logits(&checkpoint.model, &Job::read(job)?, &out.join("logits.safetensors"))?;
    let written = CheckpointFiles::from_model(&checkpoint.model, &checkpoint.tokenizer)?;
    Ok(written.write_dir(&out.join("checkpoint"))?)
}

/// Ids, and at each id the label that its step is trained on, -100 elsewhere.
fn encode_samples(path: &Path, out: &Path) -> Outcome<()> {
    let job: Samples = serde_json::from_slice(&std::fs::read(path)?)?;
    let texts = job.samples.iter().flat_map(|sample| sample.completions.iter().chain([&sample.prompt]));
    let tokenizer = StepTokenizer::train(texts, job.vocab_size)?;
    std::fs::write(out.join("tokenizer.json"), tokenizer.to_json())?;
    let options = EncodeOptions { separator: job.separator, ..EncodeOptions::default() };
    let mut encoded = Vec::new();
    for sample in &job.samples {
        for window in encode(&tokenizer, &sample.prompt, &sample.completions, &options)?.windows {
            let mut labels = vec![-100; window.input_ids.len()];
            for (position, step) in window.step_positions.iter().zip(window.steps) {
                labels[*position as usize] = sample.labels[step];
            }
            encoded.push(serde_json::json!({"input_ids": window.input_ids, "labels": labels}));
        }
    }
    Ok(std::fs::write(out.join("encoded.json"), serde_json::to_vec(&encoded)?)?)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["train", model, job, out] => train(Path::new(model), Path::new(job), Path::new(out)),
        ["load", checkpoint, job, out] => load(Path::new(checkpoint), Path::new(job), Path::new(out)),
        ["encode", samples, out] => encode_samples(Path::new(samples), Path::new(out)),
        _ => Err("usage: parity train|load|encode ..., see the head of this file".into()),
    }
}
