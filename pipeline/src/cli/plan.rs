//! `secprm plan`.

use std::io::stdout;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use clap::Args;

use super::SelectionArgs;
use crate::error::Result;
use crate::mixture::{configured_to_leave_out, shares};
use crate::open::Opened;
use crate::output::{Format, print_batches, print_stream};
use crate::plan::{Outlook, PlannedStage, plan as plan_stages};
use crate::progress::Progress;
use crate::stage::World;

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
    print_batches(batch.schema(), vec![batch], args.format, &mut stdout().lock()).await?;
    match args.format {
        Format::Table => print_mixture(&world).await,
        // One array of rows of one kind is what programs read; the view has the mixture for them.
        Format::Json | Format::Csv => Ok(()),
    }
}

/// Prints what an epoch would be made of under the configuration as it is now, by the newest shards.
async fn print_mixture(world: &World) -> Result<()> {
    match shares(world).await? {
        Some(shares) => {
            eprintln!("\nan epoch of training as [mix] is now, by the shards that are there:");
            print_stream(shares.execute_stream().await?, Format::Table, &mut stdout().lock()).await
        }
        None => {
            let left_out = configured_to_leave_out(&world.project.config);
            let left_out = match left_out.is_empty() {
                true => "nothing".to_owned(),
                false => left_out.join(", "),
            };
            eprintln!("note: [mix] leaves {left_out} out of training; shares come after the first run");
            Ok(())
        }
    }
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
