//! `information_schema` with comments: DataFusion's own, with `column_comment` in `columns` and `table_comment` in `tables`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::view::ViewTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ColumnarValue, LogicalPlanBuilder, Volatility, create_udf, ident};
use secprm_storage::Table;

use crate::lazy_schema::LazySchema;
use crate::lazy_table::LazyTable;
use crate::relation::{BASE_SCHEMA, Library};

/// What the comments of a session's tables and views are read from.
pub struct Comments {
    /// The tables that were written: their metadata says what they held at this version.
    pub tables: BTreeMap<String, LazyTable>,
    /// The relations.
    pub library: Arc<Library>,
}

impl Comments {
    fn of_table(&self, schema: &str, name: &str) -> Option<&str> {
        match self.written(schema, name) {
            Some(table) if table.description().is_some() => table.description(),
            _ => self.library.description(&in_query(schema, name)),
        }
    }

    fn of_column(&self, schema: &str, name: &str, column: &str) -> Option<&str> {
        let stored = self.written(schema, name).and_then(|table| table.column_comments().get(column));
        stored.map(String::as_str).or_else(|| self.library.column_comment(&in_query(schema, name), column))
    }

    /// Returns the written table that a name stands for; none where it stands for a view.
    fn written(&self, schema: &str, name: &str) -> Option<&Table> {
        let is_view = schema != BASE_SCHEMA && self.library.view(name).is_some();
        self.tables.get(name).filter(|_| !is_view)?.opened()
    }
}

fn in_query(schema: &str, name: &str) -> String {
    if schema == BASE_SCHEMA { format!("{BASE_SCHEMA}.{name}") } else { name.to_owned() }
}

/// The schema; the engine's own one of this name must be off, since it comes first.
pub struct CommentedInformationSchema {
    comments: Arc<Comments>,
    listed: [Arc<LazySchema>; 2],
    state: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

impl CommentedInformationSchema {
    /// Makes the schema of a session; `state` returns the session's state while there is a session, and must not keep it alive.
    ///
    /// What cannot be opened or planned of the schemas that are `listed` is left out, which is found out when a query first asks this
    /// schema: it takes planning it all.
    pub fn new(
        comments: Comments,
        listed: [Arc<LazySchema>; 2],
        state: impl Fn() -> Option<SessionState> + Send + Sync + 'static,
    ) -> Self {
        Self { comments: Arc::new(comments), listed, state: Box::new(state) }
    }

    fn built_in(&self) -> Result<InformationSchemaProvider> {
        let Some(state) = (self.state)() else { return plan_err!("the session has ended") };
        let provider = InformationSchemaProvider::new(Arc::clone(state.catalog_list()));
        Ok(provider.with_table_functions(state.table_functions().clone()))
    }
}

impl fmt::Debug for CommentedInformationSchema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CommentedInformationSchema").finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for CommentedInformationSchema {
    fn table_names(&self) -> Vec<String> {
        self.built_in().map(|schema| schema.table_names()).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        for schema in &self.listed {
            schema.hide_broken().await;
        }
        let Some(table) = self.built_in()?.table(name).await? else { return Ok(None) };
        let comments = Arc::clone(&self.comments);
        match name {
            "tables" => with_column(table, "table_comment", ["table_schema", "table_name"], move |[schema, name]| {
                comments.of_table(schema, name).map(str::to_owned)
            })
            .map(Some),
            "columns" => {
                let keys = ["table_schema", "table_name", "column_name"];
                with_column(table, "column_comment", keys, move |[schema, name, column]| {
                    comments.of_column(schema, name, column).map(str::to_owned)
                })
                .map(Some)
            }
            _ => Ok(Some(table)),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.built_in().is_ok_and(|schema| schema.table_exist(name))
    }
}

/// Adds a text column that is looked up by the values of `keys`. A projection, and not a join, so that rows keep their order.
fn with_column<const KEYS: usize>(
    table: Arc<dyn TableProvider>,
    name: &str,
    keys: [&str; KEYS],
    look_up: impl Fn([&str; KEYS]) -> Option<String> + Send + Sync + 'static,
) -> Result<Arc<dyn TableProvider>> {
    let fill = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts: Vec<&StringArray> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
        let rows = texts.first().map_or(0, |array| array.len());
        let values: StringArray =
            (0..rows).map(|row| look_up(std::array::from_fn(|key| texts[key].value(row)))).collect();
        Ok(ColumnarValue::Array(Arc::new(values)))
    };
    let function = create_udf(name, vec![DataType::Utf8; KEYS], DataType::Utf8, Volatility::Stable, Arc::new(fill));
    let added = function.call(keys.map(ident).to_vec()).alias(name);
    let columns: Vec<_> = table.schema().fields().iter().map(|field| ident(field.name())).chain([added]).collect();
    let plan = LogicalPlanBuilder::scan("described", provider_as_source(table), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
