//! The whole dataflow: raw records to metrics, published and asked in SQL.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secprm::config::Project;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};

use super::project::{NO_TRAINING, TestProject, real_data, stages};

/// A training that takes a second.
const SHORT_TRAINING: &str =
    "[[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 1\nmax_steps = 4\nlearning_rate = 1e-3\n";

fn project(sven: &str, sections: &str) -> TestProject {
    TestProject::new(&[("sven", sven)], sections)
}

fn set(texts: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    texts.into_iter().collect()
}

fn samples_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/sven")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_become_labels_a_model_scores_and_metrics_and_nothing_is_lost() {
    let given = project("samples:sven", SHORT_TRAINING);
    let outcome = given.run_selected(&[]).await;
    assert_eq!(outcome.release_id, Some(1));
    // As tests/samples/sven/README.md counts: 101 good records, 9 broken on purpose.
    assert_eq!(given.count("SELECT count(*) FROM pairs").await, 101);
    assert_eq!(given.count("SELECT count(*) FROM rejects WHERE stage = 'ingest'").await, 9);
    assert_eq!(given.count("SELECT sum(records) FROM sources").await, 110);
    assert_eq!(given.count("SELECT count(*) FROM rejects WHERE stage = 'label'").await, 5);
    let reasons = given.texts("SELECT DISTINCT reason FROM rejects WHERE stage = 'ingest'").await;
    let expected =
        ["empty_code", "invalid_json", "invalid_utf8", "invalid_value", "missing_field", "not_an_object", "wrong_type"];
    assert_eq!(set(reasons), set(expected.map(str::to_owned)));
    assert_eq!(given.count("SELECT count(*) FROM samples").await, 192);
    let judges = given.texts("SELECT DISTINCT model_id FROM metrics WHERE split = 'test' AND metric = 'auroc'").await;
    // The model, three baselines, and six judges of the shortcut audit.
    assert_eq!(judges.len(), 10, "{judges:?}");
    let unscored = "SELECT count(*) FROM steps WHERE NOT EXISTS \
        (SELECT 1 FROM step_scores c WHERE c.sample_id = steps.sample_id AND c.step_index = steps.step_index)";
    assert_eq!(given.count(unscored).await, given.count("SELECT count(*) FROM rejects WHERE stage = 'shards'").await);
    assert!(given.run_selected(&[]).await.stages.is_empty(), "a second run executes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_records_give_the_same_rows_in_however_many_runs_they_arrive() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path().join("train")).unwrap();
    let copy =
        |name: &str| std::fs::copy(samples_folder().join("train").join(name), data.path().join("train").join(name));
    let ids = "SELECT sample_id FROM samples";
    copy("cwe-089.jsonl").unwrap();
    let in_two_runs = project(&data.path().display().to_string(), NO_TRAINING);
    in_two_runs.run_selected(&[]).await;
    let first = set(in_two_runs.texts(ids).await);
    copy("cwe-125.jsonl").unwrap();
    let outcome = in_two_runs.run_selected(&[]).await;
    assert!(outcome.is_published);
    let at_once = project(&data.path().display().to_string(), NO_TRAINING);
    at_once.run_selected(&[]).await;
    assert_eq!(set(in_two_runs.texts(ids).await), set(at_once.texts(ids).await));
    assert!(first.is_subset(&set(at_once.texts(ids).await)));
    std::fs::remove_file(data.path().join("train/cwe-125.jsonl")).unwrap();
    in_two_runs.run_selected(&[]).await;
    assert_eq!(set(in_two_runs.texts(ids).await), first, "a record that is gone leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_is_no_longer_configured_leaves_the_tables() {
    let given = project("samples:sven", NO_TRAINING);
    given.run_selected(&["+samples", "label_rejects"]).await;
    let mut project = Project::load(Some(&given.path("secprm.toml"))).unwrap();
    project.config.source.clear();
    let (world, dag) = secprm::open::open_project(project).unwrap().world(Progress::silent()).await.unwrap();
    run(world.clone(), dag, &RunOptions::default()).await.unwrap();
    assert_eq!(world.head("pairs").unwrap().rows(), 0);
    assert_eq!(world.head("samples").unwrap().rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipped_relation_can_be_replaced_by_one_with_other_columns() {
    let given = project("samples:sven", NO_TRAINING);
    given.run_selected(&["+code_keys"]).await;
    let folder = given.path("sql/tables");
    std::fs::create_dir_all(&folder).unwrap();
    let shipped = secprm::relation::embedded_files().find(|(_, name, _)| *name == "code_keys").unwrap().2;
    let text = shipped.replacen("    dataset, slice\n", "    'mine' AS chosen_by, dataset, slice\n", 1);
    assert_ne!(text, shipped);
    std::fs::write(folder.join("code_keys.sql"), text).unwrap();
    let outcome = given.run_selected(&["code_keys"]).await;
    assert_eq!(stages(&outcome), ["code_keys"]);
    let table = given.open().warehouse.table("code_keys").await.unwrap().unwrap();
    assert!(table.schema().field_with_name("chosen_by").is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_sven_is_accounted_for_and_paper_mode_gives_table_11() {
    let Some(sven) = real_data("sven") else { return };
    let extra = format!(
        "[label]\nmodes = [\"natural\", \"paper\"]\n[split]\nby = \"upstream\"\n[audit]\nmax_pairs = 0\n{NO_TRAINING}"
    );
    let given = project(&sven, &extra);
    given.run_selected(&[]).await;
    // Two pairs have a reject beside them, for marks of experts that they go without.
    let records = "SELECT count(*) FROM (SELECT source_file, source_row FROM provenance UNION SELECT source_file, source_row FROM ingest_rejects) AS records";
    assert_eq!(given.count(records).await, 803);
    assert_eq!(given.count("SELECT count(*) FROM pairs").await, 803);
    let no_difference = "SELECT count(*) FROM rejects WHERE stage = 'label' AND label_mode = 'natural' AND reason = 'no_code_difference'";
    assert_eq!(given.count(no_difference).await, 5);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE code_difference = 'none'").await, 4);
    let without_a_zero =
        "SELECT count(*) FROM samples WHERE label_mode = 'natural' AND role = 'vulnerable' AND NOT vulnerable";
    assert_eq!(given.count(without_a_zero).await, 0);
    assert_eq!(given.count("SELECT count(*) FROM samples WHERE label_mode = 'natural'").await, 2 * (803 - 5));
    let row = |split: &str| {
        format!(
            "SELECT concat_ws(' ', vulnerable, secure, CAST(round(chars_vulnerable) AS BIGINT), CAST(round(chars_secure) AS BIGINT), \
             CAST(round(steps_vulnerable) AS BIGINT), CAST(round(steps_secure) AS BIGINT), round(step_v_percent, 2), round(step_a_percent, 2)) \
             FROM dataset_stats WHERE label_mode = 'paper' AND split = '{split}'"
        )
    };
    assert_eq!(given.texts(&row("train")).await, ["720 720 2964 3022 15 15 24.2 5.99"]);
    assert_eq!(given.texts(&row("test")).await, ["83 83 3292 3352 14 14 21.84 5.81"]);
    let longer = |mode: &str| {
        format!(
            "SELECT sum(fixed_longer) FROM length_shortcut WHERE measure = 'characters' AND subset = 'paired' AND label_mode = '{mode}'"
        )
    };
    // Of 798 pairs with a code difference.
    assert_eq!(given.count(&longer("natural")).await, 571);
}
