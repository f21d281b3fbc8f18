//! How tables that Rust writes are declared and filled.

mod rows;
mod slices;

pub use rows::{Cell, Rows, list_type, struct_list_type};
pub use slices::{SliceChanges, TableRows, slice_commit};

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use secprm_storage::TableSpec;

/// The columns every sliced table is partitioned by.
pub const SLICE_COLUMNS: [&str; 2] = ["dataset", "slice"];

/// A column: name, type, whether it may be null, what it holds.
pub type Column = (&'static str, DataType, bool, &'static str);

/// Declares a table that is replaced slice by slice; `dataset` and `slice` are added.
pub fn sliced_table(name: &str, description: &str, mut columns: Vec<Column>) -> TableSpec {
    columns.push(("dataset", DataType::Utf8, false, "The dataset (partition)"));
    columns.push((
        "slice",
        DataType::Int32,
        false,
        "The unit of refresh: a share of the dataset by hash of pair_id (partition)",
    ));
    let mut spec = whole_table(name, description, columns);
    spec.partition_columns = SLICE_COLUMNS.map(str::to_owned).to_vec();
    spec
}

/// Declares a table that is replaced whole or appended to.
pub fn whole_table(name: &str, description: &str, columns: Vec<Column>) -> TableSpec {
    let fields: Vec<Field> =
        columns.iter().map(|(name, data_type, nullable, _)| Field::new(*name, data_type.clone(), *nullable)).collect();
    TableSpec {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        partition_columns: Vec::new(),
        description: description.to_owned(),
        column_comments: columns
            .iter()
            .map(|(name, _, _, comment)| ((*name).to_owned(), (*comment).to_owned()))
            .collect(),
    }
}

/// Microseconds since 1970 in UTC, as every timestamp on disk.
pub fn utc_timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
