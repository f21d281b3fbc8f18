//! Trains the small preset on a JSON lines file of `{"key", "steps", "labels"}` and reports speed and losses.
//!
//! `cargo run --release -p secprm-model --example train_small -- TRAIN.jsonl HELD_OUT.jsonl`

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use secprm_model::rewards::{DEFAULT_TEMPERATURE, risk};
use secprm_model::{
    EncodeOptions, Example, MixedExamples, Preset, Qwen2Config, StepMetrics, StepModel, StepTokenizer, Training,
    encode, score_sequences,
};
use serde::Deserialize;

const PROMPT: &str = "Review this code for security vulnerabilities, one step at a time.";

#[derive(Deserialize)]
struct Sample {
    key: String,
    steps: Vec<String>,
    labels: Vec<u8>,
}

fn read(path: &str) -> Result<Vec<Sample>, Box<dyn Error>> {
    std::fs::read_to_string(path)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn examples(samples: &[Sample], tokenizer: &StepTokenizer) -> Result<Vec<Example>, Box<dyn Error>> {
    let mut examples = Vec::new();
    for sample in samples {
        let encoded = encode(tokenizer, PROMPT, &sample.steps, &EncodeOptions::default())?;
        for window in encoded.windows {
            let step_labels = sample.labels[window.steps.clone()].to_vec();
            examples.push(Example {
                key: format!("{}#{}", sample.key, window.steps.start),
                input_ids: window.input_ids,
                step_positions: window.step_positions,
                step_supervised: vec![true; step_labels.len()],
                step_labels,
            });
        }
    }
    Ok(examples)
}

/// Area under the ROC curve of "the risk aggregate is low" for "some step is vulnerable".
fn auroc(model: &StepModel, examples: &[Example]) -> Result<f64, Box<dyn Error>> {
    let sequences: Vec<_> = examples.iter().map(|e| (e.input_ids.as_slice(), e.step_positions.as_slice())).collect();
    let mut classes = [Vec::new(), Vec::new()];
    for (scores, example) in score_sequences(model, &sequences)?.iter().zip(examples) {
        let rewards: Vec<f64> = scores.iter().map(|score| score.reward).collect();
        let secure = usize::from(!example.step_labels.contains(&0));
        classes[secure].extend(risk(&rewards, DEFAULT_TEMPERATURE));
    }
    let [vulnerable, secure] = classes;
    let wins = vulnerable.iter().flat_map(|v| {
        secure.iter().map(move |s| match v.total_cmp(s) {
            std::cmp::Ordering::Less => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Greater => 0.0,
        })
    });
    Ok(wins.sum::<f64>() / (vulnerable.len() * secure.len()) as f64)
}

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [train_path, held_out_path] = paths.as_slice() else {
        return Err("usage: train_small TRAIN.jsonl HELD_OUT.jsonl".into());
    };
    let samples = read(train_path)?;
    let steps = samples.iter().flat_map(|sample| sample.steps.iter().map(String::as_str));
    let texts: Vec<&str> = steps.chain([PROMPT]).collect();
    let tokenizer = StepTokenizer::train(texts.iter(), 2048)?;
    let known = examples(&samples, &tokenizer)?;
    let held_out = examples(&read(held_out_path)?, &tokenizer)?;
    let config = Preset::Small.config();
    let architecture = Qwen2Config::small(tokenizer.vocab_size());
    let model = StepModel::random(architecture, config.seed)?;
    println!("{} parameters, {} examples", model.parameter_count(), known.len());
    let start = Instant::now();
    let mut epoch_losses: Vec<(String, u64, f64, u64)> = Vec::new();
    let mut observer = |metrics: &StepMetrics| {
        match epoch_losses.last_mut() {
            Some(last) if last.0 == metrics.stage && last.1 == metrics.epoch => {
                last.2 += metrics.loss;
                last.3 += 1;
            }
            _ => epoch_losses.push((metrics.stage.clone(), metrics.epoch, metrics.loss, 1)),
        }
        ControlFlow::Continue(())
    };
    let summary = Training::alone(&model, &MixedExamples::once(known.clone())?, &config).run(None, &mut observer)?;
    let seconds = start.elapsed().as_secs_f64();
    for (stage, epoch, loss, steps) in epoch_losses {
        println!("{stage} epoch {epoch}: mean loss {:.4}", loss / steps as f64);
    }
    println!(
        "{} steps, {} tokens, {seconds:.2} s, {:.0} tokens/s",
        summary.steps,
        summary.tokens,
        summary.tokens as f64 / seconds
    );
    for (name, examples) in [("train", &known), ("held out", &held_out)] {
        let start = Instant::now();
        let area = auroc(&model, examples)?;
        let tokens: usize = examples.iter().map(|example| example.input_ids.len()).sum();
        println!("{name}: AUROC {area:.3}, scored at {:.0} tokens/s", tokens as f64 / start.elapsed().as_secs_f64());
    }
    Ok(())
}
