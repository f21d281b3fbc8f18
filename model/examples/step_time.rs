//! Times a forward pass and a training step on request, so that a script can alternate it with another library.
//!
//! `step_time MODEL_DIR JOB.json` reads `forward`, `gradients` or `step` from each line of standard input and answers
//! with a line of JSON. `model/benches/pytorch.py` is that script.

mod support;

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use secprm_model::StepModel;
use secprm_model::loss::{weight_sum, weighted_cross_entropy};
use support::{Job, Outcome, read_model};

/// A number of mebibytes from `/proc/self/status`; 0 where there is none.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(0.0) / 1024.0
}

fn serve(model: &StepModel, job: &Job) -> Outcome<()> {
    let (batch, labels) = (job.packed()?, job.labels());
    let normaliser = weight_sum(&labels, job.class_weights);
    let mut optimizer = job.optimizer(model)?;
    let mut output = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let start = Instant::now();
        let loss = match line?.trim() {
            "forward" => {
                let logits = model.forward_batch(&batch, None)?;
                let loss = weighted_cross_entropy(&logits, &labels, job.class_weights, normaliser)?;
                f64::from(loss.to_scalar::<f32>()?)
            }
            "gradients" => job.gradients(model, &batch)?.0,
            "step" => {
                let (loss, gradients) = job.gradients(model, &batch)?;
                job.update(&mut optimizer, model, &gradients)?;
                loss
            }
            other => return Err(format!("\"{other}\" is none of forward, gradients and step").into()),
        };
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let peak = memory("VmHWM");
        let answer = serde_json::json!({"milliseconds": milliseconds, "loss": loss, "peak_mib": peak});
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, job] = arguments.as_slice() else {
        return Err("usage: step_time MODEL_DIR JOB.json".into());
    };
    let (model, job) = (read_model(Path::new(directory))?, Job::read(Path::new(job))?);
    println!("{}", serde_json::json!({"parameters": model.parameter_count(), "base_mib": memory("VmRSS")}));
    serve(&model, &job)
}
