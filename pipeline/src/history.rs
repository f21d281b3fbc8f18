//! Run history: append-only tables that say what ran, what it found and what was published.
//!
//! `runs` gets a row when a run starts and one when it ends; a run without the second was killed. `releases` maps every table to the
//! version that readers see: a release is one commit, so it is there whole or not at all.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::datatypes::DataType;
use secprm_stages::tables::{Cell, Column, Rows, utc_timestamp, whole_table};
use secprm_storage::{CommitMode, CommitNote, Table, TableSpec, Warehouse};

use crate::error::{Error, Result};

/// Runs, started and ended.
pub const RUNS: &str = "runs";
/// Stages of runs.
pub const STAGE_RUNS: &str = "stage_runs";
/// Check results.
pub const CHECKS: &str = "checks";
/// Rows that checks found.
pub const CHECK_ROWS: &str = "check_rows";
/// What readers see.
pub const RELEASES: &str = "releases";

/// The names of the history tables: they are never part of a release, readers see their newest version.
pub const HISTORY: [&str; 5] = [RUNS, STAGE_RUNS, CHECKS, CHECK_ROWS, RELEASES];

/// Returns the declarations of the history tables.
pub fn history_tables() -> [TableSpec; 5] {
    let text = DataType::Utf8;
    let int = DataType::Int64;
    let run: Column = ("run_id", text.clone(), false, "The run; sorts by time");
    let table = |name, description, columns: Vec<Column>| whole_table(name, description, columns);
    [
        table(
            RUNS,
            "A run, once when it starts and once when it ends",
            vec![
                run.clone(),
                ("recorded_at", utc_timestamp(), false, "When the row was written"),
                ("status", text.clone(), false, "running, done, failed, checks_failed or interrupted"),
                ("version", text.clone(), false, "Version of secprm"),
                ("config", text.clone(), true, "The effective configuration as JSON"),
                ("release_id", int.clone(), true, "The release it published"),
                ("failure", text.clone(), true, "What went wrong"),
            ],
        ),
        table(
            STAGE_RUNS,
            "A stage that a run executed",
            vec![
                run.clone(),
                ("stage", text.clone(), false, "The stage"),
                ("status", text.clone(), false, "done or failed"),
                ("finished_at", utc_timestamp(), false, "When it ended"),
                ("seconds", DataType::Float64, false, "How long it took"),
                ("slices", int.clone(), false, "Slices it computed"),
                ("rows", int.clone(), false, "Rows it wrote"),
                ("bytes", int.clone(), false, "Bytes it wrote"),
                ("versions", text.clone(), false, "Table versions it made, as JSON"),
                (
                    "inputs",
                    text.clone(),
                    false,
                    "What it was computed from (code, parameters, inputs), as JSON of hashes",
                ),
                ("failure", text.clone(), true, "What went wrong"),
            ],
        ),
        table(
            CHECKS,
            "A check's result",
            vec![
                run.clone(),
                ("check", text.clone(), false, "The check"),
                ("severity", text.clone(), false, "warn or error"),
                ("status", text.clone(), false, "passed or failed"),
                ("rows", int.clone(), false, "Rows it found"),
                ("description", text.clone(), false, "What it makes sure of"),
            ],
        ),
        table(
            CHECK_ROWS,
            "A row that a check found, the first thousand of each",
            vec![
                run.clone(),
                ("check", text.clone(), false, "The check"),
                ("row", text.clone(), false, "The row as JSON"),
            ],
        ),
        table(
            RELEASES,
            "The version of a table in a release",
            vec![
                ("release_id", int.clone(), false, "Numbered from 1"),
                run,
                ("published_at", utc_timestamp(), false, "When it was published"),
                ("table_name", text, false, "The table"),
                ("table_version", int, false, "Its version"),
            ],
        ),
    ]
}

/// What a run executed of a stage.
#[derive(Debug, Clone)]
pub struct StageRun {
    /// The stage.
    pub stage: String,
    /// What went wrong, if it failed.
    pub failure: Option<String>,
    /// How long it took.
    pub seconds: f64,
    /// Slices it computed.
    pub slices: usize,
    /// Rows and bytes in its tables that are new.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Table versions it made.
    pub versions: BTreeMap<String, u64>,
    /// What it was computed from.
    pub inputs: BTreeMap<String, String>,
}

/// A check's result.
#[derive(Debug, Clone)]
pub struct CheckResult {
    /// The check.
    pub check: String,
    /// Whether failing rows stop the release.
    pub is_error: bool,
    /// What it makes sure of.
    pub description: String,
    /// How many rows it found.
    pub rows: usize,
    /// The first of them, as JSON.
    pub examples: Vec<String>,
}

