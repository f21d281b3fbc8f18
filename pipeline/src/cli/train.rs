//! `secprm train`: the training job alone, also as one rank of many.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use clap::Args;
use secprm_model::Collective;
use secprm_model::collective::ranks::{Exits, Ranks};
use secprm_model::collective::watch::End;

use crate::error::{Error, Kind, Result};
use crate::freshness::hash_text;
use crate::open::Opened;
use crate::progress::Progress;
use crate::run::{RunOptions, interrupted, run as run_stages};
use crate::stage::World;
use crate::stages::{TrainStage, tell_nothing};
use crate::summary::summarise;

/// Options of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Look at gradients, encoded positions, the first loss and a resume on the real data, in a few steps; train and write nothing.
    #[arg(long, env = "SECPRM_SELF_CHECK", value_parser = clap::builder::FalseyValueParser::new())]
    self_check: bool,
    /// Begin anew, even if nothing changed or a run that did not end left a checkpoint.
    #[arg(long, env = "SECPRM_FULL_REFRESH", value_parser = clap::builder::FalseyValueParser::new())]
    full_refresh: bool,
}

/// Trains on the newest shards, as one of the ranks that a launcher started, if one did.
pub async fn train(opened: Opened, args: &TrainArgs, progress: Progress) -> Result<()> {
    let settings = serde_json::to_string(&opened.project.config).map_err(|error| Error::bug(error.to_string()))?;
    // What must be the same on all ranks, or they would wait for each other.
    let command = if args.self_check { "train --self-check" } else { "train" };
    let (version, configuration) = (env!("CARGO_PKG_VERSION"), hash_text(&settings));
    let job = format!("secprm {version} {command} with configuration {configuration}");
    let ranks = Ranks::connect(&job, opened.project.config.limits.device, exits())?;
    let result = train_as(opened, args, ranks.collective(), progress).await;
    let failure = result.as_ref().err();
    match ranks.end(failure.map(|error| End { cause: error.to_string(), code: error.kind().exit_code() })) {
        Ok(()) => Ok(()),
        Err(end) => match result {
            // The first rank says who failed before it says why.
            Err(error) if end.cause.ends_with(&error.to_string()) => Err(error),
            _ => Err(Error::new(Kind::of_exit_code(end.code), end.cause)),
        },
    }
}

/// How this rank ends where no result comes back.
fn exits() -> Exits {
    Exits {
        // The main thread may sit in an operation that never comes back.
        on_end: Box::new(|end| {
            eprintln!("error: {}", end.cause);
            std::process::exit(end.code.into());
        }),
        report: |error| {
            eprintln!("error: {error}");
            Kind::of_model_error(error).exit_code()
        },
    }
}

/// The first rank writes the model and its history.
async fn train_as(opened: Opened, args: &TrainArgs, collective: Arc<dyn Collective>, progress: Progress) -> Result<()> {
    let is_first = collective.is_first();
    let (world, dag) = opened.world_of(progress.clone(), collective).await?;
    if args.self_check {
        return self_check(&world).await;
    }
    if !is_first {
        return join(&world).await;
    }
    let options =
        RunOptions { select: vec!["train".to_owned()], full_refresh: args.full_refresh, ..RunOptions::default() };
    let outcome = run_stages(world.clone(), dag, &options).await?;
    if outcome.stages.is_empty() {
        progress.say("nothing to train: the newest model has these shards and settings; --full-refresh begins anew");
        return tell_nothing(&world).await;
    }
    summarise(&world, &outcome).await
}

/// Trains until the first rank is done; an interrupt lets all ranks save first, a second one ends this rank at once.
async fn join(world: &World) -> Result<()> {
    let stage = TrainStage::new(&world.project)?;
    let mut joined = std::pin::pin!(stage.join(world));
    tokio::select! {
        result = &mut joined => return result,
        () = interrupted() => world.cancelled.store(true, Ordering::Relaxed),
    }
    tokio::select! {
        result = &mut joined => result,
        () = interrupted() => Err(Error::new(Kind::Interrupted, "interrupted")),
    }
}

async fn self_check(world: &World) -> Result<()> {
    let checks = TrainStage::new(&world.project)?.self_check(world).await?;
    if !world.collective.is_first() {
        return Ok(());
    }
    for check in &checks {
        println!("{} {}: {}", if check.passed { "ok  " } else { "FAIL" }, check.name, check.detail);
    }
    match checks.iter().filter(|check| !check.passed).count() {
        0 => Ok(()),
        failed => Err(Error::new(Kind::Stage, format!("{failed} of {} self-checks failed", checks.len()))
            .hint("a run with these data, settings and start would not be worth its time")),
    }
}
