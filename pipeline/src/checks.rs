//! Data checks: queries that must return no rows.

use std::collections::BTreeMap;

use futures::StreamExt;
use secprm_storage::Table;

use crate::catalog::Sessions;
use crate::config::{ChecksConfig, Severity, nearest};
use crate::error::{Error, Result, in_plain_words};
use crate::history::CheckResult;
use crate::output::json_rows;
use crate::relation::{Library, RelationKind};

/// Rows of a check that are kept as examples.
const KEPT_ROWS: usize = 1000;

/// Runs all checks over the given versions of tables; `previous` are those of the release before, none if there is none.
///
/// # Errors
/// Of kind usage: a severity for a check that does not exist, a check that cannot be planned.
pub async fn run_checks(
    sessions: &Sessions,
    tables: &BTreeMap<String, Table>,
    previous: &BTreeMap<String, Table>,
    config: &ChecksConfig,
) -> Result<Vec<CheckResult>> {
    let library = sessions.library().clone();
    verify_severities(&library, config)?;
    let session = sessions.open_beside(tables, previous)?;
    let mut results = Vec::new();
    for check in library.of_kind(RelationKind::Check) {
        let severity = config.severity.get(&check.name).copied().unwrap_or(check.header.severity);
        if severity == Severity::Off {
            continue;
        }
        let failed =
            |error: datafusion::error::DataFusionError| Error::usage(in_plain_words(&error)).context(check.path());
        let mut batches = session.sql(&check.sql()).await.map_err(failed)?.execute_stream().await.map_err(failed)?;
        let mut result = CheckResult {
            check: check.name.clone(),
            is_error: severity == Severity::Error,
            description: check.header.description.clone(),
            rows: 0,
            examples: Vec::new(),
        };
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(failed)?;
            let wanted = KEPT_ROWS.saturating_sub(result.rows).min(batch.num_rows());
            result.examples.extend(json_rows(&batch.slice(0, wanted))?);
            result.rows += batch.num_rows();
        }
        results.push(result);
    }
    Ok(results)
}

/// Finds severities for checks that do not exist.
///
/// # Errors
/// Of kind usage, naming the nearest check.
pub fn verify_severities(library: &Library, config: &ChecksConfig) -> Result<()> {
    let names: Vec<&str> = library.of_kind(RelationKind::Check).map(|check| check.name.as_str()).collect();
    let Some(unknown) = config.severity.keys().find(|name| !names.contains(&name.as_str())) else { return Ok(()) };
    let error = Error::usage(format!("[checks.severity] names {unknown}, which is no check"));
    Err(match nearest(unknown, names) {
        Some(near) => error.hint(format!("did you mean {near}? `secprm check` lists the checks")),
        None => error.hint("`secprm check` lists the checks"),
    })
}
