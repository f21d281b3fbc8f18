//! Keeps a run's history, writes it for TensorBoard, and saves checkpoints.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use secprm_model::{
    CheckpointFiles, Evaluation, ModelError, Snapshot, StepMetrics, StepTokenizer, TrainObserver, write_optimizer,
};

use super::events::EventWriter;
use super::history::StepRow;
use super::job::Observer;
use super::saved::CheckpointWriter;
use crate::error::{Result, StageError};

/// Hears of a run's steps on behalf of a job.
pub(super) struct Recorder {
    pub tokenizer: Arc<StepTokenizer>,
    pub history: Vec<StepRow>,
    pub peak_flops: Option<f64>,
    pub events: Option<EventWriter>,
    pub writer: CheckpointWriter,
    pub is_first: bool,
    pub observer: Observer,
    /// Why the run was ended from here.
    pub failure: Option<StageError>,
}

impl Recorder {
    fn save(&mut self, snapshot: &Snapshot) -> Result<()> {
        let model = match self.is_first {
            true => Some((CheckpointFiles::from_model(snapshot.model, &self.tokenizer)?, self.history.as_slice())),
            false => None,
        };
        let optimizer = write_optimizer(snapshot.optimizer)?;
        let held_out_loss = self.history.last().and_then(StepRow::held_out_loss);
        self.writer.save(snapshot.state, held_out_loss, model, optimizer)
    }

    /// Writes those of the last step's numbers whose tag is wanted.
    fn write_event(&mut self, wanted: fn(&str) -> bool) -> Result<()> {
        let (Some(events), Some(row)) = (&mut self.events, self.history.last()) else { return Ok(()) };
        let mut numbers = row.scalars();
        numbers.retain(|(tag, _)| wanted(tag));
        events.scalars(now(), row.step(), &numbers)
    }

    /// Keeps the cause, which is none of the model's errors.
    fn or_end(&mut self, result: Result<()>) -> secprm_model::Result<()> {
        result.map_err(|error| {
            let reason = error.to_string();
            self.failure = Some(error);
            ModelError::Checkpoint(reason)
        })
    }
}

impl TrainObserver for Recorder {
    fn step(&mut self, metrics: &StepMetrics) -> ControlFlow<()> {
        self.history.push(StepRow::new(metrics, self.peak_flops));
        let written = self.write_event(|_| true);
        if self.or_end(written).is_err() {
            return ControlFlow::Break(());
        }
        (self.observer)(metrics)
    }

    fn evaluated(&mut self, evaluation: &Evaluation) -> secprm_model::Result<()> {
        if let Some(row) = self.history.last_mut() {
            row.evaluated(evaluation);
        }
        let written = self.write_event(|tag| tag.starts_with("held_out/"));
        self.or_end(written)
    }

    fn checkpoint(&mut self, snapshot: Snapshot) -> secprm_model::Result<()> {
        let saved = self.save(&snapshot);
        self.or_end(saved)
    }
}

/// Seconds since 1970, for names and TensorBoard's axis.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
