//! What a stage is: what it reads and writes, and whether it works slice by slice or whole.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use secprm_model::{Collective, Device};
use secprm_storage::{CommitNote, Fingerprint, Table, Warehouse};

use crate::catalog::Sessions;
use crate::config::Project;
use crate::error::Result;
use crate::freshness::assess;
use crate::progress::Progress;
use crate::relation::Scope;

/// A stage's interface to the rest: tables in, tables out. The DAG follows from it.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The stage's name.
    pub name: String,
    /// Tables it reads.
    pub reads: Vec<String>,
    /// Tables it writes; no other stage writes them.
    pub writes: Vec<String>,
    /// Whether it works slice by slice or whole.
    pub scope: Scope,
    /// What else its rows depend on, by a name a user understands: code, versions, parameters.
    pub inputs: BTreeMap<String, String>,
    /// Whether it runs only when a selection names it (or it never ran).
    pub manual: bool,
}

/// What is stale of a stage, and what it is computed from.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    /// Units to compute, with the fingerprint they will have: slices by key (`sven/0`), `""` for a whole table, a dataset for ingest.
    pub stale: BTreeMap<String, Fingerprint>,
    /// Units that are no more.
    pub removed: Vec<String>,
    /// All units.
    pub units: BTreeMap<String, Fingerprint>,
    /// What the stage is computed from, by name, as hashes: declared inputs and tables.
    pub inputs: BTreeMap<String, String>,
    /// Whether everything is to be written anew, as if for the first time (`--full-refresh`).
    pub is_full_refresh: bool,
}

impl Assessment {
    /// Whether nothing is to be done.
    pub fn is_fresh(&self) -> bool {
        self.stale.is_empty() && self.removed.is_empty()
    }

    /// Makes all units stale (`--full-refresh`).
    pub fn all(mut self) -> Assessment {
        self.stale.clone_from(&self.units);
        self.is_full_refresh = true;
        self
    }
}

/// Everything a stage works with.
pub struct World {
    /// Configuration and folder.
    pub project: Project,
    /// Where tables are.
    pub warehouse: Warehouse,
    /// Makes SQL sessions.
    pub sessions: Sessions,
    /// Where progress goes.
    pub progress: Progress,
    /// This run.
    pub run_id: String,
    /// The ranks that train together.
    pub collective: Arc<dyn Collective>,
    /// Set when the user interrupts; long work looks at it.
    pub cancelled: Arc<AtomicBool>,
    /// Whether a stage that is interrupted has something to save, and ends soon by itself.
    pub winds_down: AtomicBool,
    heads: RwLock<BTreeMap<String, Table>>,
}

impl World {
    /// Starts with the newest versions of all tables.
    pub fn new(
        project: Project,
        warehouse: Warehouse,
        sessions: Sessions,
        progress: Progress,
        run_id: String,
        collective: Arc<dyn Collective>,
        heads: BTreeMap<String, Table>,
    ) -> Arc<World> {
        Arc::new(World {
            project,
            warehouse,
            sessions,
            progress,
            run_id,
            collective,
            cancelled: Arc::default(),
            winds_down: AtomicBool::new(false),
            heads: RwLock::new(heads),
        })
    }

    /// Opens what models compute on.
    ///
    /// # Errors
    /// Of kind usage: a GPU is asked for where there is none.
    pub fn device(&self) -> Result<Device> {
        match self.collective.device() {
            Some(device) => Ok(device),
            None => Ok(self.project.config.limits.device.open(0)?),
        }
    }

    /// Returns the newest version of every table.
    pub fn heads(&self) -> BTreeMap<String, Table> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the newest version of a table.
    pub fn head(&self, name: &str) -> Option<Table> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Takes note of new versions.
    pub fn advance(&self, tables: &[Table]) {
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        for table in tables {
            heads.insert(table.name().to_owned(), table.clone());
        }
    }

    /// Returns what a stage's commits say of themselves.
    pub fn note(&self, stage: &str) -> CommitNote {
        CommitNote { run_id: self.run_id.clone(), stage: stage.to_owned() }
    }
}

/// A stage of the dataflow.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Returns what it reads and writes.
    fn declaration(&self) -> &Declaration;

    /// Finds out what is stale, by comparing the fingerprints in its tables' logs with those its inputs give.
    async fn assess(&self, world: &World) -> Result<Assessment> {
        assess(self.declaration(), &world.heads()).await
    }

    /// Computes what is stale and commits it; returns the tables' new versions.
    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>>;
}
