//! `secprm check`.

use std::io::stdout;

use clap::Args;

use super::DataArgs;
use crate::checks::run_checks;
use crate::error::{Error, Kind, Result};
use crate::open::Opened;
use crate::output::{Format, print_batches};
use crate::release::{find_release, open_release};
use crate::summary::checks_batch;

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the checks over a release; rows of a check of severity error end it with exit code 3.
pub async fn check(opened: Opened, args: &CheckArgs) -> Result<()> {
    let release = find_release(&opened.warehouse, &opened.sessions, args.data.release).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet; `secprm run` checks what it is about to publish");
    }
    let tables = open_release(&opened.warehouse, release.as_ref()).await?;
    let before = match release.as_ref().map(|release| release.id - 1).filter(|id| *id > 0) {
        Some(id) => find_release(&opened.warehouse, &opened.sessions, Some(id)).await?,
        None => None,
    };
    let previous = open_release(&opened.warehouse, before.as_ref()).await?;
    let results = run_checks(&opened.sessions, &tables, &previous, &opened.project.config.checks).await?;
    let batch = checks_batch(&results)?;
    print_batches(batch.schema(), vec![batch], args.data.format, &mut stdout().lock()).await?;
    for result in results.iter().filter(|result| result.rows > 0 && args.data.format == Format::Table) {
        eprintln!("{}: {}", result.check, result.examples.first().map_or("", String::as_str));
    }
    let failed: Vec<&str> = results
        .iter()
        .filter(|result| result.is_error && result.rows > 0)
        .map(|result| result.check.as_str())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Checks, format!("data checks failed: {}", failed.join(", ")))
        .hint("the query is sql/checks/<name>.sql: run it with `secprm sql`"))
}
