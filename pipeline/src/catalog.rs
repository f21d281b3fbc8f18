//! Tables and views as one SQL session sees them.
//!
//! Schema `base` holds every physical table; the default schema `public` holds the same tables and the views, a view hiding the table
//! of its name. A table that was never written is there without rows, so that every query can be planned on an empty warehouse. Where two
//! releases are compared, schema `previous` holds the tables of the earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionContext;
use secprm_stages::functions::{TokenizerRegistry, register};
use secprm_storage::{BATCH_ROWS, BATCH_ROWS_OF_CODE, Grain, Table, session_state_builder};

use crate::config::nearest;
use crate::error::{Error, Result, in_plain_words};
use crate::information_schema::{CommentedInformationSchema, Comments};
use crate::lazy_schema::{Content, LazySchema};
use crate::lazy_table::LazyTable;
use crate::relation::{BASE_SCHEMA, Library, PREVIOUS_SCHEMA, Relation, RelationKind};
use crate::schemas::rust_tables;

/// The catalog's name in queries that spell it out.
const CATALOG: &str = "datafusion";

/// The default schema's name.
const PUBLIC_SCHEMA: &str = "public";

/// What sessions are made of: limits, relations, tokenizers.
#[derive(Clone)]
pub struct Sessions {
    library: Arc<Library>,
    registry: TokenizerRegistry,
    declared: Arc<BTreeMap<String, SchemaRef>>,
    runtime: Arc<RuntimeEnv>,
    memory_bytes: usize,
    threads: usize,
}

/// The rows of sliced tables that a session sees.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'keys> {
    /// All.
    All,
    /// Those of some slices, by key (`sven/0`).
    Slices(&'keys BTreeSet<String>),
}

/// Partitions keep what they are given at the start, so a stage has more of them than threads: the thread that is done first then finds
/// another to go on with.
const PARTITIONS_A_THREAD: usize = 4;
/// What a batch of a stage may take of the files it is read from. Unpacked it is several times as much, and every thread holds a few.
const BATCH_FILE_BYTES: u64 = 256 * 1024;
/// Batches are what threads share work by, so that a table of a thousand pairs must be several.
const LEAST_BATCHES: u64 = 16;
/// A stage computes far longer on this much than one thread takes to read it.
const DEALT_OUT_BYTES: usize = 16 << 20;

/// How a stage over these tables cuts its work: by the rows of the largest.
fn grain_of_stage(tables: &BTreeMap<String, Table>, threads: usize) -> Grain {
    let largest = tables.values().max_by_key(|table| table.bytes());
    let rows = largest.filter(|table| table.rows() > 0).map_or(u64::MAX, |table| {
        let row_bytes = table.bytes().div_ceil(table.rows()).max(1);
        (BATCH_FILE_BYTES / row_bytes).min(table.rows() / LEAST_BATCHES)
    });
    let batch_rows = usize::try_from(rows).unwrap_or(usize::MAX).clamp(BATCH_ROWS_OF_CODE, BATCH_ROWS);
    Grain { partitions: threads * PARTITIONS_A_THREAD, batch_rows, dealt_out_bytes: DEALT_OUT_BYTES }
}

impl Sessions {
    /// Prepares sessions that share one memory limit and spill to the system's folder for temporary files.
    pub fn new(library: Arc<Library>, memory_bytes: usize, threads: usize) -> Result<Sessions> {
        let runtime =
            session_state_builder(memory_bytes, Grain::of_queries(threads), None)?.build().runtime_env().clone();
        let declared = rust_tables().into_iter().map(|spec| (spec.name, spec.schema)).collect();
        let registry = TokenizerRegistry::default();
        Ok(Sessions { library, registry, declared: Arc::new(declared), runtime, memory_bytes, threads })
    }

    /// Returns the tokenizers that the functions of all sessions know.
    pub fn registry(&self) -> &TokenizerRegistry {
        &self.registry
    }

    /// Returns the relations.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// Returns the number of threads a query uses.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Makes a session of a stage or a check over the given versions of tables.
    ///
    /// A relation that cannot be planned over these versions fails the queries that name it, and no other.
    pub fn open(&self, tables: &BTreeMap<String, Table>, rows: Rows<'_>) -> Result<SessionContext> {
        let slices = match rows {
            Rows::All => None,
            Rows::Slices(keys) => Some(keys.clone()),
        };
        Ok(self.open_with_schema(lazy(tables), slices, grain_of_stage(tables, self.threads))?.0)
    }

    /// Makes a session over some tables and, in schema `previous`, those of an earlier release.
    pub fn open_beside(
        &self,
        tables: &BTreeMap<String, Table>,
        previous: &BTreeMap<String, Table>,
    ) -> Result<SessionContext> {
        let (context, _) = self.open_with_schema(lazy(tables), None, grain_of_stage(tables, self.threads))?;
        let content = self.content(&context, lazy(previous), None);
        catalog_of(&context)?.register_schema(PREVIOUS_SCHEMA, Arc::new(LazySchema::of_tables(content)))?;
        Ok(context)
    }

