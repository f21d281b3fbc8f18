//! Stage `train`: shards of the training split, mixed as `[mix]` says, into a checkpoint, `models` and `train_metrics`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use secprm_model::examples::epoch_len;
use secprm_model::{ExampleSource, MixedExamples, SelfCheck, TrainConfig};
use secprm_stages::train::{
    JobFolder, MODELS, ModelStart, Observer, StreamedExamples, TOKENIZERS, TRAIN_METRICS, TrainingJob, check_training,
    join_training, load_examples, repeats_of, run_training,
};
use secprm_storage::{ReadSettings, Table};
use serde::{Deserialize, Serialize};

use super::relation::whole;
use super::tokenizer::load_tokenizer;
use super::{cannot_read, read_named};
use crate::catalog::Rows;
use crate::config::{Project, TrainSection, When};
use crate::error::{Error, Kind, Result};
use crate::freshness::hash_text;
use crate::history::now_micros;
use crate::mixture::{all_left_out, left_out_of_training};
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

/// Trains the model.
pub struct TrainStage {
    declaration: Declaration,
    settings: TrainConfig,
    shape_text: Option<String>,
}

impl TrainStage {
    /// Makes the stage of a project.
    ///
    /// # Errors
    /// Of kind usage: settings that make no sense, a model configuration that cannot be read.
    pub fn new(project: &Project) -> Result<Self> {
        let config = &project.config;
        let settings = config.train.settings()?;
        let shape_text = match &config.model.config {
            Some(path) => Some(read_named(project, "[model] config", path)?),
            None => None,
        };
        let json = |value: &serde_json::Value| value.to_string();
        let mix = format!("{}; without {}", config.mix.repeats_as_text(), config.mix.leave_out_as_text());
        let mut inputs = BTreeMap::from([
            ("train stage".to_owned(), "2".to_owned()),
            ("[train]".to_owned(), json(&serde_json::to_value(&settings).unwrap_or_default())),
            ("[train] label_mode".to_owned(), config.train.label_mode.as_str().to_owned()),
            ("[mix]".to_owned(), mix),
            ("[model]".to_owned(), json(&serde_json::to_value(&config.model).unwrap_or_default())),
        ]);
        if let Some(text) = &shape_text {
            inputs.insert("[model] config".to_owned(), hash_text(text));
        }
        if let Some(folder) = &config.model.path {
            inputs.insert("files of [model] path".to_owned(), stamps(&project.folder.join(folder))?);
        }
        let declaration = Declaration {
            name: "train".to_owned(),
            reads: vec!["train_shards".to_owned(), TOKENIZERS.to_owned()],
            writes: vec![MODELS.to_owned(), TRAIN_METRICS.to_owned()],
            scope: Scope::Global,
            inputs,
            manual: config.train.when == When::Manual,
        };
        Ok(TrainStage { declaration, settings, shape_text })
    }

    fn start(&self, project: &Project, vocab_size: usize) -> Result<ModelStart> {
        let model = &project.config.model;
        match &model.path {
            Some(folder) => Ok(ModelStart::Pretrained { folder: project.folder.join(folder), seed: model.seed }),
            None => {
                let config = Box::new(model.shape(self.shape_text.as_deref(), vocab_size)?);
                Ok(ModelStart::Random { config, seed: model.seed })
            }
        }
    }
}

/// What the first rank tells the others to do: on which tables, which attempt at which job.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    versions: BTreeMap<String, u64>,
    job: String,
    attempt: String,
    resume: bool,
}

impl TrainStage {
    /// Reads what is trained on and describes the job as this rank does it.
    async fn job(&self, world: &World, order: &Order) -> Result<TrainingJob> {
        let tokenizer =
            load_tokenizer(world).await?.ok_or_else(|| Error::bug("train runs before there is a tokenizer"))?;
        let session = world.sessions.open(&world.heads(), Rows::All)?;
        let rows =
            session.sql("SELECT sample_id, window_index, repeats FROM training_shards WHERE repeats > 0").await?;
        let repeats = repeats_of(&rows.collect().await?)?;
        let shards = world.head("train_shards").filter(|_| !repeats.is_empty());
        let Some(shards) = shards else { return Err(nothing_to_train_on(&session).await?) };
        let section = &world.project.config.train;
        let (rank, ranks) = (world.collective.rank(), world.collective.ranks());
        let folder = JobFolder {
            warehouse: world.warehouse.clone(),
            job: order.job.clone(),
            attempt: order.attempt.clone(),
            rank,
            ranks,
        };
        let cache = section.cache(&world.project.folder)?;
        let examples = StreamedExamples::list(&shards, &repeats, cache, ReadSettings::default()).await?;
        let steps = self.settings.steps(epoch_len(examples.listed()));
        Ok(TrainingJob {
            examples: Box::new(examples),
            held_out: held_out(&session, section).await?,
            start: self.start(&world.project, tokenizer.vocab_size())?,
            tokenizer,
            settings: self.settings.clone(),
            device: world.device()?,
            habits: section.habits(&world.project.folder, ranks),
            label_mode: section.label_mode.as_str().to_owned(),
            folder,
            resume: order.resume,
            collective: world.collective.clone(),
            observer: observer(world, steps),
        })
    }

