//! The tables that findings are written to.

use arrow::datatypes::DataType;
use secprm_storage::TableSpec;

use crate::tables::{Column, sliced_table, utc_timestamp, whole_table};

/// Findings, each with its place in a pair.
pub const FINDINGS: &str = "findings";
/// Results that are not carried on.
pub const FINDING_REJECTS: &str = "finding_rejects";
/// The SARIF files and what became of their results.
pub const ANALYSES: &str = "analyses";

/// Returns the declarations of `finding_rejects`, `findings` and `analyses`, in the order they are committed.
pub fn finding_tables() -> [TableSpec; 3] {
    [
        whole_table(
            FINDING_REJECTS,
            "A result of a static analyser that is not carried on, and why",
            rejects_columns(),
        ),
        sliced_table(
            FINDINGS,
            "A place in a pair's vulnerable version that a static analyser complains about",
            findings_columns(),
        ),
        whole_table(ANALYSES, "A SARIF file and what became of its results", analyses_columns()),
    ]
}

fn findings_columns() -> Vec<Column> {
    vec![
        ("pair_id", DataType::Utf8, false, "The pair"),
        (
            "file_index",
            DataType::Int32,
            false,
            "The file among the pair's `files`, from 0; 0 where a version is one text",
        ),
        ("start_line", DataType::Int32, false, "First line, from 1, in the vulnerable version of that file"),
        ("end_line", DataType::Int32, false, "Last line"),
        ("tool", DataType::Utf8, false, "The analyser, as it calls itself"),
        ("tool_version", DataType::Utf8, true, "Its version, where it tells"),
        ("rule_id", DataType::Utf8, true, "The rule, where the analyser names it"),
        ("level", DataType::Utf8, false, "error, warning, note or none; [label] analyzer_levels says which label"),
        ("message", DataType::Utf8, true, "What the analyser says"),
        ("source_file", DataType::Utf8, false, "The SARIF file, below its analysis's url"),
    ]
}

fn rejects_columns() -> Vec<Column> {
    vec![
        ("source_file", DataType::Utf8, false, "The SARIF file, below its analysis's url"),
        ("source_row", DataType::Int64, false, "The result in the file, from 0, over all of its runs"),
        ("tool", DataType::Utf8, false, "The analyser, as it calls itself"),
        (
            "reason",
            DataType::Utf8,
            false,
            "One of a closed set: invalid_result, not_a_finding (all is well, suppressed, no longer there), code_not_read, no_line, \
             finding_without_pair, finding_without_file",
        ),
        ("detail", DataType::Utf8, false, "What was found"),
        ("raw", DataType::Utf8, true, "The result as far as it can be shown"),
    ]
}

fn analyses_columns() -> Vec<Column> {
    vec![
        ("url", DataType::Utf8, false, "The [[analysis]] url the file was found under"),
        ("source_file", DataType::Utf8, false, "The SARIF file, below its analysis's url"),
        ("size", DataType::Int64, false, "Bytes"),
        ("modified_at", utc_timestamp(), true, "When the store says it was last modified"),
        ("e_tag", DataType::Utf8, true, "The store's tag of the file's content, where it has one"),
        ("source_hash", DataType::Utf8, false, "BLAKE3 of the file"),
        ("tools", DataType::Utf8, false, "The analysers whose runs it holds, each with its version"),
        ("results", DataType::Int64, false, "Results in the file"),
        (
            "accounted",
            DataType::Int64,
            false,
            "Results that a finding or a reject was made of; equal to `results`, or the check finding_accounting fails",
        ),
        ("findings", DataType::Int64, false, "Findings made of them: one for each place of a result"),
        ("rejects", DataType::Int64, false, "Rejects made of them"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::FindingRejectReason;

    #[test]
    fn every_reason_is_documented() {
        let [rejects, ..] = finding_tables();
        let comment = rejects.column_comments.get("reason").map(String::as_str).unwrap_or_default();
        for reason in FindingRejectReason::ALL {
            assert!(comment.contains(reason.as_str()), "{}", reason.as_str());
        }
    }
}
