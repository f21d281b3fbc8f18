//! A run: the plan executed, audited and published.
//!
//! Stages whose inputs are ready run at the same time. Readers see nothing of it until the release row is written; a run that fails or is
//! killed leaves the previous release in force, and the next run takes up where it stopped, since tables know what they were computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use secprm_storage::Table;
use tokio::task::JoinSet;

use crate::checks::run_checks;
use crate::dag::Dag;
use crate::error::{Error, Kind, Result};
use crate::heap::give_back_freed;
use crate::history::{CheckResult, HISTORY, History, RunRecord, StageRun};
use crate::mixture::require_training_data;
use crate::output::counted;
use crate::plan::waits_for_selection;
use crate::release::{find_release, open_heads, open_release};
use crate::stage::{Stage, World};

/// What a run is asked to do.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Stages to run; all when empty.
    pub select: Vec<String>,
    /// Stages to leave out.
    pub exclude: Vec<String>,
    /// Computes everything again.
    pub full_refresh: bool,
    /// Goes on with stages that do not depend on one that failed.
    pub keep_going: bool,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub struct RunOutcome {
    /// The stages that were executed.
    pub stages: Vec<StageRun>,
    /// The checks' results.
    pub checks: Vec<CheckResult>,
    /// The release in force afterwards.
    pub release_id: Option<i64>,
    /// Whether this run published it.
    pub is_published: bool,
    /// Whether the stages are in the history.
    is_recorded: bool,
    /// Stages that are stale and were not selected, so that nothing was checked or published.
    pub left_stale: Vec<String>,
}

/// Executes a plan under the warehouse's lock, writes its history and publishes.
///
/// # Errors
/// Of kind usage if training would have nothing to train on; of kind transient if another run holds the warehouse; of the failed stage's
/// kind; of kind checks if a check of severity error found rows; of kind interrupted. The previous release stays in force then.
pub async fn run(world: Arc<World>, dag: Arc<Dag>, options: &RunOptions) -> Result<RunOutcome> {
    let chosen = dag.select(&options.select, &options.exclude)?;
    require_training_data(&world.project.config, &dag, &chosen)?;
    let lock = world.warehouse.lock()?;
    // Whoever held the lock before may have moved on what was read while opening.
    world.advance(&open_heads(&world.warehouse).await?.into_values().collect::<Vec<_>>());
    let history = History::new(&world.warehouse, &world.run_id);
    let config = serde_json::to_string(&world.project.config).ok();
    history.run(&RunRecord { status: "running", config, ..RunRecord::default() }).await?;
    let mut outcome = RunOutcome::default();
    let result = {
        let mut executing = std::pin::pin!(execute_and_publish(&world, &dag, &chosen, options, &history, &mut outcome));
        tokio::select! {
            result = &mut executing => result,
            () = interrupted() => {
                world.cancelled.store(true, Ordering::Relaxed);
                if world.winds_down.load(Ordering::Relaxed) {
                    world.progress.say("interrupted: saving the training run; interrupt again to end at once");
                    tokio::select! { result = &mut executing => wound_down(result), () = interrupted() => stopped() }
                } else {
                    stopped()
                }
            }
        }
    };
    if !outcome.is_recorded {
        history.stages(&outcome.stages).await?;
    }
    let (status, failure) = match &result {
        Ok(()) => ("done", None),
        Err(error) => (status_of(error), Some(error.to_string())),
    };
    let release_id = outcome.release_id.filter(|_| outcome.is_published);
    history.run(&RunRecord { status, release_id, failure, config: None }).await?;
    drop(lock);
    result.map(|()| outcome)
}

fn stopped() -> Result<()> {
    Err(Error::new(Kind::Interrupted, "interrupted").hint("`secprm run` takes up where this run stopped"))
}

/// What an interrupted run ends with that had something to save: why it could not, if it could not.
fn wound_down(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != Kind::Interrupted => Err(error),
        _ => stopped(),
    }
}

