//! Checkpoints of a run that is not finished, below `training/<job>/` in the warehouse.
//!
//! A checkpoint is a folder: the model in Hugging Face's layout, each rank's share of the optimiser's state, the position and the history,
//! and `manifest.json`, written last, with size and hash of each. `training/<job>/checkpoints.json` lists what is kept. Ranks write at the same
//! time and in the background; the first rank writes the manifest once all others say that their files are there.

use std::time::{Duration, Instant};

use secprm_model::{CheckpointFiles, SavedOptimizer, TrainState};
use secprm_storage::Warehouse;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::history::StepRow;
use crate::error::{Result, StageError};

const LIST: &str = "checkpoints.json";
const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const HISTORY: &str = "history.json";

/// How long the first rank waits for the files of the others.
const WAIT_FOR_RANKS: Duration = Duration::from_secs(600);

/// What is kept of a job, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    checkpoints: Vec<KeptCheckpoint>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptCheckpoint {
    folder: String,
    steps: u64,
    #[serde(with = "secprm_model::exact")]
    held_out_loss: Option<f64>,
}

impl Kept {
    /// The checkpoint with the lowest loss on held-out examples, the earliest of equals.
    fn best(&self) -> Option<&KeptCheckpoint> {
        let known = self.checkpoints.iter().filter_map(|one| Some((one.held_out_loss?, one)));
        known.min_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, one)| one)
    }

    /// Takes out what is neither among the newest `keep` nor the best.
    fn prune(&mut self, keep: usize) -> Vec<KeptCheckpoint> {
        let best = self.best().map(|one| one.folder.clone());
        let first_kept = self.checkpoints.len().saturating_sub(keep.max(1));
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (index, one) in self.checkpoints.drain(..).enumerate() {
            let stays = index >= first_kept || Some(&one.folder) == best.as_ref();
            if stays { kept.push(one) } else { dropped.push(one) }
        }
        self.checkpoints = kept;
        dropped
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    job: String,
    files: Vec<FileRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRecord {
    name: String,
    bytes: u64,
    blake3: String,
}

impl FileRecord {
    fn of(name: &str, content: &[u8]) -> Self {
        let blake3 = blake3::hash(content).to_hex().to_string();
        FileRecord { name: name.to_owned(), bytes: content.len() as u64, blake3 }
    }
}

/// Whose checkpoints they are, and this rank among those that write them.
#[derive(Debug, Clone)]
pub struct JobFolder {
    /// The warehouse.
    pub warehouse: Warehouse,
    /// Identity of data, settings and start: another job never goes on from these checkpoints.
    pub job: String,
    /// Identity of this attempt at it, the same on all ranks: what a killed one left half written is never mixed in.
    pub attempt: String,
    /// This rank.
    pub rank: usize,
    /// All ranks.
    pub ranks: usize,
}

/// A checkpoint as it was read.
pub struct LoadedCheckpoint {
    /// Where the run stood.
    pub state: TrainState,
    /// The steps until then.
    pub history: Vec<StepRow>,
    /// The model.
    pub model: CheckpointFiles,
    /// The optimiser, of all ranks that saved.
    pub optimizer: SavedOptimizer,
}

impl JobFolder {
    fn path(&self, rest: &str) -> String {
        format!("training/{}/{rest}", self.job)
    }

    /// Returns the folders of what is kept, newest first: where a run may go on.
    ///
    /// # Errors
    /// The store fails, or the list is not one of ours.
    pub async fn checkpoints(&self) -> Result<Vec<String>> {
        Ok(self.kept().await?.checkpoints.into_iter().rev().map(|one| one.folder).collect())
    }

    async fn kept(&self) -> Result<Kept> {
        let path = self.path(LIST);
        match self.warehouse.exists(&path).await? {
            true => parse(&path, &self.warehouse.get(&path).await?),
            false => Ok(Kept::default()),
        }
    }

    /// Reads a checkpoint and compares every file with the manifest.
    ///
    /// # Errors
    /// A file is missing, damaged or of another job.
    pub async fn load(&self, folder: &str) -> Result<LoadedCheckpoint> {
        let manifest: Manifest = {
            let path = self.path(&format!("{folder}/{MANIFEST}"));
            parse(&path, &self.warehouse.get(&path).await?)?
        };
        if manifest.job != self.job {
            return Err(damaged(&self.path(folder), "it belongs to another job (data, settings or start differ)"));
        }
        let (mut state, mut history, mut model, mut optimizer) = (None, Vec::new(), Vec::new(), Vec::new());
        for record in &manifest.files {
            let path = self.path(&format!("{folder}/{}", record.name));
            let content = self.warehouse.get(&path).await?;
            if FileRecord::of(&record.name, &content) != *record {
                return Err(damaged(&path, "its content is not what was written"));
            }
            match record.name.as_str() {
                STATE => state = Some(parse(&path, &content)?),
                HISTORY => history = parse(&path, &content)?,
                name if name.starts_with("optimizer-") => optimizer.push((record.name.clone(), content.into())),
                _ => model.push((record.name.clone(), content.into())),
            }
        }
        let state = state.ok_or_else(|| damaged(&self.path(folder), "state.json is missing"))?;
        let (model, optimizer) = (CheckpointFiles::new(model), SavedOptimizer::new(optimizer));
        Ok(LoadedCheckpoint { state, history, model, optimizer })
    }

    /// Removes all checkpoints of the job, which is finished, and what killed attempts at it left half written.
    ///
    /// # Errors
    /// The store fails.
    pub async fn remove_all(&self) -> Result<()> {
        // The list goes first: what it no longer names, nobody goes on from.
        self.warehouse.remove(&self.path(LIST)).await?;
        Ok(self.warehouse.remove_folder(&format!("training/{}", self.job)).await?)
    }

    async fn remove(&self, checkpoints: &[KeptCheckpoint]) -> Result<()> {
        for one in checkpoints {
            // Without its manifest it is none, should this end in the middle.
            self.warehouse.remove(&self.path(&format!("{}/{MANIFEST}", one.folder))).await?;
            self.warehouse.remove_folder(&self.path(&one.folder)).await?;
        }
        Ok(())
    }

    /// Writes this rank's files of a checkpoint; the first rank completes it and removes what is no longer kept.
    async fn write(self, checkpoint: KeptCheckpoint, files: Vec<(String, Vec<u8>)>, keep: usize) -> Result<()> {
        let in_folder = |name: &str| self.path(&format!("{}/{name}", checkpoint.folder));
        let mut records = Vec::with_capacity(files.len());
        for (name, content) in files {
            records.push(FileRecord::of(&name, &content));
            self.warehouse.put_atomic(&in_folder(&name), content.into()).await?;
        }
        if self.rank != 0 {
            let list = json(&records)?;
            return Ok(self.warehouse.put_atomic(&in_folder(&part_name(self.rank)), list.into()).await?);
        }
        for rank in 1..self.ranks {
            let part = in_folder(&part_name(rank));
            let content = self.wait_for(&part).await?;
            records.extend(parse::<Vec<FileRecord>>(&part, &content)?);
            self.warehouse.remove(&part).await?;
        }
        let manifest = Manifest { job: self.job.clone(), files: records };
        self.warehouse.put_atomic(&in_folder(MANIFEST), json(&manifest)?.into()).await?;
        let mut kept = self.kept().await?;
        // A run that went on from an earlier checkpoint does not carry on what came after it.
        let (before, after): (Vec<_>, Vec<_>) =
            kept.checkpoints.drain(..).partition(|one| one.steps < checkpoint.steps);
        kept.checkpoints = before;
        kept.checkpoints.push(checkpoint);
        let mut dropped = kept.prune(keep);
        dropped.extend(after);
        self.warehouse.put_atomic(&self.path(LIST), json(&kept)?.into()).await?;
        self.remove(&dropped).await
    }

    async fn wait_for(&self, path: &str) -> Result<bytes::Bytes> {
        let start = Instant::now();
        while !self.warehouse.exists(path).await? {
            if start.elapsed() > WAIT_FOR_RANKS {
                return Err(damaged(path, "the rank that writes it did not within ten minutes"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(self.warehouse.get(path).await?)
    }
}

/// Writes checkpoints beside the training that goes on, one at a time.
pub struct CheckpointWriter {
    folder: JobFolder,
    keep: usize,
    runtime: Handle,
    under_way: Option<JoinHandle<Result<()>>>,
}

impl CheckpointWriter {
    /// Prepares writing; `keep` is how many checkpoints stay beside the best.
    pub fn new(folder: JobFolder, keep: usize, runtime: Handle) -> Self {
        CheckpointWriter { folder, keep, runtime, under_way: None }
    }

    /// Starts to write a checkpoint, once the one before is done. Not to be called from an asynchronous task.
    ///
    /// `model` is what the first rank writes for all of them.
    ///
    /// # Errors
    /// The checkpoint before could not be written.
    pub fn save(
        &mut self,
        state: &TrainState,
        held_out_loss: Option<f64>,
        model: Option<(CheckpointFiles, &[StepRow])>,
        optimizer: Vec<u8>,
    ) -> Result<()> {
        self.finish()?;
        let folder = format!("step-{:08}-{}", state.steps, self.folder.attempt);
        let checkpoint = KeptCheckpoint { folder, steps: state.steps, held_out_loss };
        let (rank, ranks) = (self.folder.rank + 1, self.folder.ranks);
        let mut files = vec![(format!("optimizer-{rank:05}-of-{ranks:05}.safetensors"), optimizer)];
        if let Some((model, history)) = model {
            files.extend(model.files);
            files.push((STATE.to_owned(), json(state)?));
            files.push((HISTORY.to_owned(), json(history)?));
        }
        self.under_way = Some(self.runtime.spawn(self.folder.clone().write(checkpoint, files, self.keep)));
        Ok(())
    }

    /// Waits until the last checkpoint is written.
    ///
    /// # Errors
    /// It could not be.
    pub fn finish(&mut self) -> Result<()> {
        match self.under_way.take() {
            Some(writing) => self.runtime.block_on(writing)?,
            None => Ok(()),
        }
    }
}

fn part_name(rank: usize) -> String {
    format!("rank-{:05}.json", rank + 1)
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| damaged("a checkpoint", &error.to_string()))
}

fn parse<T: DeserializeOwned>(path: &str, content: &[u8]) -> Result<T> {
    serde_json::from_slice(content).map_err(|error| damaged(path, &error.to_string()))
}

fn damaged(path: &str, reason: &str) -> StageError {
    StageError::Saved { path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
