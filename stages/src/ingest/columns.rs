//! Pairs and rejects as rows of their tables.

use super::read::ReadPair;
use super::record::{PairFile, Reject};
use crate::tables::{Cell, Rows};

/// Appends a pair to a batch of `pairs`.
pub fn push_pair(rows: &mut Rows, read: &ReadPair, pair_id: &str, dataset: &str, slice: i32) {
    let pair = &read.pair;
    let files: Vec<Vec<Cell<'_>>> = pair.files.iter().map(file_cells).collect();
    rows.push(&[
        Cell::Text(Some(pair_id)),
        Cell::Text(Some(pair.subset.as_str())),
        Cell::Text(pair.upstream_split.as_deref()),
        Cell::Text(Some(pair.granularity.as_str())),
        Cell::Text(Some(pair.language.as_str())),
        Cell::TextList(&pair.cwe),
        Cell::Text(pair.cve.as_deref()),
        Cell::Text(pair.project.as_deref()),
        Cell::Text(pair.commit_id.as_deref()),
        Cell::Int(pair.committed_at),
        Cell::Int(pair.published_at),
        Cell::Text(pair.file_path.as_deref()),
        Cell::Text(pair.function_name.as_deref()),
        Cell::Text(pair.vulnerable_code.as_deref()),
        Cell::Text(pair.secure_code.as_deref()),
        Cell::StructList(&files),
        Cell::IntList(&pair.expert_lines),
        Cell::Text(Some(&read.code_hash.to_string())),
        Cell::Text(Some(dataset)),
        Cell::Int(Some(i64::from(slice))),
    ]);
}

fn file_cells(file: &PairFile) -> Vec<Cell<'_>> {
    vec![
        Cell::Text(Some(&file.path)),
        Cell::Text(Some(file.language.as_str())),
        Cell::Int(Some(file.vulnerable_end as i64)),
        Cell::Int(Some(file.secure_end as i64)),
    ]
}

/// Appends a record to a batch of `ingest_rejects`.
pub fn push_reject(rows: &mut Rows, reject: &Reject, file: &str, row: u64, byte_offset: u64, dataset: &str) {
    rows.push(&[
        Cell::Text(Some(file)),
        Cell::Int(Some(row as i64)),
        Cell::Int(Some(byte_offset as i64)),
        Cell::Text(Some(reject.reason.as_str())),
        Cell::Text(Some(&reject.detail)),
        Cell::Text(reject.raw.as_deref()),
        Cell::Text(Some(dataset)),
        Cell::Int(Some(0)),
    ]);
}