/// Waits for Ctrl-C, or for the signal that schedulers end processes with.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal ends the process, which a later run copes with.
        return std::future::pending().await;
    };
    tokio::select! {
        // A failed registration must not look like an interrupt.
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        else => std::future::pending().await,
    }
}

fn status_of(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Checks => "checks_failed",
        Kind::Interrupted => "interrupted",
        _ => "failed",
    }
}

async fn execute_and_publish(
    world: &Arc<World>,
    dag: &Arc<Dag>,
    chosen: &BTreeSet<usize>,
    options: &RunOptions,
    history: &History,
    outcome: &mut RunOutcome,
) -> Result<()> {
    let executed = execute(world, dag, chosen, options, &mut outcome.stages).await;
    history.stages(&outcome.stages).await?;
    outcome.is_recorded = true;
    executed?;
    let tables = published_tables(world, dag);
    outcome.left_stale = stale_stages(world, dag).await?;
    if !outcome.left_stale.is_empty() {
        // Tables that do not belong together would fail checks for no fault of their own.
        return Ok(());
    }
    let current = find_release(&world.warehouse, &world.sessions, None).await?;
    let previous = open_release(&world.warehouse, current.as_ref()).await?;
    outcome.checks = run_checks(&world.sessions, &world.heads(), &previous, &world.project.config.checks).await?;
    history.checks(&outcome.checks).await?;
    let failed: Vec<&CheckResult> = outcome.checks.iter().filter(|check| check.is_error && check.rows > 0).collect();
    if !failed.is_empty() {
        let names: Vec<String> =
            failed.iter().map(|check| format!("{} ({})", check.check, counted(check.rows, "row"))).collect();
        return Err(Error::new(
            Kind::Checks,
            format!("data checks failed, nothing was published: {}", names.join(", ")),
        )
        .hint("`secprm sql -c 'SELECT * FROM check_rows'` shows the rows"));
    }
    outcome.release_id = current.as_ref().map(|release| release.id);
    let versions: BTreeMap<String, u64> = tables.iter().map(|(name, table)| (name.clone(), table.version())).collect();
    let is_new = current.as_ref().is_none_or(|release| release.versions != versions);
    if is_new {
        let next = current.map_or(1, |release| release.id + 1);
        history.release(next, &tables).await?;
        outcome.release_id = Some(next);
        outcome.is_published = true;
    }
    Ok(())
}

/// The tables of a release: those that a stage of this project writes.
fn published_tables(world: &World, dag: &Dag) -> BTreeMap<String, Table> {
    let written: BTreeSet<&String> = dag.stages().iter().flat_map(|stage| &stage.declaration().writes).collect();
    world.heads().into_iter().filter(|(name, _)| written.contains(name) && !HISTORY.contains(&name.as_str())).collect()
}

async fn stale_stages(world: &World, dag: &Dag) -> Result<Vec<String>> {
    let mut stale = Vec::new();
    for stage in dag.stages().iter().filter(|stage| !stage.declaration().manual) {
        if !stage.assess(world).await?.is_fresh() {
            stale.push(stage.declaration().name.clone());
        }
    }
    Ok(stale)
}

/// One stage may run for each so many MiB of `[limits] memory_mib`.
const STAGE_MIB: usize = 512;

/// How many stages may run at once: each has batches on their way and files that are read and written, which no limit of its own bounds.
fn most_stages(memory_mib: usize) -> usize {
    (memory_mib / STAGE_MIB).max(2)
}

