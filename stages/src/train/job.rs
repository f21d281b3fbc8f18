//! One training job: examples in memory, a model that is trained, a checkpoint and two tables.
//!
//! Reads examples handed in; writes `checkpoints/<model_id>/` (content-addressed, so that writing it twice is harmless), then `train_metrics`,
//! then `models`. The fingerprint of `models` says that all is complete; a concurrent reader goes by the release.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use secprm_model::{
    CheckpointFiles, HeadInit, MixedExamples, Qwen2Config, StepMetrics, StepModel, StepTokenizer, TrainConfig,
    TrainSummary, train,
};
use secprm_storage::{CommitMode, CommitNote, Fingerprint, Table, TableSpec, Warehouse};

use super::tables::model_tables;
use crate::error::{Result, StageError};
use crate::tables::{Cell, Rows};

/// What training starts from.
#[derive(Debug, Clone)]
pub enum ModelStart {
    /// Random weights.
    Random {
        /// The architecture.
        config: Box<Qwen2Config>,
        /// Seed of the weights.
        seed: u64,
    },
    /// A folder in Hugging Face layout; a head that is missing is drawn from the seed.
    Pretrained {
        /// The folder.
        folder: PathBuf,
        /// Seed of the head.
        seed: u64,
    },
}

/// Hears of each step, and may end training.
pub type Observer = Box<dyn FnMut(&StepMetrics) -> ControlFlow<()> + Send>;

/// Everything a training job needs.
pub struct TrainingJob {
    /// The examples that are trained on, with their repeats.
    pub examples: MixedExamples,
    /// The tokenizer that encoded them.
    pub tokenizer: Arc<StepTokenizer>,
    /// Where the weights come from.
    pub start: ModelStart,
    /// The settings.
    pub settings: TrainConfig,
    /// The label mode of the examples.
    pub label_mode: String,
    /// Called after each step; breaking ends training without a checkpoint.
    pub observer: Observer,
}

/// What came out of a training job.
pub struct Trained {
    /// The tables `train_metrics` and `models` after their commits.
    pub tables: Vec<Table>,
    /// The checkpoint.
    pub model_id: String,
    /// The run in numbers.
    pub summary: TrainSummary,
}

struct Outcome {
    files: CheckpointFiles,
    parent_id: Option<String>,
    parameters: usize,
    config: Qwen2Config,
    steps: Vec<(StepMetrics, f64)>,
    summary: TrainSummary,
}

/// Trains and writes the checkpoint and its rows; `heads` are the newest versions of `train_metrics` and `models`, `now_micros` the time
/// to record.
///
/// # Errors
/// As [`secprm_model::train()`]; nothing is committed then.
pub async fn run_training(
    warehouse: &Warehouse,
    job: TrainingJob,
    heads: (Option<&Table>, Option<&Table>),
    fingerprint: Fingerprint,
    now_micros: i64,
    note: &CommitNote,
) -> Result<Trained> {
    let tokenizer_id = job.tokenizer.id().to_owned();
    let label_mode = job.label_mode.clone();
    let settings = job.settings.clone();
    let outcome = tokio::task::spawn_blocking(move || train_model(job)).await??;
    if outcome.summary.stopped_early {
        return Err(StageError::Interrupted);
    }
    let model_id = outcome.files.model_id();
    let url = format!("checkpoints/{model_id}");
    for (name, content) in outcome.files.files {
        warehouse.put_atomic(&format!("{url}/{name}"), content.into()).await?;
    }
    let [_, models, train_metrics] = model_tables();
    let mut history = Rows::new(train_metrics.schema.clone());
    for (metrics, seconds) in &outcome.steps {
        push_step(&mut history, &model_id, metrics, *seconds);
    }
    let mut rows = Rows::new(models.schema.clone());
    let summary = outcome.summary;
    rows.push(&[
        Cell::Text(Some(&model_id)),
        Cell::Text(outcome.parent_id.as_deref()),
        Cell::Int(Some(now_micros)),
        Cell::Text(Some(&note.run_id)),
        Cell::Text(Some(&url)),
        Cell::Text(Some(&tokenizer_id)),
        Cell::Text(Some(&label_mode)),
        Cell::Text(Some(&outcome.config.to_json())),
        Cell::Text(Some(&serde_json::to_string(&settings).unwrap_or_default())),
        Cell::Text(Some(&fingerprint.to_string())),
        Cell::Int(Some(outcome.parameters as i64)),
        Cell::Int(Some(summary.steps as i64)),
        Cell::Int(Some(summary.tokens as i64)),
        Cell::Float(summary.first_loss),
        Cell::Float(summary.last_epoch_loss),
        Cell::Text(Some(env!("CARGO_PKG_VERSION"))),
    ]);
    let tables = vec![
        replace_all(warehouse, &train_metrics, heads.0, history, fingerprint, note).await?,
        replace_all(warehouse, &models, heads.1, rows, fingerprint, note).await?,
    ];
    Ok(Trained { tables, model_id, summary })
}

async fn replace_all(
    warehouse: &Warehouse,
    spec: &TableSpec,
    base: Option<&Table>,
    mut rows: Rows,
    fingerprint: Fingerprint,
    note: &CommitNote,
) -> Result<Table> {
    let mut writer = warehouse.part_writer(spec)?;
    if let Some(batch) = rows.finish()? {
        writer.write(&batch).await?;
    }
    let parts = writer.finish().await?;
    Ok(warehouse.commit(spec, base, parts, &CommitMode::ReplaceAll { fingerprint }, note).await?)
}

fn train_model(job: TrainingJob) -> Result<Outcome> {
    let TrainingJob { examples, tokenizer, start, settings, mut observer, .. } = job;
    let (model, parent_id) = match start {
        ModelStart::Random { config, seed } => (StepModel::random(*config, seed)?, None),
        ModelStart::Pretrained { folder, seed } => {
            let files = CheckpointFiles::read_dir(&folder)?;
            let checkpoint = files.load(HeadInit::RandomIfMissing(seed))?;
            (checkpoint.model, Some(checkpoint.model_id))
        }
    };
    let mut steps = Vec::new();
    let mut last = Instant::now();
    let summary = train(&model, &examples, &settings, &mut |metrics| {
        let seconds = last.elapsed().as_secs_f64();
        last = Instant::now();
        steps.push((metrics.clone(), seconds));
        observer(metrics)
    })?;
    let files = CheckpointFiles::from_model(&model, &tokenizer)?;
    let config = model.config().clone();
    Ok(Outcome { files, parent_id, parameters: model.parameter_count(), config, steps, summary })
}

fn push_step(rows: &mut Rows, model_id: &str, metrics: &StepMetrics, seconds: f64) {
    rows.push(&[
        Cell::Text(Some(model_id)),
        Cell::Int(Some(metrics.step as i64)),
        Cell::Text(Some(&metrics.stage)),
        Cell::Int(Some(metrics.epoch as i64)),
        Cell::Float(Some(metrics.loss)),
        Cell::Float(Some(metrics.learning_rate)),
        Cell::Float(Some(metrics.grad_norm)),
        Cell::Int(Some(metrics.tokens as i64)),
        Cell::Int(Some(metrics.supervised_steps as i64)),
        Cell::Float(Some(seconds)),
        Cell::Bool(Some(metrics.skipped)),
    ]);
}
