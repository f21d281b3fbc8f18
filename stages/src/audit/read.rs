//! Rows of `samples` as pairs of the audit.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Int8Type;

use super::pair::{AuditPair, AuditStep, StepShape, Version};
use super::words::Words;
use crate::error::{Result, StageError};
use crate::splits::Split;

/// Collects pairs of the training and the test split from rows of `samples`, which may come in any order.
#[derive(Default)]
pub struct PairReader {
    halves: BTreeMap<(Split, String), Halves>,
}

#[derive(Default)]
struct Halves {
    group_id: String,
    vulnerable: Option<Version>,
    fixed: Option<Version>,
}

impl PairReader {
    /// Reads rows with the columns `pair_id, group_id, role, split, completions, labels, supervised`; of text, shapes and words are kept.
    ///
    /// # Errors
    /// [`StageError::Table`] if a column is missing or of another type.
    pub fn read(&mut self, batch: &RecordBatch) -> Result<()> {
        let [pairs, groups, roles, splits] = texts(batch, ["pair_id", "group_id", "role", "split"])?;
        for row in 0..batch.num_rows() {
            let Some(split) = Split::parse(splits.value(row)) else { continue };
            let version = version(batch, row)?;
            let halves = self.halves.entry((split, pairs.value(row).to_owned())).or_default();
            groups.value(row).clone_into(&mut halves.group_id);
            match roles.value(row) {
                "vulnerable" => halves.vulnerable = Some(version),
                _ => halves.fixed = Some(version),
            }
        }
        Ok(())
    }

    /// Returns the pairs of which both versions were read: of the training split, and of the test split.
    pub fn finish(self) -> [Vec<AuditPair>; 2] {
        let [mut train, mut test] = [Vec::new(), Vec::new()];
        for ((split, pair_id), halves) in self.halves {
            if let (Some(vulnerable), Some(fixed)) = (halves.vulnerable, halves.fixed) {
                let pair = AuditPair { pair_id, group_id: halves.group_id, vulnerable, fixed };
                match split {
                    Split::Train => train.push(pair),
                    Split::Test => test.push(pair),
                    Split::Validation => {}
                }
            }
        }
        [train, test]
    }
}

fn version(batch: &RecordBatch, row: usize) -> Result<Version> {
    let completions = list(batch, "completions", row)?;
    let labels = list(batch, "labels", row)?;
    let supervised = list(batch, "supervised", row)?;
    let texts = completions.as_string_opt::<i32>().ok_or_else(|| unreadable("completions"))?;
    let labels = labels.as_primitive_opt::<Int8Type>().ok_or_else(|| unreadable("labels"))?;
    let supervised = supervised.as_boolean_opt().ok_or_else(|| unreadable("supervised"))?;
    if texts.len() != labels.len() || texts.len() != supervised.len() {
        return Err(broken("a sample has not as many labels as steps".to_owned()));
    }
    let step = |index: usize| AuditStep {
        shape: StepShape::of(texts.value(index)),
        words: Words::of(texts.value(index)),
        is_vulnerable: labels.value(index) == 0,
        is_supervised: supervised.value(index),
    };
    Ok(Version { steps: (0..texts.len()).map(step).collect() })
}

fn texts<'batch, const N: usize>(batch: &'batch RecordBatch, names: [&str; N]) -> Result<[&'batch StringArray; N]> {
    let mut columns = Vec::with_capacity(N);
    for name in names {
        columns.push(column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| unreadable(name))?);
    }
    columns.try_into().map_err(|_| broken("columns were lost".to_owned()))
}

fn list(batch: &RecordBatch, name: &str, row: usize) -> Result<ArrayRef> {
    Ok(column(batch, name)?.as_list_opt::<i32>().ok_or_else(|| unreadable(name))?.value(row))
}

fn column<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| broken(format!("the column {name} is missing")))
}

fn unreadable(column: &str) -> StageError {
    broken(format!(
        "the column {column} holds what this version does not write; label again: `secprm run --select samples --full-refresh`"
    ))
}

fn broken(message: String) -> StageError {
    StageError::Table { table: "samples".to_owned(), message }
}
