//! What an epoch of training is made of, as the view `mixture` says; and that it must be made of something.

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::prelude::{DataFrame, SessionContext};
use secprm_stages::ingest::DatasetKind;

use crate::catalog::Rows;
use crate::config::{Config, When};
use crate::dag::Dag;
use crate::error::{Error, Result};
use crate::output::counted;
use crate::stage::World;

/// The stage that trains.
const TRAIN: &str = "train";

/// The mixture as people read it: shares in percent of an epoch, repeats counted.
const SHARES: &str = "
    SELECT dataset, subset, samples, supervised_steps AS steps, tokens,
        CASE WHEN left_out IS NULL THEN repeats END AS repeats,
        CASE WHEN left_out IS NULL THEN round(100 * step_share, 1) END AS \"steps %\",
        CASE WHEN left_out IS NULL THEN round(100 * token_share, 1) END AS \"tokens %\",
        CASE WHEN left_out IS NOT NULL THEN concat('left out: ', left_out) END AS note
    FROM mixture
    ORDER BY dataset, subset";

/// Returns the mixture's shares in the newest shards; `None` before there are any of this layout.
pub async fn shares(world: &World) -> Result<Option<DataFrame>> {
    let Some(shards) = world.head("train_shards") else { return Ok(None) };
    // Shards of an earlier version do not count their steps; the next run writes them anew.
    if shards.rows() == 0 || shards.schema().field_with_name("n_supervised").is_err() {
        return Ok(None);
    }
    let session = world.sessions.open(&world.heads(), Rows::All)?;
    Ok(Some(session.sql(SHARES).await?))
}

/// Says what `[mix] leave_out` leaves out of the shards of the training split: `bigvul (20 samples)`.
pub async fn left_out_of_training(session: &SessionContext) -> Result<Vec<String>> {
    let query = "SELECT left_out, sum(samples) AS samples FROM mixture WHERE left_out IS NOT NULL GROUP BY left_out ORDER BY left_out";
    let batches = session.sql(query).await?.collect().await?;
    Ok(batches.iter().flat_map(described).collect())
}

fn described(batch: &RecordBatch) -> Vec<String> {
    let (parts, samples) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
    let one = |row: usize| format!("{} ({})", parts.value(row), counted(samples.value(row), "sample"));
    (0..batch.num_rows()).map(one).collect()
}

/// Refuses to plan or run training where all configured datasets are left out whole, before anything is computed for it.
///
/// # Errors
/// Of kind usage.
pub fn require_training_data(config: &Config, dag: &Dag, chosen: &BTreeSet<usize>) -> Result<()> {
    let datasets: BTreeSet<DatasetKind> = config.source.iter().map(|source| source.dataset).collect();
    let will_train = config.train.when == When::Changed && chosen.iter().any(|stage| dag.name(*stage) == TRAIN);
    if !will_train || datasets.is_empty() || datasets.iter().any(|dataset| !config.mix.leaves_out(*dataset)) {
        return Ok(());
    }
    let names: Vec<String> = datasets.iter().map(ToString::to_string).collect();
    Err(all_left_out(&names))
}

/// Makes the error that there are data, and `[mix]` leaves all of them out of training.
pub fn all_left_out(parts: &[String]) -> Error {
    Error::usage(format!("there is nothing to train on: [mix] leave_out leaves out {}", parts.join(", "))).hint(
        "to train on it all the same, set leave_out without it in [mix] (`[]` leaves nothing out); \
         to publish data without training, set when = \"manual\" in [train]",
    )
}

/// Returns what `[mix] leave_out` leaves out of the datasets that are configured.
pub fn configured_to_leave_out(config: &Config) -> Vec<String> {
    let is_configured = |dataset: DatasetKind| config.source.iter().any(|source| source.dataset == dataset);
    let parts = config.mix.leave_out.iter().filter(|part| is_configured(part.dataset));
    parts.map(ToString::to_string).collect()
}
