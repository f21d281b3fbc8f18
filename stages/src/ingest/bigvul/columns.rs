//! The columns that are read, and where a file has them: by name, in whatever order and among whatever others.

use crate::error::{Result, StageError};
use crate::ingest::reader::FileContext;

/// How many columns are read.
pub const COLUMN_COUNT: usize = 10;

/// The columns that are read, in the order of [`super::row::Row`].
pub const COLUMNS: [&str; COLUMN_COUNT] = [
    "CVE ID",
    "CWE ID",
    "Publish Date",
    "commit_id",
    "file_name",
    "func_after",
    "func_before",
    "lang",
    "project",
    "vul",
];

/// Columns that the mirror does not have.
const CSV_ONLY: [&str; 2] = ["Publish Date", "file_name"];

/// Where a file has each of `COLUMNS`.
pub type Places = [Option<usize>; COLUMN_COUNT];

/// Finds the columns among a file's own, the first of each name.
///
/// # Errors
/// [`StageError::Source`] if one is missing that both layouts have: then the file is another dataset's.
pub fn find_columns(context: &FileContext, names: &[&str]) -> Result<Places> {
    let places = COLUMNS.map(|column| names.iter().position(|name| *name == column));
    let missing: Vec<&str> = COLUMNS
        .into_iter()
        .zip(&places)
        .filter(|(column, place)| place.is_none() && !CSV_ONLY.contains(column))
        .map(|(column, _)| column)
        .collect();
    if missing.is_empty() { Ok(places) } else { Err(stranger(context, &missing)) }
}

/// The error that a file lacks columns that all of BigVul has.
pub fn stranger(context: &FileContext, missing: &[&str]) -> StageError {
    StageError::Source {
        message: format!("{} is not a BigVul file: it has no column {}", context.path, missing.join(", ")),
        remedy: "check `dataset` and `url` of this [[source]]; BigVul is MSR_data_cleaned.csv with its header, or Parquet files \
                 with the same names of columns"
            .to_owned(),
    }
}
