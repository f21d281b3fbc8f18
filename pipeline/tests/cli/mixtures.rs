//! What training is made of: shown, changed, and refused where nothing is left.

use insta::assert_snapshot;

use crate::project::{Project, filters};

/// Adds sections to the configuration.
fn configure(project: &Project, sections: &str) {
    let text = std::fs::read_to_string(project.path("secprm.toml")).unwrap();
    project.write("secprm.toml", &format!("{text}\n{sections}\n"));
}

/// Changes the project's dataset to one that is left out of training.
fn of_bigvul_alone() -> Project {
    let project = Project::new();
    project.replace("secprm.toml", "\"sven\"", "\"bigvul\"");
    project.replace("secprm.toml", "\"data\"", "\"samples:bigvul\"");
    project
}

#[test]
fn a_changed_mixture_trains_again_and_nothing_else() {
    let project = Project::published();
    // Without max_steps, so that an epoch is whole.
    project.replace("secprm.toml", "max_steps = 2\n", "");
    configure(&project, "[mix]\nrepeats = { sven = 3 }");
    assert!(project.output(&["run"]).status.success());
    let in_batches = project.query("SELECT count(*) AS steps, sum(tokens) AS tokens FROM train_metrics");
    let in_mixture = "SELECT CAST(ceil(sum(repeats * windows) / 4.0) AS BIGINT) AS steps, sum(repeats * tokens) AS tokens FROM mixture";
    assert_eq!(in_batches, project.query(in_mixture));
    project.replace("secprm.toml", "sven = 3", "sven = 2");
    let plan = project.output(&["plan", "--format", "csv"]);
    let plan = String::from_utf8(plan.stdout).unwrap();
    let stale: Vec<&str> = plan.lines().skip(1).filter(|line| !line.contains(",fresh,")).collect();
    assert_snapshot!(stale.join("\n"), @"
    train,will run,1,1,[mix] changed
    score,may run,0,1,if train changes what it reads
    verdicts,may run,0,1,if score changes what it reads
    metrics,may run,0,1,if verdicts changes what it reads
    ");
    assert!(project.output(&["run"]).status.success());
    let last = "(SELECT max(run_id) FROM runs)";
    let ran = project.query(&format!("SELECT stage FROM stage_runs WHERE run_id = {last} ORDER BY finished_at"));
    assert_eq!(ran, "stage\ntrain\nscore\nverdicts\nmetrics\n");
}

#[test]
fn a_plan_shows_the_shares_of_the_mixture_as_it_is_now() {
    let project = Project::published();
    configure(&project, "[[source]]\ndataset = \"bigvul\"\nurl = \"samples:bigvul\"");
    assert!(project.output(&["run"]).status.success());
    configure(&project, "[mix]\nrepeats = { sven = 40 }");
    let transcript = project.transcript(&["plan"]);
    let (_, mixture) = transcript.split_once(" dataset ").unwrap();
    assert_snapshot!(mixture, @"
      subset     samples   steps   tokens   repeats   steps %   tokens %   note
    ═════════════════════════════════════════════════════════════════════════════════════════════════
     bigvul    paired          34     127    13011                                  left out: bigvul
     bigvul    unpaired         5       8      971                                  left out: bigvul
     sven      paired           8       8      812        40       100        100
    ─────────────────────────────────────────────────────────────────────────────────────────────────
    --- stderr

    an epoch of training as [mix] is now, by the shards that are there:
    ");
}

#[test]
fn a_run_says_what_it_left_out_of_training() {
    let project = Project::new();
    configure(&project, "[[source]]\ndataset = \"bigvul\"\nurl = \"samples:bigvul\"");
    let output = project.output(&["run"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    let said: Vec<&str> = talk.lines().filter(|line| line.contains("left out of training")).collect();
    assert_snapshot!(said.join("\n"), @"left out of training by [mix] leave_out: bigvul (39 samples); scored and measured all the same");
}

#[test]
fn a_project_whose_only_dataset_is_left_out_is_refused_before_anything_runs() {
    let project = of_bigvul_alone();
    assert_snapshot!(project.transcript(&["plan"]), @r#"
    exit 2
    --- stdout
    --- stderr
    error: there is nothing to train on: [mix] leave_out leaves out bigvul
    hint: to train on it all the same, set leave_out without it in [mix] (`[]` leaves nothing out); to publish data without training, set when = "manual" in [train]
    "#);
    assert_eq!(project.transcript(&["run"]), project.transcript(&["plan"]));
    assert!(!project.path("warehouse/pairs").exists());
    // What the hint says helps, and so does a selection without training.
    assert!(project.output(&["run", "--select", "ingest"]).status.success());
    configure(&project, "[mix]\nleave_out = []");
    assert!(project.output(&["plan"]).status.success());
}

#[test]
fn data_that_is_all_left_out_is_published_where_training_is_manual() {
    let project = of_bigvul_alone();
    // Before the stages, which are tables of their own.
    project.replace("secprm.toml", "[[train.stage]]", "[train]\nwhen = \"manual\"\n\n[[train.stage]]");
    let output = project.output(&["run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // More than single bytes: the vocabulary comes from what is left out, there being nothing else.
    assert_eq!(project.query("SELECT vocab_size FROM tokenizers"), "vocab_size\n300\n");
    assert_eq!(project.query("SELECT count(*) FROM mixture WHERE repeats > 0"), "count(*)\n0\n");
    let judges =
        project.query("SELECT DISTINCT model_id FROM metrics WHERE model_id LIKE 'baseline:%' ORDER BY model_id");
    assert_eq!(judges, "model_id\nbaseline:always_secure\nbaseline:always_vulnerable\n");
}

#[test]
fn a_dataset_of_which_ingest_finds_only_what_is_left_out_is_refused_by_training() {
    let _filters = filters();
    let project = Project::new();
    configure(&project, "[mix]\nleave_out = [\"sven/paired\"]");
    let output = project.output(&["run"]);
    assert_eq!(output.status.code(), Some(2));
    let talk = String::from_utf8(output.stderr).unwrap();
    let last: Vec<&str> = talk.lines().filter(|line| line.starts_with("error") || line.starts_with("hint")).collect();
    assert_snapshot!(last.join("\n"), @r#"
    error: stage train: there is nothing to train on: [mix] leave_out leaves out sven/paired (8 samples)
    hint: to train on it all the same, set leave_out without it in [mix] (`[]` leaves nothing out); to publish data without training, set when = "manual" in [train]
    "#);
}

#[test]
fn a_dataset_that_repeats_no_time_is_refused() {
    let project = Project::new();
    configure(&project, "[mix]\nrepeats = { sven = 0 }");
    assert_snapshot!(project.transcript(&["plan"]), @r#"
    exit 2
    --- stdout
    --- stderr
    error: secprm.toml: [mix] repeats: sven = 0 trains on nothing of it
    hint: to leave a dataset out of training, list it: leave_out = ["sven"]
    "#);
}
