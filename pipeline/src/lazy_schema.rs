//! The schemas of a session: tables and views are planned when a query names them, not before.
//!
//! So a session costs what its query needs, and a relation that cannot be planned fails only the queries that name it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, plan_datafusion_err, plan_err};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::provider_as_source;
use datafusion::datasource::view::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit};
use secprm_stages::tables::SLICE_COLUMNS;
use secprm_storage::{Table, slice_values};
use tokio::sync::OnceCell;

use crate::error::{Error, in_plain_words};
use crate::lazy_table::LazyTable;
use crate::relation::{Library, Relation, RelationKind};

/// What both schemas of a session are made of.
pub struct Content {
    /// The tables that were written, at this session's versions.
    pub tables: BTreeMap<String, LazyTable>,
    /// The slices that are seen of tables that have slices; all where none are given.
    pub slices: Option<BTreeSet<String>>,
    /// The columns of the tables that Rust writes, for those that were not written yet.
    pub declared: Arc<BTreeMap<String, SchemaRef>>,
    /// The relations.
    pub library: Arc<Library>,
    /// Returns the session's state, while there is a session.
    pub state: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
    /// What was planned so far.
    pub planned: Mutex<BTreeMap<(RelationKind, String), Arc<dyn TableProvider>>>,
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Content").field("tables", &self.tables.keys()).finish_non_exhaustive()
    }
}

impl Content {
    /// Returns a table; one that was never written is there without rows.
    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let written = match self.tables.get(name) {
            Some(table) => table.open().await.map_err(external)?,
            None => None,
        };
        if let Some(table) = written {
            return provider_of(&table, self.slices.as_ref()).map(Some);
        }
        if let Some(schema) = self.declared.get(name) {
            return Ok(Some(Arc::new(EmptyTable::new(schema.clone()))));
        }
        match self.library.table(name) {
            Some(relation) => Ok(Some(self.relation(relation).await?)),
            None => Ok(None),
        }
    }

    /// Plans a relation: a view as itself, a table as the empty one of its columns.
    async fn relation(&self, relation: &Relation) -> Result<Arc<dyn TableProvider>> {
        let key = (relation.kind, relation.name.clone());
        if let Some(found) = self.planned.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let plan = self.plan(relation).await?;
        let provider: Arc<dyn TableProvider> = match relation.kind {
            RelationKind::Table => Arc::new(EmptyTable::new(plan.schema().inner().clone())),
            RelationKind::View | RelationKind::Check => Arc::new(ViewTable::new(plan, None)),
        };
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(key, provider.clone());
        Ok(provider)
    }

    async fn plan(&self, relation: &Relation) -> Result<LogicalPlan> {
        if self.library.is_cyclic(relation) {
            return plan_err!("{} reads itself, directly or through others", relation.path());
        }
        let Some(state) = (self.state)() else { return plan_err!("the session has ended") };
        let planned = state.create_logical_plan(&relation.sql()).await;
        planned.map_err(|error| match Error::within(&error) {
            // A table that cannot be opened is not the relation's fault.
            Some(_) => error,
            None => plan_datafusion_err!("{}: {}", relation.path(), in_plain_words(&error)),
        })
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A table as a session sees it: all of its rows, or those of some slices where it has slices.
fn provider_of(table: &Table, slices: Option<&BTreeSet<String>>) -> Result<Arc<dyn TableProvider>> {
    let provider = table.provider().map_err(|error| external(error.into()))?;
    match slices {
        Some(keys) if table.partition_columns() == SLICE_COLUMNS => filtered(table.name(), provider, keys),
        _ => Ok(provider),
    }
}

/// The rows of some slices: a filter on partition columns, which leaves other files unread.
fn filtered(name: &str, provider: Arc<dyn TableProvider>, keys: &BTreeSet<String>) -> Result<Arc<dyn TableProvider>> {
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
    let rows = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?.filter(filter)?;
    Ok(Arc::new(ViewTable::new(rows.build()?, None)))
}

/// Splits a slice's key, `sven/0`, into dataset and number.
fn parse_key(key: &str) -> Result<(String, i32)> {
    let mut values = slice_values(key);
    let parsed = values.next().zip(values.next().and_then(|slice| slice.parse().ok()));
    parsed.ok_or_else(|| external(Error::bug(format!("`{key}` is no key of a slice"))))
}

/// A schema: the tables alone, or tables and views, where a view hides the table of its name.
#[derive(Debug)]
pub struct LazySchema {
    content: Arc<Content>,
    has_views: bool,
    hidden: OnceCell<BTreeSet<String>>,
}

impl LazySchema {
    /// Makes the schema of the physical tables.
    pub fn of_tables(content: Arc<Content>) -> LazySchema {
        LazySchema { content, has_views: false, hidden: OnceCell::new() }
    }

    /// Makes the schema of tables and views.
    pub fn of_tables_and_views(content: Arc<Content>) -> LazySchema {
        LazySchema { content, has_views: true, hidden: OnceCell::new() }
    }

    /// Takes what cannot be planned out of the list of names; it can still be named, and then says why it fails.
    pub async fn hide_broken(&self) {
        let find_broken = async || {
            let mut broken = BTreeSet::new();
            for name in self.table_names() {
                if self.table(&name).await.is_err() {
                    broken.insert(name);
                }
            }
            broken
        };
        self.hidden.get_or_init(find_broken).await;
    }

    fn view(&self, name: &str) -> Option<&Relation> {
        self.content.library.view(name).filter(|_| self.has_views)
    }
}

#[async_trait]
impl SchemaProvider for LazySchema {
    fn table_names(&self) -> Vec<String> {
        let content = &self.content;
        let relations = |kind| content.library.of_kind(kind).map(|relation| &relation.name);
        let views = relations(RelationKind::View).filter(|_| self.has_views);
        let tables = content.tables.keys().chain(content.declared.keys()).chain(relations(RelationKind::Table));
        let names: BTreeSet<&String> = tables.chain(views).collect();
        let is_hidden = |name: &str| self.hidden.get().is_some_and(|hidden| hidden.contains(name));
        names.into_iter().filter(|name| !is_hidden(name)).cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.view(name) {
            Some(view) => self.content.relation(view).await.map(Some),
            None => self.content.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let content = &self.content;
        self.view(name).is_some()
            || content.tables.contains_key(name)
            || content.declared.contains_key(name)
            || content.library.table(name).is_some()
    }
}