    /// Looks at what must hold before a long run, on all ranks; writes nothing.
    ///
    /// # Errors
    /// As [`Stage::run`].
    pub async fn self_check(&self, world: &World) -> Result<Vec<SelfCheck>> {
        let order = Order { versions: BTreeMap::new(), job: String::new(), attempt: String::new(), resume: false };
        let job = self.job(world, &order).await?;
        Ok(check_training(job).await?)
    }

    /// Trains as one of several ranks, but not the first: waits for what that one says is to be done, and returns when it is.
    ///
    /// # Errors
    /// As [`Stage::run`].
    pub async fn join(&self, world: &World) -> Result<()> {
        let told = tell(world, Vec::new()).await?;
        let Some(order) =
            serde_json::from_slice::<Option<Order>>(&told).map_err(|error| Error::bug(error.to_string()))?
        else {
            return Ok(());
        };
        for (name, version) in &order.versions {
            if world.head(name).is_none_or(|head| head.version() != *version) {
                world.advance(&[world.warehouse.table_at(name, *version).await?]);
            }
        }
        join_training(self.job(world, &order).await?).await?;
        Ok(())
    }
}

/// Tells the other ranks that there is nothing to train.
pub async fn tell_nothing(world: &World) -> Result<()> {
    tell(world, b"null".to_vec()).await.map(drop)
}

/// Hands all ranks what the first one says.
async fn tell(world: &World, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let collective = world.collective.clone();
    let told = tokio::task::spawn_blocking(move || collective.broadcast(bytes)).await;
    Ok(told.map_err(|error| Error::bug(error.to_string()))??)
}

/// Examples of the split validation to evaluate on; sample_id is a hash, so that the first few are any few.
async fn held_out(session: &SessionContext, section: &TrainSection) -> Result<Option<Box<dyn ExampleSource + Send>>> {
    if section.evaluate_every == 0 || section.evaluate_examples == 0 {
        return Ok(None);
    }
    let query = format!(
        "SELECT sample_id, window_index, input_ids, step_positions, step_labels, step_supervised FROM train_shards \
         WHERE split = 'validation' ORDER BY sample_id, window_index LIMIT {}",
        section.evaluate_examples
    );
    let examples = load_examples(&session.sql(&query).await?.collect().await?)?;
    let source = MixedExamples::once(examples)?;
    Ok((!source.is_empty()).then(|| Box::new(source) as Box<dyn ExampleSource + Send>))
}

/// Shows progress on the first rank, and ends training when the user interrupts.
fn observer(world: &World, steps: u64) -> Observer {
    let (progress, cancelled) = (world.progress.clone(), world.cancelled.clone());
    let is_shown = world.collective.is_first();
    Box::new(move |metrics| {
        if is_shown {
            let detail = format!("step {} of {steps}, {}: loss {:.4}", metrics.step + 1, metrics.stage, metrics.loss);
            progress.advanced("train", &detail, metrics.step, steps);
        }
        if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

#[async_trait]
impl Stage for TrainStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let fingerprint = whole(work)?;
        let order = Order {
            versions: world.heads().iter().map(|(name, table)| (name.clone(), table.version())).collect(),
            job: fingerprint.to_string(),
            attempt: world.run_id.clone(),
            resume: !work.is_full_refresh,
        };
        tell(world, serde_json::to_vec(&Some(&order)).map_err(|error| Error::bug(error.to_string()))?).await?;
        let job = self.job(world, &order).await?;
        let heads = (world.head(TRAIN_METRICS), world.head(MODELS));
        let heads = (heads.0.as_ref(), heads.1.as_ref());
        world.winds_down.store(job.habits.cadence.checkpoint_every.is_some(), Ordering::Relaxed);
        let trained = run_training(&world.warehouse, job, heads, fingerprint, now_micros(), &world.note("train")).await;
        world.winds_down.store(false, Ordering::Relaxed);
        let trained = trained?;
        if trained.resumed_at > 0 {
            world.progress.say(&format!("train: went on from step {} of a run that did not end", trained.resumed_at));
        }
        for warning in &trained.summary.warnings {
            world.progress.say(&format!("warning: train: {warning}"));
        }
        Ok(trained.tables)
    }
}

/// Names, sizes and times of a folder's files: weights are too large to be hashed for every plan.
fn stamps(folder: &Path) -> Result<String> {
    let failed = |error: std::io::Error| cannot_read("[model] path", folder, &error);
    let mut stamps = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let data = entry.metadata().map_err(failed)?;
        stamps.push(format!("{:?} {} {:?}", entry.file_name(), data.len(), data.modified().ok()));
    }
    stamps.sort();
    Ok(hash_text(&stamps.join("\n")))
}

/// Says why there are no examples: they are all left out, or there are none in the training split.
async fn nothing_to_train_on(session: &SessionContext) -> Result<Error> {
    let left_out = left_out_of_training(session).await?;
    if left_out.is_empty() {
        let message = "there is nothing to train on: train_shards has no row of split train";
        let hint =
            "see `secprm stats` for the splits, and `secprm sql -c 'SELECT * FROM rejects'` for what was left out";
        return Ok(Error::new(Kind::Stage, message).hint(hint));
    }
    Ok(all_left_out(&left_out))
}
