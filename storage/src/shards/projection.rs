//! Columns of a table as they are asked for, from files that hold some of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::schema::types::SchemaDescriptor;

use crate::error::{Result, StorageError};
use crate::types::conform_column;

/// The columns that a reader hands out, in the order asked for.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    schema: SchemaRef,
}

impl Projection {
    /// Fails for a column that the table does not have, or that is named twice.
    pub(super) fn new(table: &str, schema: &Schema, columns: &[&str]) -> Result<Self> {
        let mut fields: Vec<Arc<Field>> = Vec::with_capacity(columns.len());
        for name in columns {
            let Ok(index) = schema.index_of(name) else {
                let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                let problem = format!("it has no column `{name}`; its columns are {}", known.join(", "));
                return Err(StorageError::schema(table, problem));
            };
            if fields.iter().any(|field| field.name() == name) {
                return Err(StorageError::schema(table, format!("column `{name}` is asked for twice")));
            }
            fields.push(Arc::clone(&schema.fields()[index]));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)) })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns to read from a file; none if it holds none of them.
    pub(super) fn mask(&self, file: &SchemaDescriptor) -> Option<ProjectionMask> {
        let roots = file.root_schema().get_fields().iter().enumerate();
        let wanted: Vec<usize> = roots
            .filter(|(_, column)| self.schema.field_with_name(column.name()).is_ok())
            .map(|(index, _)| index)
            .collect();
        (!wanted.is_empty()).then(|| ProjectionMask::roots(file, wanted))
    }

    /// Completes what was read of a file: partition columns by the log, columns that are younger than the file as nulls.
    pub(super) fn complete(
        &self,
        rows: usize,
        read: Option<&RecordBatch>,
        partition: &BTreeMap<String, Option<String>>,
    ) -> Result<RecordBatch, String> {
        let columns = self.schema.fields().iter().map(|field| {
            let found = read.and_then(|batch| batch.column_by_name(field.name()));
            let column = match (found, partition.get(field.name())) {
                (Some(column), _) => conform_column(field, column),
                (None, Some(value)) => constant(value.as_deref(), rows, field.data_type()),
                (None, None) if field.is_nullable() => Ok(new_null_array(field.data_type(), rows)),
                (None, None) => Err("it is missing".to_owned()),
            };
            column.map_err(|problem| format!("column `{}`: {problem}", field.name()))
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, String>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| error.to_string())
    }
}

fn constant(value: Option<&str>, rows: usize, data_type: &DataType) -> Result<ArrayRef, String> {
    let Some(value) = value else { return Ok(new_null_array(data_type, rows)) };
    let texts = StringArray::from_iter_values(std::iter::repeat_n(value, rows));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&texts, data_type, &options).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Int32Type;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("text", DataType::Utf8, true),
            Field::new("slice", DataType::Int32, false),
            Field::new("n", DataType::Int32, false),
        ])
    }

    #[test]
    fn columns_come_as_asked_with_partitions_and_nulls() {
        let projection = Projection::new("t", &schema(), &["slice", "n", "text"]).unwrap();
        let read = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
        let partition = BTreeMap::from([("slice".to_owned(), Some("7".to_owned()))]);
        let batch = projection.complete(2, Some(&read), &partition).unwrap();
        assert_eq!(batch.column(0).as_primitive::<Int32Type>().values().as_ref(), [7, 7]);
        assert_eq!(batch.column(1).as_primitive::<Int32Type>().values().as_ref(), [1, 2]);
        assert_eq!(batch.column(2).null_count(), 2);
        assert_eq!(projection.complete(2, None, &partition).unwrap_err(), "column `n`: it is missing");
    }

    #[test]
    fn unknown_and_repeated_columns_are_refused() {
        let error = |columns: &[&str]| Projection::new("t", &schema(), columns).unwrap_err().to_string();
        assert_eq!(error(&["x"]), "table `t`: it has no column `x`; its columns are text, slice, n");
        assert_eq!(error(&["n", "n"]), "table `t`: column `n` is asked for twice");
    }
}
