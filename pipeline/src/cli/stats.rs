//! `secprm stats`.

use std::io::stdout;

use clap::Args;

use super::DataArgs;
use crate::error::Result;
use crate::open::Opened;
use crate::output::print_stream;

/// Options of `stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Show the metrics instead of the datasets.
    #[arg(long, env = "SECPRM_METRICS", value_parser = clap::builder::FalseyValueParser::new())]
    metrics: bool,
}

/// Table 11, as the paper prints it: V / S are vulnerable and secure samples, characters and steps are means.
const DATASETS: &str = "
    SELECT dataset, label_mode, split,
        concat(vulnerable, '/', secure) AS \"V:S\",
        concat(CAST(round(chars_vulnerable) AS BIGINT), ' / ', CAST(round(chars_secure) AS BIGINT)) AS \"char V / S\",
        concat(CAST(round(steps_vulnerable) AS BIGINT), ' / ', CAST(round(steps_secure) AS BIGINT)) AS \"steps V / S\",
        round(step_v_percent, 2) AS \"Step_v %\",
        round(step_a_percent, 2) AS \"Step_a %\"
    FROM dataset_stats
    ORDER BY dataset, label_mode, CASE split WHEN 'train' THEN 0 WHEN 'validation' THEN 1 ELSE 2 END";

const METRICS: &str = "
    SELECT model_id, label_mode, dataset, split, aggregation, metric, value, ci_low, ci_high, n, coverage
    FROM metrics
    ORDER BY dataset, split, metric, model_id, aggregation";

/// Prints the statistics of a release.
pub async fn stats(opened: Opened, args: &StatsArgs) -> Result<()> {
    let (session, release) = opened.session(args.data.release).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet; `secprm run` publishes the first release");
    }
    let query = if args.metrics { METRICS } else { DATASETS };
    print_stream(session.sql(query).await?.execute_stream().await?, args.data.format, &mut stdout().lock()).await
}