/// How a run ended, or that it started.
#[derive(Debug, Clone, Default)]
pub struct RunRecord {
    /// running, done, failed, checks_failed or interrupted.
    pub status: &'static str,
    /// The effective configuration as JSON; with the first row only.
    pub config: Option<String>,
    /// The release it published.
    pub release_id: Option<i64>,
    /// What went wrong.
    pub failure: Option<String>,
}

/// Writes one run's history.
pub struct History {
    warehouse: Warehouse,
    run_id: String,
}

impl History {
    /// Starts the history of a run.
    pub fn new(warehouse: &Warehouse, run_id: &str) -> History {
        History { warehouse: warehouse.clone(), run_id: run_id.to_owned() }
    }

    /// Appends to `runs`.
    pub async fn run(&self, record: &RunRecord) -> Result<()> {
        let [spec, ..] = history_tables();
        let mut rows = Rows::new(spec.schema.clone());
        rows.push(&[
            Cell::Text(Some(&self.run_id)),
            Cell::Int(Some(now_micros())),
            Cell::Text(Some(record.status)),
            Cell::Text(Some(env!("CARGO_PKG_VERSION"))),
            Cell::Text(record.config.as_deref()),
            Cell::Int(record.release_id),
            Cell::Text(record.failure.as_deref()),
        ]);
        self.append(&spec, rows).await
    }

    /// Appends to `stage_runs`.
    pub async fn stages(&self, stages: &[StageRun]) -> Result<()> {
        let [_, spec, ..] = history_tables();
        let mut rows = Rows::new(spec.schema.clone());
        for stage in stages {
            let status = if stage.failure.is_some() { "failed" } else { "done" };
            rows.push(&[
                Cell::Text(Some(&self.run_id)),
                Cell::Text(Some(&stage.stage)),
                Cell::Text(Some(status)),
                Cell::Int(Some(now_micros())),
                Cell::Float(Some(stage.seconds)),
                Cell::Int(Some(stage.slices as i64)),
                Cell::Int(Some(stage.rows as i64)),
                Cell::Int(Some(stage.bytes as i64)),
                Cell::Text(Some(&json(&stage.versions)?)),
                Cell::Text(Some(&json(&stage.inputs)?)),
                Cell::Text(stage.failure.as_deref()),
            ]);
        }
        self.append(&spec, rows).await
    }

    /// Appends to `checks` and `check_rows`.
    pub async fn checks(&self, results: &[CheckResult]) -> Result<()> {
        let [_, _, checks, check_rows, _] = history_tables();
        let mut rows = Rows::new(checks.schema.clone());
        let mut examples = Rows::new(check_rows.schema.clone());
        for result in results {
            rows.push(&[
                Cell::Text(Some(&self.run_id)),
                Cell::Text(Some(&result.check)),
                Cell::Text(Some(if result.is_error { "error" } else { "warn" })),
                Cell::Text(Some(if result.rows == 0 { "passed" } else { "failed" })),
                Cell::Int(Some(result.rows as i64)),
                Cell::Text(Some(&result.description)),
            ]);
            for example in &result.examples {
                examples.push(&[
                    Cell::Text(Some(&self.run_id)),
                    Cell::Text(Some(&result.check)),
                    Cell::Text(Some(example)),
                ]);
            }
        }
        self.append(&checks, rows).await?;
        self.append(&check_rows, examples).await
    }

    /// Publishes a release: one commit that maps every table to a version.
    pub async fn release(&self, release_id: i64, tables: &BTreeMap<String, Table>) -> Result<()> {
        let [.., spec] = history_tables();
        let mut rows = Rows::new(spec.schema.clone());
        let now = now_micros();
        for (name, table) in tables {
            rows.push(&[
                Cell::Int(Some(release_id)),
                Cell::Text(Some(&self.run_id)),
                Cell::Int(Some(now)),
                Cell::Text(Some(name)),
                Cell::Int(Some(table.version() as i64)),
            ]);
        }
        self.append(&spec, rows).await
    }

    async fn append(&self, spec: &TableSpec, mut rows: Rows) -> Result<()> {
        let Some(batch) = rows.finish()? else { return Ok(()) };
        let mut writer = self.warehouse.part_writer(spec)?;
        writer.write(&batch).await?;
        let parts = writer.finish().await?;
        let base = self.warehouse.table(&spec.name).await?;
        let note = CommitNote { run_id: self.run_id.clone(), stage: "history".to_owned() };
        let mode = CommitMode::Append { transaction: None };
        self.warehouse.commit(spec, base.as_ref(), parts, &mode, &note).await?;
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::bug(error.to_string()))
}

/// Returns microseconds since 1970 in UTC.
pub fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
