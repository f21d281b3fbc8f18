//! The history of a training run: a row an optimiser step, kept with its checkpoints so that a resumed run has all of it.

use secprm_model::{Evaluation, StepMetrics};
use serde::{Deserialize, Serialize};

use crate::tables::{Cell, Rows};

/// What `train_metrics` says of a step, but the model, which is not known before the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRow {
    step: u64,
    stage: String,
    epoch: u64,
    tokens: u64,
    supervised_steps: u64,
    skipped: bool,
    #[serde(with = "secprm_model::exact")]
    loss: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    learning_rate: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    grad_norm: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    seconds: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    data_wait: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    mfu: Option<f64>,
    memory_bytes: Option<u64>,
    #[serde(with = "secprm_model::exact")]
    held_out_loss: Option<f64>,
    #[serde(with = "secprm_model::exact")]
    held_out_f1: Option<f64>,
}

impl StepRow {
    /// Describes a step that one rank measured; `peak_flops` are what all ranks together can do in a second, where that is known.
    pub fn new(metrics: &StepMetrics, peak_flops: Option<f64>) -> Self {
        let seconds = metrics.elapsed.as_secs_f64();
        StepRow {
            step: metrics.step,
            stage: metrics.stage.clone(),
            epoch: metrics.epoch,
            tokens: metrics.tokens,
            supervised_steps: metrics.supervised_steps,
            skipped: metrics.skipped,
            loss: Some(metrics.loss),
            learning_rate: Some(metrics.learning_rate),
            grad_norm: Some(metrics.grad_norm),
            seconds: Some(seconds),
            data_wait: Some(ratio(metrics.data_wait.as_secs_f64(), seconds)),
            mfu: peak_flops.map(|peak| ratio(metrics.flops as f64, seconds * peak)),
            memory_bytes: resident_bytes(),
            held_out_loss: None,
            held_out_f1: None,
        }
    }

    /// Adds what the model did on held-out examples after the step.
    pub fn evaluated(&mut self, evaluation: &Evaluation) {
        self.held_out_loss = Some(evaluation.loss);
        self.held_out_f1 = evaluation.f1;
    }

    /// Returns the step's number.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Returns the loss on held-out examples after the step, where it was evaluated.
    pub fn held_out_loss(&self) -> Option<f64> {
        self.held_out_loss
    }

    /// Names the numbers as TensorBoard shows them.
    pub fn scalars(&self) -> Vec<(&'static str, Option<f64>)> {
        vec![
            ("train/loss", self.loss),
            ("train/learning_rate", self.learning_rate),
            ("train/grad_norm", self.grad_norm),
            ("train/epoch", Some(self.epoch as f64)),
            ("speed/tokens_per_second", Some(self.per_second(self.tokens))),
            ("speed/supervised_steps_per_second", Some(self.per_second(self.supervised_steps))),
            ("speed/data_wait", self.data_wait),
            ("speed/mfu", self.mfu),
            ("memory/bytes", self.memory_bytes.map(|bytes| bytes as f64)),
            ("held_out/loss", self.held_out_loss),
            ("held_out/f1", self.held_out_f1),
        ]
    }

    /// Appends the row to `train_metrics`.
    pub fn push(&self, rows: &mut Rows, model_id: &str) {
        rows.push(&[
            Cell::Text(Some(model_id)),
            Cell::Int(Some(self.step as i64)),
            Cell::Text(Some(&self.stage)),
            Cell::Int(Some(self.epoch as i64)),
            Cell::Float(self.loss),
            Cell::Float(self.learning_rate),
            Cell::Float(self.grad_norm),
            Cell::Int(Some(self.tokens as i64)),
            Cell::Int(Some(self.supervised_steps as i64)),
            Cell::Float(self.seconds),
            Cell::Float(Some(self.per_second(self.tokens))),
            Cell::Float(Some(self.per_second(self.supervised_steps))),
            Cell::Float(self.data_wait),
            Cell::Int(self.memory_bytes.map(|bytes| bytes as i64)),
            Cell::Float(self.mfu),
            Cell::Float(self.held_out_loss),
            Cell::Float(self.held_out_f1),
            Cell::Bool(Some(self.skipped)),
        ]);
    }

    fn per_second(&self, count: u64) -> f64 {
        ratio(count as f64, self.seconds.unwrap_or(0.0))
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Memory of this process that is in use; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn metrics() -> StepMetrics {
        StepMetrics {
            stage: "all".to_owned(),
            step: 3,
            epoch: 1,
            loss: f64::NAN,
            learning_rate: 0.1 + 0.2,
            grad_norm: 1.5,
            tokens: 100,
            supervised_steps: 8,
            flops: 1_000_000,
            skipped: true,
            elapsed: Duration::from_millis(500),
            data_wait: Duration::from_millis(50),
        }
    }

    #[test]
    fn a_row_reads_back_whatever_its_numbers_are() {
        let row = StepRow::new(&metrics(), None);
        let again: StepRow = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
        assert!(again.loss.unwrap().is_nan());
        assert_eq!(StepRow { loss: None, ..again }, StepRow { loss: None, ..row });
    }

    #[test]
    fn rates_are_per_second_and_shares_of_the_step() {
        let mut row = StepRow::new(&metrics(), Some(1e8));
        row.evaluated(&Evaluation { loss: 0.25, f1: Some(0.5), ..Evaluation::default() });
        let scalars: std::collections::BTreeMap<_, _> = row.scalars().into_iter().collect();
        assert_eq!(scalars["speed/tokens_per_second"], Some(200.0));
        assert_eq!(scalars["speed/data_wait"], Some(0.1));
        assert_eq!(scalars["speed/mfu"], Some(0.02));
        assert_eq!((scalars["held_out/loss"], scalars["held_out/f1"]), (Some(0.25), Some(0.5)));
        #[cfg(target_os = "linux")]
        assert!(scalars["memory/bytes"].unwrap() > 1e5);
    }
}
