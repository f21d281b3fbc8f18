//! `secprm run`.

use clap::Args;

use super::SelectionArgs;
use crate::error::Result;
use crate::open::Opened;
use crate::progress::Progress;
use crate::run::{RunOptions, run as run_stages};
use crate::summary::summarise;

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// After a failure, go on with stages that do not depend on it.
    #[arg(long, env = "SECPRM_KEEP_GOING", value_parser = clap::builder::FalseyValueParser::new())]
    keep_going: bool,
}

/// Runs, publishes and prints a short summary.
pub async fn run(opened: Opened, args: &RunArgs, progress: Progress) -> Result<()> {
    let is_sample = opened.project.file.is_none();
    if is_sample {
        progress
            .say("no secprm.toml here: running on the embedded samples (small model, random start) into ./warehouse");
    }
    let (world, dag) = opened.world(progress.clone()).await?;
    let options = RunOptions {
        select: args.selection.select.clone(),
        exclude: args.selection.exclude.clone(),
        full_refresh: args.selection.full_refresh,
        keep_going: args.keep_going,
    };
    let outcome = run_stages(world.clone(), dag, &options).await?;
    summarise(&world, &outcome).await
}
