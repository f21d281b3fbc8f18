//! Tables and views as one SQL session sees them.
//!
//! Schema `base` holds every physical table; the default schema `public` holds the same tables and the views, a view hiding the table
//! of its name. A table that was never written is there without rows, so that every query can be planned on an empty warehouse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{col, lit};
use datafusion::prelude::{DataFrame, SessionContext};
use secprm_stages::functions::{TokenizerRegistry, register};
use secprm_stages::tables::SLICE_COLUMNS;
use secprm_storage::{Table, session_state_builder};

use crate::config::nearest;
use crate::error::{Error, Result, in_plain_words};
use crate::public_schema::PublicSchema;
use crate::relation::{BASE_SCHEMA, Library, Relation, RelationKind};
use crate::schemas::rust_tables;

/// The catalog's name in queries that spell it out.
const CATALOG: &str = "datafusion";

/// The default schema's name.
const PUBLIC_SCHEMA: &str = "public";

/// A relation that cannot be planned: its name, and why.
type Broken = (String, Error);

type Opened = (SessionContext, Arc<PublicSchema>, Vec<Broken>);

/// What sessions are made of: limits, relations, tokenizers.
#[derive(Clone)]
pub struct Sessions {
    library: Arc<Library>,
    registry: TokenizerRegistry,
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

impl Sessions {
    /// Prepares sessions that share one memory limit and spill to the system's folder for temporary files.
    pub fn new(library: Arc<Library>, memory_bytes: usize, threads: usize) -> Result<Sessions> {
        let runtime = session_state_builder(memory_bytes, threads, None)?.build().runtime_env().clone();
        Ok(Sessions { library, registry: TokenizerRegistry::default(), runtime, memory_bytes, threads })
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

    /// Makes a session over the given versions of tables.
    ///
    /// A view that cannot be planned over these versions fails the queries that name it, and no other.
    pub async fn open(&self, tables: &BTreeMap<String, Table>, rows: Rows<'_>) -> Result<SessionContext> {
        let (context, schema, broken) = self.open_with(tables, rows).await?;
        for (name, error) in broken {
            schema.add_broken(&name, error.to_string());
        }
        Ok(context)
    }

    /// Plans every relation over the tables as this version of the project declares them, so that a mistake in one shows before
    /// anything has run.
    ///
    /// # Errors
    /// Of kind usage: the relation's file, and what the planner says.
    pub async fn verify(&self) -> Result<()> {
        let (context, _, broken) = self.open_with(&BTreeMap::new(), Rows::All).await?;
        if let Some((_, error)) = broken.into_iter().next() {
            return Err(error);
        }
        for check in self.library.of_kind(RelationKind::Check) {
            plan(&context, check).await?;
        }
        Ok(())
    }

    async fn open_with(&self, tables: &BTreeMap<String, Table>, rows: Rows<'_>) -> Result<Opened> {
        let state = session_state_builder(self.memory_bytes, self.threads, None)?
            .with_runtime_env(self.runtime.clone())
            .build();
        let context = SessionContext::new_with_state(state);
        register(&context, &self.registry);
        let catalog = context.catalog(CATALOG).ok_or_else(|| Error::bug("the session has no catalog"))?;
        catalog.register_schema(BASE_SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
        let schema = Arc::new(PublicSchema::default());
        catalog.register_schema(PUBLIC_SCHEMA, schema.clone())?;
        for (name, table) in tables {
            let provider = match rows {
                Rows::Slices(keys) if is_sliced(table) => filtered(&context, table, keys)?,
                _ => table.provider()?,
            };
            self.add_table(&context, name, provider)?;
        }
        let broken = self.add_missing(&context, tables).await?;
        Ok((context, schema, broken))
    }

    /// Registers what was never written as empty, and the views, each once its inputs are there; returns those that cannot be planned.
    async fn add_missing(&self, context: &SessionContext, tables: &BTreeMap<String, Table>) -> Result<Vec<Broken>> {
        let mut broken: Vec<Broken> = Vec::new();
        for spec in rust_tables() {
            if !tables.contains_key(&spec.name) {
                self.add_table(context, &spec.name, Arc::new(EmptyTable::new(spec.schema)))?;
            }
        }
        let kinds = [RelationKind::Table, RelationKind::View];
        let mut waiting: Vec<_> = kinds.iter().flat_map(|kind| self.library.of_kind(*kind)).collect();
        waiting.retain(|relation| relation.kind == RelationKind::View || !tables.contains_key(&relation.name));
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still_waiting = Vec::new();
            for relation in waiting {
                if missing_input(context, &relation.inputs).is_some() {
                    still_waiting.push(relation);
                    continue;
                }
                match (plan(context, relation).await, relation.kind) {
                    (Err(error), _) => broken.push((relation.name.clone(), error)),
                    (Ok(frame), RelationKind::Table) => {
                        let schema: SchemaRef = Arc::new(frame.schema().as_arrow().clone());
                        self.add_table(context, &relation.name, Arc::new(EmptyTable::new(schema)))?;
                    }
                    (Ok(frame), _) => {
                        context.register_table(relation.name.as_str(), frame.into_view())?;
                    }
                }
            }
            if still_waiting.len() == before {
                // What is left waits for what is not there, for itself, or for what is broken.
                for relation in still_waiting {
                    let missing = missing_input(context, &relation.inputs);
                    let error = missing.map(|name| unknown_relation(context, name).context(relation.path()));
                    broken
                        .push((relation.name.clone(), error.unwrap_or_else(|| Error::bug("a view waits for nothing"))));
                }
                break;
            }
            waiting = still_waiting;
        }
        Ok(broken)
    }

    /// A table under a view of the same name is in `base` alone: whoever names it without a schema waits for the view.
    fn add_table(&self, context: &SessionContext, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        context.register_table(format!("{BASE_SCHEMA}.{name}"), provider.clone())?;
        if self.library.view(name).is_none() {
            context.register_table(name, provider)?;
        }
        Ok(())
    }
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

async fn plan(context: &SessionContext, relation: &Relation) -> Result<DataFrame> {
    let planned = context.sql(&relation.sql()).await;
    planned.map_err(|error| Error::usage(in_plain_words(&error)).context(relation.path()))
}

fn missing_input<'name>(context: &SessionContext, inputs: &'name BTreeSet<String>) -> Option<&'name String> {
    inputs.iter().find(|input| !context.table_exist(input.as_str()).unwrap_or(false))
}

fn is_sliced(table: &Table) -> bool {
    table.partition_columns() == SLICE_COLUMNS
}

/// The rows of some slices: a filter on partition columns, which leaves other files unread.
fn filtered(context: &SessionContext, table: &Table, keys: &BTreeSet<String>) -> Result<Arc<dyn TableProvider>> {
    let mut slices: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for key in keys {
        let (dataset, slice) = parse_key(key)?;
        slices.entry(dataset).or_default().push(slice);
    }
    let mut filter = lit(false);
    for (dataset, numbers) in slices {
        let numbers = numbers.into_iter().map(lit).collect();
        filter = filter.or(col("dataset").eq(lit(dataset)).and(col("slice").in_list(numbers, false)));
    }
    Ok(context.read_table(table.provider()?)?.filter(filter)?.into_view())
}

/// Splits a slice's key, `sven/0`, into dataset and number.
pub fn parse_key(key: &str) -> Result<(String, i32)> {
    let parsed = key.rsplit_once('/').and_then(|(dataset, slice)| Some((dataset, slice.parse().ok()?)));
    let (dataset, slice) = parsed.ok_or_else(|| Error::bug(format!("`{key}` is no key of a slice")))?;
    Ok((dataset.replace("%2F", "/").replace("%25", "%"), slice))
}
