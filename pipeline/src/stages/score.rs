//! Stage `score`: every shard of the stale slices under the newest model, into `step_scores`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use async_trait::async_trait;
use futures::StreamExt;
use secprm_model::{CheckpointFiles, HeadInit, Precision, StepModel};
use secprm_stages::score::{STEP_SCORES, Scorer, step_scores_table};
use secprm_stages::train::MODELS;
use secprm_storage::{CommitMode, Table};

use super::relation::slice_commits;
use crate::catalog::Rows;
use crate::config::Project;
use crate::error::{Error, Kind, Result};
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

/// Windows that are scored at once: enough for all threads, few enough for memory.
const WINDOWS_AT_ONCE: usize = 64;

/// Scores the shards.
pub struct ScoreStage {
    declaration: Declaration,
    temperature: f64,
}

impl ScoreStage {
    /// Makes the stage of a project.
    pub fn new(project: &Project) -> Self {
        let temperature = project.config.score.tau;
        let inputs = BTreeMap::from([
            ("score stage".to_owned(), "1".to_owned()),
            ("[score] tau".to_owned(), temperature.to_string()),
        ]);
        let declaration = Declaration {
            name: "score".to_owned(),
            reads: vec!["train_shards".to_owned(), MODELS.to_owned()],
            writes: vec![STEP_SCORES.to_owned()],
            scope: Scope::Slice,
            inputs,
            manual: false,
        };
        ScoreStage { declaration, temperature }
    }
}

#[async_trait]
impl Stage for ScoreStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let spec = step_scores_table();
        let mut writer = world.warehouse.part_writer(&spec)?;
        if let Some((model, model_id, tokenizer_id)) = load_model(world).await? {
            let keys: BTreeSet<String> = work.stale.keys().cloned().collect();
            let reads: BTreeMap<String, Table> =
                world.heads().into_iter().filter(|(name, _)| name == "train_shards").collect();
            let session = world.sessions.open(&reads, Rows::Slices(&keys))?;
            let shards = session.sql("SELECT * FROM train_shards ORDER BY sample_id, window_index").await?;
            let mut batches = shards.execute_stream().await?;
            let mut rest: Option<RecordBatch> = None;
            let mut scored = 0;
            let total = world.head("train_shards").map_or(0, |table| table.rows());
            loop {
                let batch = batches.next().await.transpose()?;
                let is_last = batch.is_none();
                let joined = join(rest.take(), batch)?;
                let (ready, kept) = split_whole_samples(joined, is_last);
                rest = kept;
                for chunk in ready.iter().flat_map(chunks_of_samples) {
                    require_tokenizer(&chunk, &tokenizer_id)?;
                    scored += chunk.num_rows() as u64;
                    let (model, model_id, temperature) = (model.clone(), model_id.clone(), self.temperature);
                    let rows =
                        tokio::task::spawn_blocking(move || Scorer::new(&model, &model_id, temperature).score(&chunk));
                    let rows = rows.await.map_err(|error| Error::bug(error.to_string()))??;
                    if let Some(rows) = rows {
                        writer.write(&rows).await?;
                    }
                    world.progress.advanced("score", &format!("{scored} of {total} windows"), scored, total.max(1));
                }
                if is_last {
                    break;
                }
            }
        }
        let parts = writer.finish().await?;
        let base = world.head(STEP_SCORES);
        let mode = CommitMode::ReplaceSlices(slice_commits(work));
        let table = world.warehouse.commit(&spec, base.as_ref(), parts, &mode, &world.note("score")).await?;
        Ok(vec![table])
    }
}

/// Loads the newest model as (model, id, tokenizer id); `None` if none was trained yet.
async fn load_model(world: &World) -> Result<Option<(Arc<StepModel>, String, String)>> {
    let Some(table) = world.head(MODELS) else { return Ok(None) };
    let session = world.sessions.open(&BTreeMap::from([(MODELS.to_owned(), table)]), Rows::All)?;
    let query = "SELECT model_id, url, tokenizer_id FROM models ORDER BY created_at DESC LIMIT 1";
    let batches = session.sql(query).await?.collect().await?;
    let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(None) };
    let text = |column: usize| batch.column(column).as_string::<i32>().value(0).to_owned();
    let (model_id, url, tokenizer_id) = (text(0), text(1), text(2));
    let mut files = Vec::new();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        files.push((name.to_owned(), world.warehouse.get(&format!("{url}/{name}")).await?.to_vec()));
    }
    let files = CheckpointFiles::new(files);
    if files.model_id() != model_id {
        return Err(Error::new(
            Kind::Stage,
            format!("the checkpoint {url} is not what was trained: its files have changed"),
        )
        .hint("train again: `secprm run --select train --full-refresh`"));
    }
    let device = world.device()?;
    // GPUs are slow in f32, CPUs in bf16.
    let precision = if device.is_cpu() { Precision::F32 } else { world.project.config.train.settings()?.dtype };
    let checkpoint = files.load_on(&device, precision.dtype(), HeadInit::Required)?;
    Ok(Some((Arc::new(checkpoint.model), model_id, tokenizer_id)))
}

/// Shards of another tokenizer mean nothing to the model.
fn require_tokenizer(shards: &RecordBatch, tokenizer_id: &str) -> Result<()> {
    let ids = shards.column_by_name("tokenizer_id").and_then(|column| column.as_string_opt::<i32>());
    let fits = ids.is_some_and(|ids| (0..ids.len()).all(|row| ids.value(row) == tokenizer_id));
    if fits {
        return Ok(());
    }
    Err(Error::new(Kind::Stage, "the shards were encoded with another tokenizer than the model was trained with")
        .hint("train again: `secprm run --select train+`"))
}

fn join(rest: Option<RecordBatch>, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
    match (rest, batch) {
        (Some(rest), Some(batch)) => Ok(Some(concat_batches(&rest.schema(), [&rest, &batch])?)),
        (rest, batch) => Ok(rest.or(batch)),
    }
}

/// Cuts a batch before its last sample, whose windows may go on in the next batch.
fn split_whole_samples(batch: Option<RecordBatch>, is_last: bool) -> (Option<RecordBatch>, Option<RecordBatch>) {
    let Some(batch) = batch else { return (None, None) };
    if is_last {
        return (Some(batch), None);
    }
    let starts = sample_starts(&batch);
    let cut = starts.last().copied().unwrap_or(0);
    (Some(batch.slice(0, cut)), Some(batch.slice(cut, batch.num_rows() - cut)))
}

/// Cuts a batch of whole samples into chunks of about `WINDOWS_AT_ONCE` windows, at samples.
fn chunks_of_samples(batch: &RecordBatch) -> Vec<RecordBatch> {
    let mut chunks = Vec::new();
    let mut from = 0;
    for start in sample_starts(batch).into_iter().chain([batch.num_rows()]) {
        if start - from >= WINDOWS_AT_ONCE || start == batch.num_rows() {
            if start > from {
                chunks.push(batch.slice(from, start - from));
            }
            from = start;
        }
    }
    chunks
}

fn sample_starts(batch: &RecordBatch) -> Vec<usize> {
    let samples = batch.column_by_name("sample_id").and_then(|column| column.as_string_opt::<i32>());
    let Some(samples) = samples else { return vec![0] };
    (0..samples.len()).filter(|row| *row == 0 || samples.value(*row) != samples.value(row - 1)).collect()
}
