//! `secprm status` and `secprm runs`.

use std::io::stdout;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use clap::Args;

use super::DataArgs;
use crate::error::{Error, Result};
use crate::history::{HISTORY, now_micros};
use crate::open::Opened;
use crate::output::{Format, print_batches, print_stream};
use crate::release::{find_release, open_release};

/// Options of `runs`.
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// A run to show in full.
    run: Option<String>,
    /// How to print.
    #[arg(long, env = "SECPRM_FORMAT", default_value = "table")]
    format: Format,
}

/// Prints the tables of the release in force.
pub async fn status(opened: Opened, args: &DataArgs) -> Result<()> {
    let Some(release) = find_release(&opened.warehouse, &opened.sessions, args.release).await? else {
        eprintln!("nothing is published yet; `secprm run` publishes the first release");
        return Ok(());
    };
    let tables = open_release(&opened.warehouse, Some(&release)).await?;
    let tables: Vec<_> = tables.into_iter().filter(|(name, _)| !HISTORY.contains(&name.as_str())).collect();
    let age = (now_micros() - release.published_micros) as f64 / 3.6e9;
    let numbers = |of: &dyn Fn(&secprm_storage::Table) -> u64| -> ArrayRef {
        Arc::new(tables.iter().map(|(_, table)| Some(of(table) as i64)).collect::<Int64Array>())
    };
    let names: ArrayRef = Arc::new(tables.iter().map(|(name, _)| Some(name.as_str())).collect::<StringArray>());
    let releases: ArrayRef = Arc::new(Int64Array::from(vec![release.id; tables.len()]));
    let ages: ArrayRef = Arc::new(Float64Array::from(vec![age; tables.len()]));
    let batch = RecordBatch::try_from_iter([
        ("table", names),
        ("release", releases),
        ("version", numbers(&|table| table.version())),
        ("rows", numbers(&|table| table.rows())),
        ("bytes", numbers(&|table| table.bytes())),
        ("age_hours", ages),
    ])?;
    print_batches(batch.schema(), vec![batch], args.format, &mut stdout().lock()).await
}

/// Prints the runs, newest first, or one run's stages and checks.
pub async fn runs(opened: Opened, args: &RunsArgs) -> Result<()> {
    let (session, _) = opened.session(None).await?;
    let Some(run) = &args.run else {
        let query =
            "SELECT run_id, started_at, finished_at, status, release_id, failure FROM runs ORDER BY run_id DESC";
        return print_stream(session.sql(query).await?.execute_stream().await?, args.format, &mut stdout().lock())
            .await;
    };
    if !run.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
        return Err(Error::usage(format!("{run} is no run")).hint("`secprm runs` lists them"));
    }
    let known = session.sql(&format!("SELECT 1 FROM runs WHERE run_id = '{run}'")).await?.count().await?;
    if known == 0 {
        return Err(Error::usage(format!("there is no run {run}")).hint("`secprm runs` lists them"));
    }
    let query = format!(
        "SELECT 'stage' AS kind, stage AS name, status, rows, seconds, failure AS detail, finished_at AS at FROM stage_runs
         WHERE run_id = '{run}'
         UNION ALL
         SELECT 'check', \"check\", status, rows, NULL, description, NULL FROM checks WHERE run_id = '{run}'
         ORDER BY kind DESC, at, name"
    );
    print_stream(session.sql(&query).await?.execute_stream().await?, args.format, &mut stdout().lock()).await
}
