//! `secprm stats`.

use std::io::stdout;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use datafusion::prelude::SessionContext;

use super::DataArgs;
use crate::error::Result;
use crate::open::Opened;
use crate::output::{Format, print_line, print_stream};

/// Options of `stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Which statistics; without one, a table for people shows all that describe the data, JSON and CSV the datasets.
    #[arg(long, env = "SECPRM_TABLE", value_name = "NAME")]
    table: Option<StatsTable>,
    /// The same as --table metrics; another --table wins.
    #[arg(long, env = "SECPRM_METRICS", value_parser = FalseyValueParser::new())]
    metrics: bool,
}

/// One relation that `stats` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatsTable {
    /// Sizes, lengths and step ratios (the paper's table 11).
    Datasets,
    /// The same by language.
    Languages,
    /// CWE identifiers (the paper's table 12).
    Cwes,
    /// Steps by the rules that decided their label.
    Sources,
    /// What was left out, and why.
    Rejects,
    /// How far length alone tells vulnerable from secure code.
    Length,
    /// What an epoch of training is made of, and what is left out of it.
    Mixture,
    /// Pairs by year of their commit, language and CWE.
    Years,
    /// How well the model and the baselines do.
    Metrics,
    /// What the audit's models without meaning reach.
    Shortcuts,
}

/// What describes the data, in the order in which it is read.
const DESCRIBING: [StatsTable; 7] = [
    StatsTable::Datasets,
    StatsTable::Languages,
    StatsTable::Cwes,
    StatsTable::Sources,
    StatsTable::Rejects,
    StatsTable::Length,
    StatsTable::Mixture,
];

/// Train, validation, test; whatever else there is after them.
const SPLIT_ORDER: &str = "CASE split WHEN 'train' THEN 0 WHEN 'validation' THEN 1 WHEN 'test' THEN 2 ELSE 3 END";

impl StatsTable {
    fn title(self) -> &'static str {
        match self {
            StatsTable::Datasets => "Datasets: V are vulnerable samples, S secure ones; lengths are means",
            StatsTable::Languages => "Languages",
            StatsTable::Cwes => "CWE identifiers",
            StatsTable::Sources => "Where labels come from",
            StatsTable::Rejects => "What was left out",
            StatsTable::Length => "What length alone tells",
            StatsTable::Mixture => "What an epoch of training is made of",
            StatsTable::Years => "Years",
            StatsTable::Metrics => "Metrics",
            StatsTable::Shortcuts => "Shortcuts",
        }
    }

    fn query(self) -> String {
        match self {
            StatsTable::Datasets => format!(
                "SELECT dataset, subset, label_mode, split, {} FROM dataset_stats \
                 ORDER BY dataset, subset, label_mode, {SPLIT_ORDER}",
                measures()
            ),
            StatsTable::Languages => format!(
                "SELECT dataset, subset, label_mode, split, language, {} FROM language_stats \
                 ORDER BY dataset, subset, label_mode, {SPLIT_ORDER}, vulnerable + secure DESC, language",
                measures()
            ),
            StatsTable::Cwes => format!(
                "SELECT dataset, label_mode, split, cwe, pairs, vulnerable, secure FROM cwe_stats \
                 ORDER BY dataset, label_mode, {SPLIT_ORDER}, pairs DESC, cwe"
            ),
            StatsTable::Sources => format!(
                "SELECT dataset, label_mode, split, counted, label_source, steps, zeros, unsupervised FROM label_sources \
                 ORDER BY dataset, label_mode, {SPLIT_ORDER}, counted, steps DESC, label_source"
            ),
            StatsTable::Rejects => {
                "SELECT stage, dataset, label_mode, reason, rejects, given, unit, share FROM reject_stats \
                 ORDER BY CASE stage WHEN 'ingest' THEN 0 WHEN 'findings' THEN 1 WHEN 'label' THEN 2 ELSE 3 END, \
                 dataset, label_mode, rejects DESC, reason"
                    .to_owned()
            }
            // Where a dataset has one subset only, all of it would be the same again.
            StatsTable::Length => format!(
                "SELECT dataset, subset, label_mode, split, measure, concat(vulnerable, '/', secure) AS \"V:S\", \
                 round(mean_vulnerable, 1) AS \"mean V\", round(mean_secure, 1) AS \"mean S\", ratio AS \"V / S\", auroc, \
                 pairs, fixed_longer, fixed_shorter \
                 FROM (SELECT *, count(*) OVER (PARTITION BY dataset, label_mode, split, measure) AS subsets FROM length_shortcut) AS l \
                 WHERE subset <> 'all' OR subsets > 2 ORDER BY dataset, subset, label_mode, {SPLIT_ORDER}, measure"
            ),
            StatsTable::Mixture => {
                "SELECT dataset, subset, samples, windows, supervised_steps, tokens, repeats, step_share, token_share, left_out \
                 FROM mixture ORDER BY dataset, subset"
                    .to_owned()
            }
            StatsTable::Years => {
                "SELECT dataset, year, 'language' AS kind, language AS value, pairs FROM languages_over_time \
                 UNION ALL SELECT dataset, year, 'cwe' AS kind, cwe AS value, pairs FROM cwes_over_time \
                 ORDER BY dataset, year, kind DESC, pairs DESC, value"
                    .to_owned()
            }
            StatsTable::Metrics => metrics_where("model_id NOT LIKE 'audit:%'"),
            StatsTable::Shortcuts => metrics_where("model_id LIKE 'audit:%'"),
        }
    }
}

