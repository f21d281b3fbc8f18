//! One training job: examples, a model that is trained, a checkpoint and two tables.
//!
//! Reads examples handed in; writes checkpoints of the run that goes on below `training/<job>/` (saved.rs), then `checkpoints/<model_id>/`
//! (content-addressed, so that writing it twice is harmless), then `train_metrics`, then `models`. The fingerprint of `models` says that all is
//! complete; a concurrent reader goes by the release. With several ranks all of them train and the first one writes.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use secprm_model::{
    Cadence, Checkpoint, CheckpointFiles, Collective, Device, ExampleSource, HeadInit, Qwen2Config, SavedOptimizer,
    SelfCheck, StepMetrics, StepModel, StepTokenizer, TrainConfig, TrainState, TrainSummary, Training, self_check,
};
use secprm_storage::{CommitMode, CommitNote, ErrorKind as StorageErrorKind, Fingerprint, Table, TableSpec, Warehouse};
use tokio::runtime::Handle;

use super::events::EventWriter;
use super::history::StepRow;
use super::recorder::Recorder;
use super::saved::{CheckpointWriter, JobFolder, LoadedCheckpoint};
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

/// What a job does beside training; none of it changes a weight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Habits {
    /// When it saves and evaluates.
    pub cadence: Cadence,
    /// How many checkpoints of an unfinished run are kept, beside the best.
    pub keep: usize,
    /// Floating-point operations a second that all ranks together can do at most, where that is known.
    pub peak_flops: Option<f64>,
    /// Folder for TensorBoard's event files.
    pub events: Option<PathBuf>,
}

/// Everything a training job needs.
pub struct TrainingJob {
    /// The examples that are trained on, with their repeats.
    pub examples: Box<dyn ExampleSource + Send>,
    /// Examples that the model is evaluated on while it is trained.
    pub held_out: Option<Box<dyn ExampleSource + Send>>,
    /// The tokenizer that encoded them.
    pub tokenizer: Arc<StepTokenizer>,
    /// Where the weights come from.
    pub start: ModelStart,
    /// The settings.
    pub settings: TrainConfig,
    /// What this rank computes on.
    pub device: Device,
    /// What it does beside training.
    pub habits: Habits,
    /// The label mode of the examples.
    pub label_mode: String,
    /// Where checkpoints of the run are.
    pub folder: JobFolder,
    /// Whether it goes on from a checkpoint that an earlier attempt left.
    pub resume: bool,
    /// The ranks that train together.
    pub collective: Arc<dyn Collective>,
    /// Called after each step; breaking ends training without a model.
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
    /// The step that the run went on from; 0 if it began anew.
    pub resumed_at: u64,
}

struct Outcome {
    files: Option<CheckpointFiles>,
    parent_id: Option<String>,
    parameters: usize,
    config: Qwen2Config,
    history: Vec<StepRow>,
    summary: TrainSummary,
    resumed_at: u64,
}

/// Trains and writes the checkpoint and its rows; `heads` are the newest versions of `train_metrics` and `models`, `now_micros` the time
/// to record.
///
/// # Errors
/// As [`Training::run`]; nothing is committed then.
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
    let folder = job.folder.clone();
    let outcome = train(job).await?;
    let files = outcome.files.unwrap_or_default();
    let model_id = files.model_id();
    let url = format!("checkpoints/{model_id}");
    for (name, content) in files.files {
        warehouse.put_atomic(&format!("{url}/{name}"), content.into()).await?;
    }
    let [_, models, train_metrics] = model_tables();
    let mut history = Rows::new(train_metrics.schema.clone());
    for row in &outcome.history {
        row.push(&mut history, &model_id);
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
    // Only now: a run that is killed before goes on from its checkpoint.
    folder.remove_all().await?;
    Ok(Trained { tables, model_id, summary, resumed_at: outcome.resumed_at })
}

/// Trains as one of several ranks, but not the first, which writes for all.
///
/// # Errors
/// As [`Training::run`].
pub async fn join_training(job: TrainingJob) -> Result<()> {
    train(job).await.map(drop)
}

/// Looks at what must hold before a long run, in a few steps whose outcome is thrown away.
///
/// # Errors
/// As [`Training::run`].
pub async fn check_training(job: TrainingJob) -> Result<Vec<SelfCheck>> {
    let check = move || {
        let (model, _) = starting_model(&job)?;
        let collective = job.collective.as_ref();
        Ok(self_check(&Training { collective, ..Training::alone(&model, job.examples.as_ref(), &job.settings) })?)
    };
    tokio::task::spawn_blocking(check).await?
}

