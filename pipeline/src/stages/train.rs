//! Stage `train`: shards of the training split, mixed as `[mix]` says, into a checkpoint, `models` and `train_metrics`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use secprm_model::TrainConfig;
use secprm_stages::train::{MODELS, ModelStart, TOKENIZERS, TRAIN_METRICS, TrainingJob, load_mixture, run_training};
use secprm_storage::Table;

use super::relation::whole;
use super::tokenizer::load_tokenizer;
use super::{cannot_read, read_named};
use crate::catalog::Rows;
use crate::config::{Project, When};
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
            ("train stage".to_owned(), "1".to_owned()),
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

#[async_trait]
impl Stage for TrainStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let tokenizer =
            load_tokenizer(world).await?.ok_or_else(|| Error::bug("train runs before there is a tokenizer"))?;
        let session = world.sessions.open(&world.heads(), Rows::All)?;
        let shards = session.sql("SELECT * FROM training_shards WHERE repeats > 0").await?;
        let examples = load_mixture(&shards.collect().await?)?;
        if examples.is_empty() {
            return Err(nothing_to_train_on(&session).await?);
        }
        let steps = self.settings.steps(examples.epoch_len());
        let (progress, cancelled) = (world.progress.clone(), world.cancelled.clone());
        let job = TrainingJob {
            examples,
            start: self.start(&world.project, tokenizer.vocab_size())?,
            tokenizer,
            settings: self.settings.clone(),
            label_mode: world.project.config.train.label_mode.as_str().to_owned(),
            observer: Box::new(move |metrics| {
                let detail =
                    format!("step {} of {steps}, {}: loss {:.4}", metrics.step + 1, metrics.stage, metrics.loss);
                progress.advanced("train", &detail, metrics.step, steps);
                if cancelled.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }),
        };
        let heads = (world.head(TRAIN_METRICS), world.head(MODELS));
        let heads = (heads.0.as_ref(), heads.1.as_ref());
        let trained =
            run_training(&world.warehouse, job, heads, whole(work)?, now_micros(), &world.note("train")).await?;
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
