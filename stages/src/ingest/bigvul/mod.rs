//! BigVul: a CSV file of 36 columns (`csv`), or its mirror, Parquet files of 11 ([`mirror`]).

mod columns;
mod csv;
mod mirror;
mod records;
mod row;
mod window;

use super::reader::{Access, DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::Result;

/// Reads BigVul.
pub struct BigVulReader;

impl DatasetReader for BigVulReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::BigVul
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        path.ends_with(".csv") || is_mirror(path)
    }

    fn access(&self, path: &str) -> Access {
        if is_mirror(path) { Access::Random } else { Access::Stream }
    }

    fn expected_files(&self) -> &'static str {
        "MSR_data_cleaned.csv or {train,validation,test}-*.parquet"
    }

    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64> {
        match is_mirror(&context.path) {
            true => mirror::read_mirror(context, input.random(&context.path)?, sink),
            false => csv::read_csv(context, input.stream(&context.path)?, sink),
        }
    }
}

fn is_mirror(path: &str) -> bool {
    path.ends_with(".parquet")
}

#[cfg(test)]
mod tests;
