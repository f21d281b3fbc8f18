//! The plan: which stages are fresh, which will run, and why.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use serde::Serialize;

use crate::catalog::Rows;
use crate::dag::Dag;
use crate::error::Result;
use crate::freshness::reasons;
use crate::history::STAGE_RUNS;
use crate::mixture::require_training_data;
use crate::stage::{Assessment, World};

/// What a run would do with a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nothing to do.
    Fresh,
    /// Its own inputs changed.
    WillRun,
    /// A stage before it will run; it follows if that changes what it reads.
    MayRun,
    /// Left out by the selection.
    NotSelected,
    /// Stale, but runs only when selected.
    Manual,
}

/// A stage in a plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedStage {
    /// The stage.
    pub stage: String,
    /// What a run would do.
    pub outlook: Outlook,
    /// Units (slices, datasets) to compute.
    pub stale: usize,
    /// All units.
    pub units: usize,
    /// Why.
    pub reason: String,
}

/// Finds out what a run would do; changes nothing.
///
/// # Errors
/// As assessing each stage: sources that cannot be listed, tables that cannot be read. Of kind usage if training would have nothing to
/// train on.
pub async fn plan(
    world: &World,
    dag: &Dag,
    chosen: &BTreeSet<usize>,
    named: bool,
    full: bool,
) -> Result<Vec<PlannedStage>> {
    require_training_data(&world.project.config, dag, chosen)?;
    let before = last_inputs(world).await?;
    let mut planned: Vec<PlannedStage> = Vec::new();
    for (index, stage) in dag.stages().iter().enumerate() {
        let declaration = stage.declaration();
        let assessment = stage.assess(world).await?;
        let waits_for: Vec<&str> = dag
            .upstream(index)
            .iter()
            .filter(|needed| matches!(planned[**needed].outlook, Outlook::WillRun | Outlook::MayRun))
            .map(|needed| dag.name(*needed))
            .collect();
        let why = reasons(&assessment.inputs, before.get(&declaration.name)).join(", ");
        let holds_back = waits_for_selection(&assessment, declaration, world, named);
        let (outlook, reason) = if !chosen.contains(&index) {
            (Outlook::NotSelected, String::new())
        } else if holds_back && (full || !assessment.is_fresh() || !waits_for.is_empty()) {
            (Outlook::Manual, "[train] when = \"manual\": select it to run it".to_owned())
        } else if full {
            (Outlook::WillRun, "--full-refresh".to_owned())
        } else if !assessment.is_fresh() {
            (Outlook::WillRun, why)
        } else if !waits_for.is_empty() {
            (Outlook::MayRun, format!("if {} changes what it reads", waits_for.join(" or ")))
        } else {
            (Outlook::Fresh, String::new())
        };
        let units = assessment.units.len();
        let stale = if full { units } else { assessment.stale.len() + assessment.removed.len() };
        planned.push(PlannedStage { stage: declaration.name.clone(), outlook, stale, units, reason });
    }
    Ok(planned)
}

/// Whether a manual stage has to wait: it ran before, and no selection names it.
pub fn waits_for_selection(
    assessment: &Assessment,
    declaration: &crate::stage::Declaration,
    world: &World,
    named: bool,
) -> bool {
    let ran_before = declaration.writes.iter().all(|table| world.head(table).is_some());
    let may_start = declaration.name == "tokenizer" && !ran_before;
    declaration.manual && !named && !may_start && !assessment.units.is_empty()
}

/// What each stage's last successful run was computed from.
async fn last_inputs(world: &World) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let Some(table) = world.head(STAGE_RUNS) else { return Ok(BTreeMap::new()) };
    let session = world.sessions.open(&BTreeMap::from([(STAGE_RUNS.to_owned(), table)]), Rows::All)?;
    let query = "SELECT stage, inputs FROM stage_runs WHERE status = 'done' ORDER BY finished_at";
    let mut last = BTreeMap::new();
    for batch in session.sql(query).await?.collect().await? {
        let (stages, inputs) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            last.insert(stages.value(row).to_owned(), serde_json::from_str(inputs.value(row)).unwrap_or_default());
        }
    }
    Ok(last)
}
