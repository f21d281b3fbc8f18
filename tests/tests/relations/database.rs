//! A session as relations meet it: secprm's functions, schemas `base` and `previous`, a tokenizer, and no tables but those a test makes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use secprm::config::Project;
use secprm::relation::{BASE_SCHEMA, Library, PREVIOUS_SCHEMA, RelationKind};
use secprm_stages::functions::{TokenizerRegistry, register};
use secprm_stages::train::train_tokenizer;
use secprm_storage::{Grain, session_state_builder};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};

/// A statement that plans a shipped file with the default configuration's parameters and registers it as a view.
const LOAD: &str = "LOAD RELATION ";

/// The database of one `.slt` file.
pub struct Database {
    context: SessionContext,
    library: Library,
}

impl Database {
    /// Makes a session with nothing in it but a tokenizer of single bytes, whose identifier is in the table `tokenizers`.
    pub async fn open() -> Result<Database> {
        let external = |error: secprm::error::Error| DataFusionError::External(Box::new(error));
        let project = Project::load(None).map_err(external)?;
        let library = Library::load(None, &project.config.sql_parameters()).map_err(external)?;
        let state = session_state_builder(256 << 20, Grain::of_queries(1), None)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let context = SessionContext::new_with_state(state.build());
        let registry = TokenizerRegistry::default();
        register(&context, &registry);
        for schema in [BASE_SCHEMA, PREVIOUS_SCHEMA] {
            context.sql(&format!("CREATE SCHEMA {schema}")).await?.collect().await?;
        }
        // 256 tokens leave no room for a merge: a text has as many tokens as bytes, which a reader of a test can count.
        let texts = context.sql("SELECT 'unused' AS text").await?.execute_stream().await?;
        let tokenizer =
            train_tokenizer(texts, 256).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let table = format!("CREATE TABLE tokenizers AS SELECT '{}' AS tokenizer_id", tokenizer.id());
        registry.insert(Arc::new(tokenizer));
        context.sql(&table).await?.collect().await?;
        Ok(Database { context, library })
    }

    async fn load(&self, name: &str) -> Result<()> {
        let kinds = [RelationKind::Table, RelationKind::View, RelationKind::Check];
        let mut relations = kinds.into_iter().flat_map(|kind| self.library.of_kind(kind));
        let relation = relations.find(|relation| relation.name == name);
        let relation = relation.ok_or_else(|| DataFusionError::Plan(format!("no relation {name} is shipped")))?;
        let view = self.context.sql(&relation.sql()).await?.into_view();
        self.context.register_table(name, view)?;
        Ok(())
    }
}

#[async_trait]
impl AsyncDB for Database {
    type Error = DataFusionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>> {
        if let Some(name) = sql.trim().strip_prefix(LOAD) {
            self.load(name.trim()).await?;
            return Ok(DBOutput::StatementComplete(0));
        }
        let frame = self.context.sql(sql).await?;
        let types: Vec<_> = frame.schema().fields().iter().map(|field| column_type(field.data_type())).collect();
        let batches = frame.collect().await?;
        if types.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let rows = batches.iter().map(rows_of).collect::<Result<Vec<_>>>()?.concat();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        "secprm"
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        _ if data_type.is_integer() => DefaultColumnType::Integer,
        _ if data_type.is_floating() => DefaultColumnType::FloatingPoint,
        _ if data_type.is_nested() => DefaultColumnType::Any,
        _ => DefaultColumnType::Text,
    }
}

fn rows_of(batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let columns = batch.columns().iter().map(texts_of).collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows()).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect())
}

/// Values on one line each: line ends escaped, an empty text as `(empty)`, floats with six digits after the point.
fn texts_of(column: &ArrayRef) -> Result<Vec<String>> {
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column, &options)?;
    let text_of = |row: usize| {
        let text = formatter.value(row).to_string();
        match column.data_type() {
            DataType::Float32 | DataType::Float64 => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => rounded(number),
                _ => text,
            },
            _ if text.is_empty() => "(empty)".to_owned(),
            _ => text.replace('\r', "\\r").replace('\n', "\\n"),
        }
    };
    Ok((0..column.len()).map(text_of).collect())
}

fn rounded(number: f64) -> String {
    let fixed = format!("{number:.6}");
    let short = fixed.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}
