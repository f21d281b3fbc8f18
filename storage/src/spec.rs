//! What a table should be, and how that compares with the table that is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Metadata, MetadataExt, StructType, new_metadata};

use crate::error::{Result, StorageError};
use crate::table::Table;
use crate::types::stored_schema;

/// The declaration of a table: name, columns, partition columns, and what they mean.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Letters, digits and underscores; also the folder's name.
    pub name: String,
    /// All columns in order, partition columns among them. Types without a place on disk stand for
    /// the one that holds their values: see [`TableSpec::stored_schema`].
    pub schema: SchemaRef,
    /// The columns whose values decide a row's folder, of a string or integer type.
    pub partition_columns: Vec<String>,
    /// One sentence for people; may be empty.
    pub description: String,
    /// One sentence per column, for those that have one.
    pub column_comments: BTreeMap<String, String>,
}

impl TableSpec {
    /// Declares an unpartitioned table without a description.
    pub fn new(name: impl Into<String>, schema: SchemaRef) -> Self {
        Self {
            name: name.into(),
            schema,
            partition_columns: Vec::new(),
            description: String::new(),
            column_comments: BTreeMap::new(),
        }
    }

    /// The columns as they come back from disk: plain strings, signed integers, microseconds in UTC.
    ///
    /// # Errors
    /// [`StorageError::Schema`] for a type that cannot be stored, and for a partition column that is
    /// missing, or neither a string nor an integer.
    pub fn stored_schema(&self) -> Result<SchemaRef> {
        let schema = stored_schema(&self.schema).map_err(|problem| StorageError::schema(&self.name, problem))?;
        for name in &self.partition_columns {
            let problem = match schema.field_with_name(name) {
                Err(_) => format!("partition column `{name}` is not among the columns"),
                Ok(field) if field.data_type() == &DataType::Utf8 || field.data_type().is_integer() => {
                    continue;
                }
                Ok(field) => {
                    format!("partition column `{name}` is of type {}; use a string or an integer", field.data_type())
                }
            };
            return Err(StorageError::schema(&self.name, problem));
        }
        if schema.fields().len() == self.partition_columns.len() {
            let problem = "a table needs a column besides its partition columns";
            return Err(StorageError::schema(&self.name, problem));
        }
        Ok(schema)
    }

    /// The Delta metadata of the table; it keeps the identity of the table that is there.
    pub(crate) fn metadata(&self, current: Option<&Table>) -> Result<Metadata> {
        let failed = |error: deltalake::kernel::Error| {
            StorageError::delta("describe", &self.name, deltalake::DeltaTableError::from(error))
        };
        let mut metadata =
            new_metadata(&self.struct_type()?, &self.partition_columns, no_configuration()).map_err(failed)?;
        metadata = metadata.with_name(self.name.clone()).map_err(failed)?;
        if !self.description.is_empty() {
            metadata = metadata.with_description(self.description.clone()).map_err(failed)?;
        }
        match current {
            Some(table) => {
                let id = table.snapshot().metadata().id().to_owned();
                metadata.with_table_id(id).map_err(failed)
            }
            None => Ok(metadata),
        }
    }

    fn struct_type(&self) -> Result<StructType> {
        let schema = self.stored_schema()?;
        let fields: Vec<Field> = schema.fields().iter().map(|field| self.commented(field)).collect();
        (&Schema::new(fields)).try_into_kernel().map_err(|error| StorageError::delta("describe", &self.name, error))
    }

    fn commented(&self, field: &Arc<Field>) -> Field {
        let field = field.as_ref().clone();
        match self.column_comments.get(field.name()) {
            Some(comment) => field.with_metadata([("comment".to_owned(), comment.clone())].into_iter().collect()),
            None => field,
        }
    }

    /// Compares the declaration with the table that is there.
    pub(crate) fn compare(&self, table: &Table) -> Result<Difference> {
        let declared = self.stored_schema()?;
        if table.partition_columns() != self.partition_columns {
            return Ok(Difference::Incompatible(format!(
                "it is partitioned by ({}), but should be by ({})",
                table.partition_columns().join(", "),
                self.partition_columns.join(", ")
            )));
        }
        if let Some(problem) = incompatibility(table.schema(), &declared) {
            return Ok(Difference::Incompatible(problem));
        }
        let known: BTreeMap<&String, &String> =
            self.column_comments.iter().filter(|(name, _)| declared.field_with_name(name).is_ok()).collect();
        let is_same = table.schema() == &declared
            && table.column_comments().iter().eq(known)
            && table.description().unwrap_or_default() == self.description;
        Ok(if is_same { Difference::None } else { Difference::Metadata })
    }
}

fn no_configuration() -> [(String, String); 0] {
    []
}

/// How a declaration differs from the table that is there.
pub(crate) enum Difference {
    /// Not at all.
    None,
    /// In new nullable columns, their order, comments or the description: a change of metadata alone.
    Metadata,
    /// So that rows already there no longer fit.
    Incompatible(String),
}

/// Says why rows of a stored schema do not fit a declared one; none if they do.
fn incompatibility(stored: &Schema, declared: &Schema) -> Option<String> {
    for field in stored.fields() {
        let name = field.name();
        let Ok(new) = declared.field_with_name(name) else {
            return Some(format!("its column `{name}` is no longer declared"));
        };
        if new.data_type() != field.data_type() {
            return Some(format!(
                "its column `{name}` is of type {}, but should be {}",
                field.data_type(),
                new.data_type()
            ));
        }
        if field.is_nullable() && !new.is_nullable() {
            return Some(format!("its column `{name}` may hold nulls, but should not"));
        }
    }
    declared
        .fields()
        .iter()
        .find(|field| stored.field_with_name(field.name()).is_err() && !field.is_nullable())
        .map(|field| format!("it lacks the column `{}`, which may not be null", field.name()))
}
