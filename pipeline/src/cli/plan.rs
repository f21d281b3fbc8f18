//! `secprm plan`.

use std::io::stdout;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use clap::Args;

use super::SelectionArgs;
use crate::error::Result;
use crate::open::Opened;
use crate::output::{Format, print_batches};
use crate::plan::{Outlook, PlannedStage, plan as plan_stages};
use crate::progress::Progress;

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// How to print.
    #[arg(long, env = "SECPRM_FORMAT", default_value = "table")]
    format: Format,
}

/// Prints the plan.
pub async fn plan(opened: Opened, args: &PlanArgs) -> Result<()> {
    let (world, dag) = opened.world(Progress::silent()).await?;
    let chosen = dag.select(&args.selection.select, &args.selection.exclude)?;
    let named = !args.selection.select.is_empty();
    let stages = plan_stages(&world, &dag, &chosen, named, args.selection.full_refresh).await?;
    let batch = batch_of(&stages)?;
    print_batches(batch.schema(), vec![batch], args.format, &mut stdout().lock()).await
}

fn batch_of(stages: &[PlannedStage]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&PlannedStage) -> String| -> ArrayRef {
        Arc::new(stages.iter().map(|stage| Some(of(stage))).collect::<StringArray>())
    };
    let numbers = |of: &dyn Fn(&PlannedStage) -> usize| -> ArrayRef {
        Arc::new(stages.iter().map(|stage| Some(of(stage) as i64)).collect::<Int64Array>())
    };
    Ok(RecordBatch::try_from_iter([
        ("stage", texts(&|stage| stage.stage.clone())),
        ("outlook", texts(&|stage| outlook_name(stage.outlook).to_owned())),
        ("stale", numbers(&|stage| stage.stale)),
        ("slices", numbers(&|stage| stage.units)),
        ("why", texts(&|stage| stage.reason.clone())),
    ])?)
}

fn outlook_name(outlook: Outlook) -> &'static str {
    match outlook {
        Outlook::Fresh => "fresh",
        Outlook::WillRun => "will run",
        Outlook::MayRun => "may run",
        Outlook::NotSelected => "not selected",
        Outlook::Manual => "manual",
    }
}
