//! The tables that ingest writes.

use arrow::datatypes::DataType;
use secprm_storage::TableSpec;

use crate::tables::{Column, list_type, sliced_table, struct_list_type, utc_timestamp};

/// Pairs; one row is a vulnerable/fixed pair, or one side alone.
pub const PAIRS: &str = "pairs";
/// Where each pair came from.
pub const PROVENANCE: &str = "provenance";
/// Raw records that are not carried on.
pub const INGEST_REJECTS: &str = "ingest_rejects";
/// The raw files and what became of their records.
pub const SOURCES: &str = "sources";

/// Returns the specifications of the four tables, in the order they are committed: `sources` last, since its fingerprint says
/// that all of them are complete.
pub fn ingest_tables() -> [TableSpec; 4] {
    [
        sliced_table(PAIRS, "A vulnerable/fixed pair, or one side alone; the split is in `splits`", pairs_columns()),
        sliced_table(
            PROVENANCE,
            "Where a pair came from; apart from `pairs`, so that a shifted line rewrites no pair",
            provenance_columns(),
        ),
        sliced_table(INGEST_REJECTS, "A raw record that is not carried on, and why", rejects_columns()),
        sliced_table(SOURCES, "A raw file and what became of its records", sources_columns()),
    ]
}

fn pairs_columns() -> Vec<Column> {
    let text = || DataType::Utf8;
    let files = struct_list_type(&[
        ("path", text()),
        ("language", text()),
        ("vulnerable_end", DataType::Int64),
        ("secure_end", DataType::Int64),
    ]);
    vec![
        ("pair_id", text(), false, "Hash of dataset and content; equal records are numbered"),
        ("subset", text(), false, "paired or unpaired"),
        ("upstream_split", text(), true, "The dataset's own name of the split"),
        ("granularity", text(), false, "function, file or repository"),
        ("language", text(), false, "By the file's extension; text where unknown"),
        ("cwe", list_type(text()), false, "CWE identifiers as CWE-79"),
        ("cve", text(), true, "CVE identifier"),
        ("project", text(), true, "owner/repository, or the dataset's name of the project"),
        ("commit_id", text(), true, "The fixing commit"),
        ("committed_at", utc_timestamp(), true, "When it was committed"),
        (
            "published_at",
            utc_timestamp(),
            true,
            "When the vulnerability was published; stands in where the commit has no date",
        ),
        ("file_path", text(), true, "The file's path in its repository"),
        ("function_name", text(), true, "The function's name"),
        ("vulnerable_code", text(), true, "The vulnerable version, original bytes"),
        ("secure_code", text(), true, "The fixed or never vulnerable version, original bytes"),
        (
            "files",
            files,
            false,
            "The files both versions are made of, one behind the other, each with the byte behind it; empty where a version is one text",
        ),
        (
            "expert_lines",
            list_type(DataType::Int32),
            false,
            "Lines of the vulnerable version, from 1, that the dataset's experts marked",
        ),
        ("content_hash", text(), false, "Hash of both versions' text"),
    ]
}

fn provenance_columns() -> Vec<Column> {
    vec![
        ("pair_id", DataType::Utf8, false, "The pair"),
        ("source_file", DataType::Utf8, false, "The raw file, below its source's url"),
        (
            "source_row",
            DataType::Int64,
            false,
            "The record in the file, from 0; the first one, where there are several",
        ),
        ("source_rows", DataType::Int64, false, "How many records the pair was made of, from source_row on"),
        ("byte_offset", DataType::Int64, false, "The byte at which the record starts, in the decompressed file"),
        ("source_hash", DataType::Utf8, false, "BLAKE3 of the raw file"),
    ]
}

fn rejects_columns() -> Vec<Column> {
    vec![
        ("source_file", DataType::Utf8, false, "The raw file, below its source's url"),
        ("source_row", DataType::Int64, false, "The record in the file, from 0"),
        ("byte_offset", DataType::Int64, false, "The byte at which the record starts, in the decompressed file"),
        (
            "reason",
            DataType::Utf8,
            false,
            "One of a closed set: invalid_utf8, invalid_json, not_an_object, missing_field, wrong_type, invalid_value, empty_code, too_large, \
             invalid_csv, no_counterpart, unsupported_language, outdated, not_vulnerable, invalid_archive_entry",
        ),
        ("detail", DataType::Utf8, false, "Which field, what was found"),
        ("raw", DataType::Utf8, true, "The record as far as it can be shown"),
    ]
}

fn sources_columns() -> Vec<Column> {
    vec![
        ("url", DataType::Utf8, false, "The [[source]] url the file was found under"),
        ("source_file", DataType::Utf8, false, "The raw file, below its source's url"),
        ("size", DataType::Int64, false, "Bytes"),
        ("modified_at", utc_timestamp(), true, "When the store says it was last modified"),
        ("e_tag", DataType::Utf8, true, "The store's tag of the file's content, where it has one"),
        ("source_hash", DataType::Utf8, false, "BLAKE3 of the file"),
        ("records", DataType::Int64, false, "Raw records, as the reader counted them"),
        (
            "accounted",
            DataType::Int64,
            false,
            "Records that a pair or a reject was made of; equal to `records`, or the check ingest_accounting fails",
        ),
        (
            "pairs",
            DataType::Int64,
            false,
            "Pairs made of them: several of one record, or one of several, where the dataset is so",
        ),
        ("rejects", DataType::Int64, false, "Rejects made of them"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::RejectReason;

    #[test]
    fn the_reasons_that_are_documented_are_all_there_are() {
        let [.., rejects, _] = ingest_tables();
        let comment = rejects.column_comments.get("reason").map(String::as_str).unwrap_or_default();
        let listed: Vec<&str> = comment.split(": ").nth(1).unwrap_or_default().split(", ").map(str::trim).collect();
        assert_eq!(listed, RejectReason::ALL.map(RejectReason::as_str));
    }
}