/// Runs stages as their inputs become ready; `done` gets a record of each that was executed.
async fn execute(
    world: &Arc<World>,
    dag: &Arc<Dag>,
    chosen: &BTreeSet<usize>,
    options: &RunOptions,
    done: &mut Vec<StageRun>,
) -> Result<()> {
    let named = !options.select.is_empty();
    let most = most_stages(world.project.config.limits.memory_mib);
    let mut waiting: BTreeSet<usize> = chosen.clone();
    let mut running: BTreeSet<usize> = BTreeSet::new();
    let mut blocked: BTreeSet<usize> = BTreeSet::new();
    let mut failure: Option<Error> = None;
    let mut tasks: JoinSet<(usize, Result<Option<StageRun>>)> = JoinSet::new();
    loop {
        let may_start = failure.is_none() || options.keep_going;
        let ready: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|stage| may_start && is_ready(dag, *stage, &waiting, &running, &blocked))
            .take(most.saturating_sub(running.len()))
            .collect();
        for index in ready {
            waiting.remove(&index);
            running.insert(index);
            let (world, stage, full) = (world.clone(), dag.stages()[index].clone(), options.full_refresh);
            tasks.spawn(async move { (index, execute_stage(&world, stage.as_ref(), named, full).await) });
        }
        let Some(ended) = tasks.join_next().await else { break };
        let (index, result) = ended.map_err(|error| Error::bug(format!("a stage's task stopped: {error}")))?;
        running.remove(&index);
        match result {
            Ok(record) => done.extend(record),
            Err(error) => {
                let name = dag.name(index);
                world.progress.failed(name, &error.to_string());
                done.push(failed_run(name, &error));
                blocked.insert(index);
                failure.get_or_insert(error.context(format!("stage {name}")));
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A stage may start once nothing it needs, directly or not, still waits, runs or failed.
fn is_ready(
    dag: &Dag,
    stage: usize,
    waiting: &BTreeSet<usize>,
    running: &BTreeSet<usize>,
    blocked: &BTreeSet<usize>,
) -> bool {
    let mut needed: Vec<usize> = dag.upstream(stage).iter().copied().collect();
    let mut seen = BTreeSet::new();
    while let Some(next) = needed.pop() {
        if waiting.contains(&next) || running.contains(&next) || blocked.contains(&next) {
            return false;
        }
        if seen.insert(next) {
            needed.extend(dag.upstream(next));
        }
    }
    true
}

/// Assesses a stage as the tables are now and runs what is stale; `None` if nothing is.
async fn execute_stage(world: &World, stage: &dyn Stage, named: bool, full: bool) -> Result<Option<StageRun>> {
    let declaration = stage.declaration();
    let assessed = stage.assess(world).await?;
    if waits_for_selection(&assessed, declaration, world, named) {
        return Ok(None);
    }
    let work = if full { assessed.all() } else { assessed };
    if work.is_fresh() {
        return Ok(None);
    }
    let units = work.stale.len() + work.removed.len();
    world.progress.started(&declaration.name, &describe_units(&work.stale.keys().cloned().collect::<Vec<_>>()));
    let start = Instant::now();
    let tables = stage.run(world, &work).await?;
    give_back_freed();
    world.advance(&tables);
    let seconds = start.elapsed().as_secs_f64();
    let rows: u64 = tables.iter().map(Table::rows).sum();
    world.progress.finished(&declaration.name, &format!("{}, {seconds:.1} s", counted(rows, "row")));
    Ok(Some(StageRun {
        stage: declaration.name.clone(),
        failure: None,
        seconds,
        slices: units,
        rows,
        bytes: tables.iter().map(Table::bytes).sum(),
        versions: tables.iter().map(|table| (table.name().to_owned(), table.version())).collect(),
        inputs: work.inputs,
    }))
}

fn describe_units(keys: &[String]) -> String {
    match keys {
        [only] if only.is_empty() => String::new(),
        [only] => only.clone(),
        many => format!("{} slices", many.len()),
    }
}

fn failed_run(stage: &str, error: &Error) -> StageRun {
    StageRun {
        stage: stage.to_owned(),
        failure: Some(error.to_string()),
        seconds: 0.0,
        slices: 0,
        rows: 0,
        bytes: 0,
        versions: BTreeMap::new(),
        inputs: BTreeMap::new(),
    }
}