    /// Makes a session for people, whose tables are opened when a query names them.
    pub fn open_for_queries(&self, tables: &BTreeMap<String, LazyTable>) -> Result<SessionContext> {
        Ok(self.open_with_schema(tables.clone(), None, Grain::of_queries(self.threads))?.0)
    }

    /// Plans the project's own relations, and those that read them, over the tables as this version declares them, so that a mistake in
    /// one shows before anything has run. The shipped ones alone are planned by the tests, so that no run has to.
    ///
    /// # Errors
    /// Of kind usage: the relation's file, and what the planner says.
    pub async fn verify(&self) -> Result<()> {
        match self.library.has_own() {
            true => self.verify_those(|relation| self.library.is_own(relation)).await,
            false => Ok(()),
        }
    }

    /// As [`Self::verify`], the shipped relations too.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_all(&self) -> Result<()> {
        self.verify_those(|_| true).await
    }

    async fn verify_those(&self, is_wanted: impl Fn(&Relation) -> bool) -> Result<()> {
        let of_kind = |kind| self.library.of_kind(kind).filter(|relation| is_wanted(relation));
        let (_context, schema) = self.open_with_schema(BTreeMap::new(), None, Grain::of_queries(self.threads))?;
        for relation in [RelationKind::Table, RelationKind::View].map(of_kind).into_iter().flatten() {
            schema.table(&relation.name).await.map_err(|error| Error::usage(in_plain_words(&error)))?;
        }
        let context = self.open_beside(&BTreeMap::new(), &BTreeMap::new())?;
        for check in of_kind(RelationKind::Check) {
            let planned = context.sql(&check.sql()).await;
            planned.map_err(|error| Error::usage(in_plain_words(&error)).context(check.path()))?;
        }
        Ok(())
    }

    fn open_with_schema(
        &self,
        tables: BTreeMap<String, LazyTable>,
        slices: Option<BTreeSet<String>>,
        grain: Grain,
    ) -> Result<(SessionContext, Arc<LazySchema>)> {
        let state =
            session_state_builder(self.memory_bytes, grain, None)?.with_runtime_env(self.runtime.clone()).build();
        let context = SessionContext::new_with_state(state);
        register(&context, &self.registry);
        let content = self.content(&context, tables.clone(), slices);
        let public = Arc::new(LazySchema::of_tables_and_views(content.clone()));
        let base = Arc::new(LazySchema::of_tables(content));
        let comments = Comments { tables, library: self.library.clone() };
        let information_schema =
            CommentedInformationSchema::new(comments, [public.clone(), base.clone()], state_of(&context));
        let catalog = catalog_of(&context)?;
        catalog.register_schema(BASE_SCHEMA, base)?;
        catalog.register_schema(PUBLIC_SCHEMA, public.clone())?;
        catalog.register_schema(INFORMATION_SCHEMA, Arc::new(information_schema))?;
        Ok((context, public))
    }

    fn content(
        &self,
        context: &SessionContext,
        tables: BTreeMap<String, LazyTable>,
        slices: Option<BTreeSet<String>>,
    ) -> Arc<Content> {
        Arc::new(Content {
            tables,
            slices,
            declared: self.declared.clone(),
            library: self.library.clone(),
            state: Box::new(state_of(context)),
            planned: Mutex::default(),
        })
    }
}

fn lazy(tables: &BTreeMap<String, Table>) -> BTreeMap<String, LazyTable> {
    tables.iter().map(|(name, table)| (name.clone(), table.clone().into())).collect()
}

/// The state of a session for what the session itself holds, which must not keep it alive.
fn state_of(context: &SessionContext) -> impl Fn() -> Option<SessionState> + Clone + Send + Sync + 'static {
    let session = context.state_weak_ref();
    move || session.upgrade().map(|state| state.read().clone())
}

fn catalog_of(context: &SessionContext) -> Result<Arc<dyn CatalogProvider>> {
    context.catalog(CATALOG).ok_or_else(|| Error::bug("the session has no catalog"))
}

/// Makes the error that a session has no table or view of a name, with the nearest one it has.
pub fn unknown_relation(context: &SessionContext, name: &str) -> Error {
    let public = context.catalog(CATALOG).and_then(|catalog| catalog.schema(PUBLIC_SCHEMA));
    let known = public.map(|schema| schema.table_names()).unwrap_or_default();
    let error = Error::usage(format!("there is no table or view {name}"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}? `secprm sql -c 'SHOW TABLES'` lists them")),
        None => error.hint("`secprm sql -c 'SHOW TABLES'` lists them"),
    }
}
