//! The command line: one file a command.

mod check;
mod diff;
mod explain;
mod export;
mod history;
mod init;
mod plan;
mod run;
mod sql;
mod stats;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::error::Result;
use crate::open::{Opened, open};
use crate::output::Format;
use crate::progress::{LogFormat, Progress};

/// Raw vulnerability datasets to step-labelled tables, a trained process reward model, scores and metrics.
#[derive(Debug, Parser)]
#[command(name = "secprm", version, max_term_width = 110)]
pub struct Cli {
    /// The configuration; without one, and without a secprm.toml here, the embedded samples are used.
    #[arg(long, global = true, env = "SECPRM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// How progress is written to stderr.
    #[arg(long, global = true, env = "SECPRM_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented secprm.toml and the folders for your own SQL.
    Init(init::InitArgs),
    /// Say what a run would do, and why; change nothing.
    Plan(plan::PlanArgs),
    /// Bring everything up to date and publish a release.
    Run(run::RunArgs),
    /// Show the release in force: per table its version, rows, bytes and age.
    Status(DataArgs),
    /// List runs, or show one: its stages, checks and failures.
    Runs(history::RunsArgs),
    /// Run the data checks alone.
    Check(check::CheckArgs),
    /// Train on the newest shards, alone or as one rank of many.
    Train(train::TrainArgs),
    /// Show statistics: datasets (the paper's table 11), languages, CWEs, label sources, rejects, length, metrics.
    Stats(stats::StatsArgs),
    /// Show what changed between two releases: rows and labels, by which rule.
    Diff(diff::DiffArgs),
    /// Show why a sample's steps have their labels, from the raw record to the scores.
    Explain(explain::ExplainArgs),
    /// Answer a query, or open an interactive shell.
    Sql(sql::SqlArgs),
    /// Write a table or view as plain Parquet, or the pairs' code as files for static analysers.
    Export(export::ExportArgs),
    /// List the live Parquet files of a table.
    Files(export::FilesArgs),
}

/// Options of commands that print data.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// How to print.
    #[arg(long, env = "SECPRM_FORMAT", default_value = "table")]
    format: Format,
    /// Read this release instead of the newest.
    #[arg(long, env = "SECPRM_RELEASE", value_name = "N")]
    release: Option<i64>,
}

/// Options that choose stages.
#[derive(Debug, Clone, Args)]
pub struct SelectionArgs {
    /// Stages: NAME, +NAME (and what it needs), NAME+ (and what needs it).
    #[arg(long, env = "SECPRM_SELECT", value_name = "STAGES")]
    select: Vec<String>,
    /// Stages to leave out, in the same form.
    #[arg(long, env = "SECPRM_EXCLUDE", value_name = "STAGES")]
    exclude: Vec<String>,
    /// Compute everything again, changed or not.
    #[arg(long, env = "SECPRM_FULL_REFRESH", value_parser = clap::builder::FalseyValueParser::new())]
    full_refresh: bool,
}

/// Parses the arguments; help, version and usage errors are printed and give the exit code.
pub fn parse() -> std::result::Result<Cli, u8> {
    Cli::try_parse().map_err(|error| {
        // A closed stdout is no reason to fail differently.
        let _ = error.print();
        if error.use_stderr() { 2 } else { 0 }
    })
}

/// Executes a command.
///
/// # Errors
/// What the command says; the kind decides the exit code.
pub async fn run(cli: Cli) -> Result<()> {
    let progress = Progress::to_stderr(cli.log_format);
    let opened = || -> Result<Opened> { open(cli.config.as_deref()) };
    match cli.command {
        Command::Init(args) => init::init(&args),
        Command::Plan(args) => plan::plan(opened()?, &args).await,
        Command::Run(args) => run::run(opened()?, &args, progress).await,
        Command::Status(args) => history::status(opened()?, &args).await,
        Command::Runs(args) => history::runs(opened()?, &args).await,
        Command::Check(args) => check::check(opened()?, &args).await,
        Command::Train(args) => train::train(opened()?, &args, progress).await,
        Command::Stats(args) => stats::stats(opened()?, &args).await,
        Command::Diff(args) => diff::diff(opened()?, &args).await,
        Command::Explain(args) => explain::explain(opened()?, &args).await,
        Command::Sql(args) => sql::sql(opened()?, &args).await,
        Command::Export(args) => export::export(opened()?, &args).await,
        Command::Files(args) => export::files(opened()?, &args).await,
    }
}