/// Table 11's columns, as the paper prints them.
fn measures() -> String {
    let means = ["tokens", "chars", "steps"].map(|unit| {
        let mean = |class: &str| format!("coalesce(CAST(CAST(round({unit}_{class}) AS BIGINT) AS VARCHAR), '-')");
        format!("concat({}, ' / ', {}) AS \"{unit} V / S\"", mean("vulnerable"), mean("secure"))
    });
    format!(
        "concat(vulnerable, '/', secure) AS \"V:S\", {}, \
         round(step_v_percent, 2) AS \"Step_v %\", round(step_a_percent, 2) AS \"Step_a %\", \
         concat(one_step_vulnerable, '/', one_step_secure) AS \"one step V:S\", all_zero_vulnerable AS \"all 0\"",
        means.join(", ")
    )
}

fn metrics_where(condition: &str) -> String {
    format!(
        "SELECT model_id, label_mode, dataset, split, task, aggregation, metric, value, ci_low, ci_high, n, coverage FROM metrics \
         WHERE {condition} ORDER BY dataset, {SPLIT_ORDER}, task, metric, label_mode, model_id, aggregation"
    )
}

/// Prints the statistics of a release.
pub async fn stats(opened: Opened, args: &StatsArgs) -> Result<()> {
    let (session, release) = opened.session(args.data.release).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet; `secprm run` publishes the first release");
    }
    let format = args.data.format;
    match args.table.or(args.metrics.then_some(StatsTable::Metrics)) {
        Some(table) => print(&session, table, format).await,
        None if format == Format::Table => print_all(&session).await,
        None => print(&session, StatsTable::Datasets, format).await,
    }
}

async fn print_all(session: &SessionContext) -> Result<()> {
    for (index, table) in DESCRIBING.into_iter().enumerate() {
        if index > 0 {
            print_line("", &mut stdout().lock())?;
        }
        print_line(table.title(), &mut stdout().lock())?;
        print(session, table, Format::Table).await?;
    }
    Ok(())
}

async fn print(session: &SessionContext, table: StatsTable, format: Format) -> Result<()> {
    let rows = session.sql(&table.query()).await?.execute_stream().await?;
    print_stream(rows, format, &mut stdout().lock()).await
}
