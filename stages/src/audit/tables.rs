//! The table that the audit is written to.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use secprm_storage::{CommitMode, CommitNote, Fingerprint, Table, TableSpec, Warehouse};

use super::judge::Task;
use super::run::AuditNumber;
use crate::error::Result;
use crate::splits::Split;
use crate::tables::{Cell, TableRows, whole_table};

/// What structure and words alone tell; `metrics` takes its rows in.
pub const AUDIT_METRICS: &str = "audit_metrics";

/// How many samples, steps and pairs a split has, of which an audit may have taken a share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SplitSize {
    /// Samples.
    pub samples: u64,
    /// Their steps.
    pub steps: u64,
    /// Pairs that both versions of gave a sample.
    pub pairs: u64,
}

/// The audit of one dataset in one label mode.
pub struct DatasetAudit {
    /// The dataset.
    pub dataset: String,
    /// The label mode.
    pub label_mode: String,
    /// What was found.
    pub numbers: Vec<AuditNumber>,
    /// The sizes of its splits.
    pub sizes: BTreeMap<Split, SplitSize>,
}

/// Returns the declaration of `audit_metrics`.
pub fn audit_metrics_table() -> TableSpec {
    let text = DataType::Utf8;
    let columns = vec![
        (
            "model_id",
            text.clone(),
            false,
            "The judge: audit:length (whole-code length alone, the bar), audit:step_count, audit:empty_step, audit:separators, \
             audit:step_lengths, or audit:words (bag of words)",
        ),
        ("label_mode", text.clone(), false, "natural, paper or paper_cleaned"),
        ("dataset", text.clone(), false, "The dataset, whose training split the judge was fitted to"),
        ("split", text.clone(), false, "test; train too for audit:empty_step, a rule that is fitted to nothing"),
        (
            "task",
            text.clone(),
            false,
            "detection: is a version vulnerable; pair: which version of a pair is the vulnerable one; step: is a step labelled 0",
        ),
        (
            "metric",
            text,
            false,
            "auroc, accuracy, f1, both_right (share of pairs whose versions are both called what they are), and for auroc, f1 or accuracy \
             with _excess_over_length: by how much the judge is better than audit:length",
        ),
        (
            "value",
            DataType::Float64,
            true,
            "The number; null where it is not defined, or where a split has fewer than 20 pairs",
        ),
        ("n", DataType::Int64, false, "Versions, pairs or steps it was computed from"),
        ("ci_low", DataType::Float64, true, "Lower end of the 95 % interval, by a bootstrap over groups of pairs"),
        ("ci_high", DataType::Float64, true, "Upper end of the 95 % interval"),
        ("coverage", DataType::Float64, true, "Share of the split's samples, pairs or steps that n is"),
    ];
    whole_table(AUDIT_METRICS, "One number of the shortcut audit: what judges that see no meaning find", columns)
}

/// Writes the table anew.
///
/// # Errors
/// As writing and committing tables.
pub async fn write_audit(
    warehouse: &Warehouse,
    audits: &[DatasetAudit],
    head: Option<&Table>,
    fingerprint: Fingerprint,
    note: &CommitNote,
) -> Result<Table> {
    let spec = audit_metrics_table();
    let mut rows = TableRows::start(warehouse, &spec)?;
    for audit in audits {
        for number in &audit.numbers {
            let size = audit.sizes.get(&number.split).copied().unwrap_or_default();
            let all = match number.task {
                Task::Detection => size.samples,
                Task::Pair => size.pairs,
                Task::Step => size.steps,
            };
            rows.rows.push(&[
                Cell::Text(Some(number.judge.name())),
                Cell::Text(Some(&audit.label_mode)),
                Cell::Text(Some(&audit.dataset)),
                Cell::Text(Some(number.split.as_str())),
                Cell::Text(Some(number.task.as_str())),
                Cell::Text(Some(number.metric)),
                Cell::Float(number.value),
                Cell::Int(i64::try_from(number.n).ok()),
                Cell::Float(number.interval.map(|[low, _]| low)),
                Cell::Float(number.interval.map(|[_, high]| high)),
                Cell::Float((all > 0).then(|| number.n as f64 / all as f64)),
            ]);
            rows.flush_if_full().await?;
        }
    }
    let parts = rows.finish().await?;
    Ok(warehouse.commit(&spec, head, parts, &CommitMode::ReplaceAll { fingerprint }, note).await?)
}
