//! From a configuration to what commands work with.

use std::path::Path;
use std::sync::Arc;

use datafusion::prelude::SessionContext;
use secprm_model::{Collective, OneRank};
use secprm_storage::Warehouse;

use crate::catalog::Sessions;
use crate::config::Project;
use crate::dag::Dag;
use crate::error::Result;
use crate::progress::Progress;
use crate::relation::{Library, RelationKind};
use crate::release::{Release, find_release, open_heads, tables_of_release};
use crate::sources::locations;
use crate::stage::World;
use crate::stages::{build_dag, load_tokenizer, load_tokenizer_of};
use secprm_stages::functions::TOKENIZER_FUNCTIONS;
use secprm_stages::train::TOKENIZERS;

/// A project with its warehouse and sessions.
pub struct Opened {
    /// The project.
    pub project: Project,
    /// Its warehouse.
    pub warehouse: Warehouse,
    /// Makes its SQL sessions.
    pub sessions: Sessions,
}

/// Loads the configuration and opens the warehouse.
///
/// # Errors
/// Of kind usage: the configuration, the user's `.sql` files, the warehouse's location.
pub fn open(config: Option<&Path>) -> Result<Opened> {
    open_project(Project::load(config)?)
}

/// Opens the warehouse of a project.
pub fn open_project(project: Project) -> Result<Opened> {
    let library = Library::load(project.sql_folder().as_deref(), &project.config.sql_parameters())?;
    let limits = &project.config.limits;
    let sessions = Sessions::new(Arc::new(library), limits.memory_mib << 20, crate::threads(limits.threads))?;
    let warehouse = Warehouse::open(&project.config.warehouse, &project.folder)?;
    Ok(Opened { project, warehouse, sessions })
}

impl Opened {
    /// Prepares stages to be planned or run on the newest versions of all tables.
    pub async fn world(self, progress: Progress) -> Result<(Arc<World>, Arc<Dag>)> {
        self.world_of(progress, Arc::new(OneRank)).await
    }

    /// As [`Self::world`], as one of the ranks that train together.
    pub async fn world_of(self, progress: Progress, collective: Arc<dyn Collective>) -> Result<(Arc<World>, Arc<Dag>)> {
        let sources = locations(&self.project).await?;
        let dag = build_dag(&self.project, self.sessions.library(), sources)?;
        self.sessions.verify().await?;
        let heads = open_heads(&self.warehouse).await?;
        let run_id = uuid::Uuid::now_v7().to_string();
        let world = World::new(self.project, self.warehouse, self.sessions, progress, run_id, collective, heads);
        load_tokenizer(&world).await?;
        Ok((world, Arc::new(dag)))
    }

    /// Opens a SQL session over a release, the newest if none is named, and the release; over the history alone before the first one.
    pub async fn session(&self, release: Option<i64>) -> Result<(SessionContext, Option<Release>)> {
        self.session_for(release, Some("")).await
    }

    /// As [`Self::session`], for a query, or for any that may still come. The tokenizer is loaded only where the query or a view names a
    /// function that asks it.
    pub async fn session_for(
        &self,
        release: Option<i64>,
        query: Option<&str>,
    ) -> Result<(SessionContext, Option<Release>)> {
        let release = find_release(&self.warehouse, &self.sessions, release).await?;
        let tables = tables_of_release(&self.warehouse, release.as_ref());
        if let Some(table) = tables.get(TOKENIZERS).filter(|_| self.asks_the_tokenizer(query))
            && let Some(table) = table.open().await?
        {
            load_tokenizer_of(&self.sessions, table).await?;
        }
        Ok((self.sessions.open_for_queries(&tables)?, release))
    }

    fn asks_the_tokenizer(&self, query: Option<&str>) -> bool {
        let Some(query) = query.map(str::to_lowercase) else { return true };
        let mut views = self.sessions.library().of_kind(RelationKind::View);
        TOKENIZER_FUNCTIONS.iter().any(|function| query.contains(function))
            || views.any(|view| TOKENIZER_FUNCTIONS.iter().any(|function| view.functions.contains(*function)))
    }
}