async fn train(job: TrainingJob) -> Result<Outcome> {
    let runtime = Handle::current();
    let outcome = tokio::task::spawn_blocking(move || train_model(job, runtime)).await??;
    if outcome.summary.stopped_early {
        return Err(StageError::Interrupted);
    }
    Ok(outcome)
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

fn train_model(job: TrainingJob, runtime: Handle) -> Result<Outcome> {
    let (model, parent_id, from, history) = match earlier(&job, &runtime)? {
        Some(LoadedCheckpoint { state, history, model, optimizer }) => {
            let loaded = model.load_on(&job.device, job.settings.dtype.dtype(), HeadInit::Required)?;
            let parent_id = if job.collective.is_first() { parent_of(&job.start)? } else { None };
            (loaded.model, parent_id, Some((state, optimizer)), history)
        }
        None => {
            let (start, parent_id) = starting_model(&job)?;
            (start, parent_id, None, Vec::new())
        }
    };
    let resumed_at = from.as_ref().map_or(0, |(state, _): &(TrainState, SavedOptimizer)| state.steps);
    let is_first = job.collective.is_first();
    let events = match job.habits.events.as_ref().filter(|_| is_first) {
        Some(folder) => Some(EventWriter::create(folder, super::recorder::now(), &job.folder.attempt)?),
        None => None,
    };
    let mut recorder = Recorder {
        tokenizer: job.tokenizer.clone(),
        history,
        peak_flops: job.habits.peak_flops,
        events,
        writer: CheckpointWriter::new(job.folder.clone(), job.habits.keep, runtime),
        is_first,
        observer: job.observer,
        failure: None,
    };
    let training = Training {
        held_out: job.held_out.as_deref().map(|source| source as &dyn ExampleSource),
        cadence: job.habits.cadence,
        collective: job.collective.as_ref(),
        ..Training::alone(&model, job.examples.as_ref(), &job.settings)
    };
    let result = training.run(from, &mut recorder);
    // What is being written of a checkpoint is worth waiting for, however the run ended.
    let written = recorder.writer.finish();
    // A checkpoint that could not be written says more than the run that it ended.
    if let Some(failure) = recorder.failure.take() {
        return Err(failure);
    }
    let summary = result?;
    written?;
    let files = if is_first { Some(CheckpointFiles::from_model(&model, &job.tokenizer)?) } else { None };
    Ok(Outcome {
        files,
        parent_id,
        parameters: model.parameter_count(),
        config: model.config().clone(),
        history: recorder.history,
        summary,
        resumed_at,
    })
}

/// The model that training starts from, and its identity if it is a checkpoint.
fn starting_model(job: &TrainingJob) -> Result<(StepModel, Option<String>)> {
    let (device, dtype) = (&job.device, job.settings.dtype.dtype());
    Ok(match &job.start {
        ModelStart::Random { config, seed } => {
            // Drawn on the host: the same on every rank and device.
            (StepModel::random((**config).clone(), *seed)?.to(dtype, device)?, None)
        }
        ModelStart::Pretrained { folder, seed } => {
            let head = HeadInit::RandomIfMissing(*seed);
            let checkpoint = Checkpoint::open(folder, device, dtype, head)?;
            (checkpoint.model, Some(checkpoint.model_id))
        }
    })
}

/// The identity of the checkpoint that training started from, without loading it.
fn parent_of(start: &ModelStart) -> Result<Option<String>> {
    Ok(match start {
        ModelStart::Random { .. } => None,
        ModelStart::Pretrained { folder, .. } => Some(Checkpoint::identify(folder)?),
    })
}

/// Reads the newest checkpoint that is whole; all ranks go on from the one that the first rank could read.
fn earlier(job: &TrainingJob, runtime: &Handle) -> Result<Option<LoadedCheckpoint>> {
    let mut chosen = None;
    if job.collective.is_first() && job.resume {
        for folder in runtime.block_on(job.folder.checkpoints())? {
            match runtime.block_on(job.folder.load(&folder)) {
                Ok(loaded) => {
                    chosen = Some((folder, loaded));
                    break;
                }
                // A damaged one is passed over: the one before it is whole. A store that fails is no reason to begin anew.
                Err(StageError::Saved { .. }) => {}
                Err(StageError::Storage(error)) if error.kind() == StorageErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    let name = chosen.as_ref().map_or("", |(folder, _)| folder.as_str()).as_bytes().to_vec();
    let name = String::from_utf8_lossy(&job.collective.broadcast(name)?).into_owned();
    match chosen {
        Some((_, loaded)) => Ok(Some(loaded)),
        None if name.is_empty() => Ok(None),
        None => Ok(Some(runtime.block_on(job.folder.load(&name))?)),
    }
}
