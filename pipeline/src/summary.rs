//! What a run says at its end: numbers, checks, metrics beside baselines, and what to try next.

use std::io::stdout;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use secprm_stages::train::MODELS;

use crate::catalog::Rows;
use crate::error::Result;
use crate::history::CheckResult;
use crate::mixture::left_out_of_training;
use crate::output::{Format, counted, print_stream};
use crate::run::RunOutcome;
use crate::stage::World;

/// The newest model and the baselines, side by side, on what was held out.
const HELD_OUT: &str = "
    SELECT dataset, split,
        CASE WHEN model_id LIKE 'baseline:%' THEN substr(model_id, 10) ELSE concat('model ', substr(model_id, 1, 8)) END AS judge,
        max(CASE WHEN metric = 'auroc' THEN value END) AS auroc,
        max(CASE WHEN metric = 'auroc' THEN ci_low END) AS ci_low,
        max(CASE WHEN metric = 'auroc' THEN ci_high END) AS ci_high,
        max(CASE WHEN metric = 'f1' THEN value END) AS f1,
        max(CASE WHEN metric = 'accuracy' THEN value END) AS accuracy,
        max(n) AS n
    FROM metrics
    WHERE split <> 'train' AND aggregation IN ('none', 'risk') AND model_id NOT LIKE 'audit:%'
    GROUP BY dataset, split, model_id
    ORDER BY dataset, split, judge";

/// Prints the summary: data on stdout, talk on stderr.
pub async fn summarise(world: &World, outcome: &RunOutcome) -> Result<()> {
    let progress = &world.progress;
    for check in outcome.checks.iter().filter(|check| check.rows > 0) {
        progress.say(&format!(
            "warning: check {}: {} ({})",
            check.check,
            counted(check.rows, "row"),
            check.description
        ));
    }
    if outcome.stages.is_empty() && outcome.left_stale.is_empty() {
        progress.say("nothing to do: everything is fresh");
    }
    if !outcome.left_stale.is_empty() {
        progress
            .say(&format!("not published: {} must run first (they were not selected)", outcome.left_stale.join(", ")));
    }
    match (outcome.is_published, outcome.release_id) {
        (true, Some(id)) => progress.say(&format!("published release {id} to {}", world.project.config.warehouse)),
        (false, Some(id)) => progress.say(&format!("release {id} stays in force")),
        _ => {}
    }
    if !outcome.is_published {
        return Ok(());
    }
    let session = world.sessions.open(&world.heads(), Rows::All)?;
    if outcome.stages.iter().any(|stage| stage.stage == "train") {
        let left_out = left_out_of_training(&session).await?;
        if !left_out.is_empty() {
            progress.say(&format!(
                "left out of training by [mix] leave_out: {}; scored and measured all the same",
                left_out.join(", ")
            ));
        }
    }
    progress.say("\nheld out (positive = vulnerable; AUROC 0.5 is chance):");
    print_stream(session.sql(HELD_OUT).await?.execute_stream().await?, Format::Table, &mut stdout().lock()).await?;
    let has_model = world.head(MODELS).is_some_and(|models| models.rows() > 0);
    if has_model && world.project.config.model.path.is_none() {
        progress
            .say("the model started from random weights: it shows that the pipeline works, not how good a PRM can be");
    }
    progress.say("\nnext:\n  secprm stats                                   the datasets (table 11)\n  secprm sql -c 'SELECT * FROM steps LIMIT 5'    any question, in SQL\n  secprm sql -c 'SELECT * FROM rejects'          what was left out, and why\n  secprm init my-project                         your own data");
    Ok(())
}

/// Returns check results as rows.
pub fn checks_batch(results: &[CheckResult]) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&CheckResult) -> String| -> ArrayRef {
        Arc::new(results.iter().map(|result| Some(of(result))).collect::<StringArray>())
    };
    let rows: ArrayRef = Arc::new(results.iter().map(|result| Some(result.rows as i64)).collect::<Int64Array>());
    Ok(RecordBatch::try_from_iter([
        ("check", texts(&|result| result.check.clone())),
        ("severity", texts(&|result| if result.is_error { "error" } else { "warn" }.to_owned())),
        ("status", texts(&|result| if result.rows == 0 { "passed" } else { "failed" }.to_owned())),
        ("rows", rows),
        ("description", texts(&|result| result.description.clone())),
    ])?)
}
