//! Rows of pairs, keys and earlier splits as `SplitPair`s.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampMicrosecondType};

use super::minhash::Signature;
use super::pair::SplitPair;
use super::split::{Split, SplitSource};
use crate::error::{Result, StageError};

/// Texts that several pairs have, each once: pairs share commits, CVEs and projects.
#[derive(Debug, Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name: Arc<str> = Arc::from(name);
        self.0.insert(name.clone());
        name
    }
}

/// Reads the rows of a query with the columns `pair_id, dataset, slice, commit_id, cve, project, upstream_split, dated_at, earlier_split,
/// earlier_source` and adds them to `pairs`, without the keys of their code. `names` holds the texts that pairs share.
///
/// # Errors
/// [`StageError::Table`] if a column is missing or of another type, or holds what this version does not write.
pub fn read_pairs(batch: &RecordBatch, pairs: &mut Vec<SplitPair>, names: &mut Names) -> Result<()> {
    let [ids, datasets, commits, cves] = texts(batch, ["pair_id", "dataset", "commit_id", "cve"])?;
    let [projects, upstream, splits, sources] =
        texts(batch, ["project", "upstream_split", "earlier_split", "earlier_source"])?;
    let slices = numbers::<Int32Type>(batch, "slice")?;
    let dates = numbers::<TimestampMicrosecondType>(batch, "dated_at")?;
    for row in 0..batch.num_rows() {
        let dataset = names.shared(datasets.value(row));
        pairs.push(SplitPair {
            pair_id: id_of(ids.value(row))?,
            upstream: text(upstream, row).and_then(|name| Split::of_dataset(&dataset, name)),
            dataset,
            slice: slices.value(row),
            commit_id: text(commits, row).map(|name| names.shared(name)),
            cve: text(cves, row).map(|name| names.shared(name)),
            project: text(projects, row).map(|name| names.shared(name)),
            date: dates.is_valid(row).then(|| dates.value(row)),
            code_hashes: Vec::new(),
            signatures: Vec::new(),
            earlier: earlier_of(text(splits, row), text(sources, row)),
        });
    }
    Ok(())
}

/// Gives pairs, which are ordered by identifier, the keys of their code: rows of a query with the columns `pair_id, code_hashes,
/// signatures`, in any order. Apart from [`read_pairs`], since a join would hold all signatures once more.
///
/// # Errors
/// As [`read_pairs`].
pub fn read_keys(batch: &RecordBatch, pairs: &mut [SplitPair]) -> Result<()> {
    let [ids] = texts(batch, ["pair_id"])?;
    let [hashes, signatures] = [lists(batch, "code_hashes")?, lists(batch, "signatures")?];
    for row in 0..batch.num_rows() {
        let id = id_of(ids.value(row))?;
        // Keys of a pair that is no more belong to a slice that will be computed again.
        let Ok(at) = pairs.binary_search_by_key(&id, |pair| pair.pair_id) else { continue };
        if let Some(pair) = pairs.get_mut(at) {
            pair.code_hashes = hashes_of(hashes, row)?;
            pair.signatures = signatures_of(signatures, row)?;
        }
    }
    Ok(())
}

fn id_of(text: &str) -> Result<u128> {
    u128::from_str_radix(text, 16).map_err(|_| broken(format!("{text} is no pair_id")))
}

fn hashes_of(lists: &ListArray, row: usize) -> Result<Vec<i64>> {
    if lists.is_null(row) {
        return Ok(Vec::new());
    }
    let values = lists.value(row);
    let hashes = values.as_primitive_opt::<Int64Type>().ok_or_else(|| unreadable("code_hashes"))?;
    Ok(hashes.values().to_vec())
}

fn signatures_of(lists: &ListArray, row: usize) -> Result<Vec<Signature>> {
    if lists.is_null(row) {
        return Ok(Vec::new());
    }
    let values = lists.value(row);
    let signatures = values.as_binary_opt::<i32>().ok_or_else(|| unreadable("signatures"))?;
    // A vector that grows has room for four signatures, which is most of what a million pairs would take.
    let mut read = Vec::with_capacity(signatures.len());
    for bytes in signatures.iter().flatten() {
        read.push(Signature::from_bytes(bytes).ok_or_else(|| unreadable("signatures"))?);
    }
    Ok(read)
}

/// A name that this version does not know, from a table of another one, counts as no split.
fn earlier_of(split: Option<&str>, source: Option<&str>) -> Option<(Split, SplitSource)> {
    Some((Split::parse(split?)?, SplitSource::parse(source?)?))
}

fn text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

fn texts<'batch, const N: usize>(batch: &'batch RecordBatch, names: [&str; N]) -> Result<[&'batch StringArray; N]> {
    let mut columns = Vec::with_capacity(N);
    for name in names {
        columns.push(column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| unreadable(name))?);
    }
    columns.try_into().map_err(|_| broken("columns were lost".to_owned()))
}

fn numbers<'batch, T: ArrowPrimitiveType>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch PrimitiveArray<T>> {
    column(batch, name)?.as_primitive_opt().ok_or_else(|| unreadable(name))
}

fn lists<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ListArray> {
    column(batch, name)?.as_list_opt().ok_or_else(|| unreadable(name))
}

fn column<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| broken(format!("the column {name} is missing")))
}

fn unreadable(column: &str) -> StageError {
    broken(format!(
        "the column {column} holds what this version does not write; compute the keys again: `secprm run --select code_keys --full-refresh`"
    ))
}

fn broken(message: String) -> StageError {
    StageError::Table { table: "pairs, code_keys or splits".to_owned(), message }
}
