//! Planted defects: each is found by its check, named, and nothing is published.
//!
//! Most are written into a table under the fingerprint that it has, as only damage or a bug could: the run takes the table for fresh, and
//! its checks count anew.

use std::collections::BTreeMap;
use std::path::Path;

use secprm::catalog::Rows;
use secprm::error::Kind;
use secprm::progress::Progress;
use secprm::release::open_heads;
use secprm::run::{RunOptions, run};
use secprm_stages::tables::slice_commit;
use secprm_storage::{CommitMode, CommitNote, TableSpec};

use super::project::{NO_TRAINING, TestProject};

/// A project with a release of the samples.
async fn published() -> TestProject {
    let project = TestProject::new(&[("sven", "samples:sven")], NO_TRAINING);
    assert_eq!(project.run_selected(&[]).await.release_id, Some(1));
    project
}

/// Puts what a query makes of a sliced table in its place, under the fingerprints of its slices.
async fn plant(project: &TestProject, table: &str, query: &str) {
    let opened = project.open();
    let heads = open_heads(&opened.warehouse).await.unwrap();
    let head = &heads[table];
    let session = opened.sessions.open(&heads, Rows::All).unwrap();
    let mut spec = TableSpec::new(table, head.schema().clone());
    spec.partition_columns = head.partition_columns().to_vec();
    let mut writer = opened.warehouse.part_writer(&spec).unwrap();
    for batch in session.sql(query).await.unwrap().collect().await.unwrap() {
        writer.write(&batch).await.unwrap();
    }
    let parts = writer.finish().await.unwrap();
    let slices = head.fingerprints().await.unwrap();
    let slices = slices.iter().map(|(key, fingerprint)| slice_commit(key, Some(*fingerprint))).collect();
    let mode = CommitMode::ReplaceSlices(slices);
    opened.warehouse.commit(&spec, Some(head), parts, &mode, &CommitNote::default()).await.unwrap();
}

/// Runs, which must fail in its checks; returns what it says and how many rows each check of severity error found.
async fn fails(project: &TestProject) -> (String, BTreeMap<String, i64>) {
    let (world, dag) = project.open().world(Progress::silent()).await.unwrap();
    let error = run(world, dag, &RunOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Checks, "{error}");
    assert_eq!(error.kind().exit_code(), 3);
    let found =
        "FROM checks WHERE severity = 'error' AND status = 'failed' AND run_id = (SELECT max(run_id) FROM runs)";
    let mut counts = BTreeMap::new();
    for check in project.texts(&format!("SELECT \"check\" {found}")).await {
        let rows = project.count(&format!("SELECT rows {found} AND \"check\" = '{check}'")).await;
        assert!(error.to_string().contains(&check), "{error}");
        counts.insert(check, rows);
    }
    (error.to_string(), counts)
}

async fn releases(project: &TestProject) -> i64 {
    project.count("SELECT count(DISTINCT release_id) FROM releases").await
}

/// Two pairs of different splits.
const IN_TRAIN: &str = "(SELECT min(pair_id) FROM splits WHERE split = 'train')";
const IN_TEST: &str = "(SELECT min(pair_id) FROM splits WHERE split = 'test')";

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_across_splits_is_found() {
    let project = published().await;
    let query = format!(
        "SELECT pair_id, CASE WHEN pair_id = {IN_TRAIN} OR pair_id = {IN_TEST} THEN [7] ELSE code_hashes END AS code_hashes, vulnerable_hashes, \
         secure_hashes, signatures, repeated_lines, code_difference, dataset, slice FROM code_keys"
    );
    plant(&project, "code_keys", &query).await;
    let (_, found) = fails(&project).await;
    assert_eq!(found, BTreeMap::from([("split_leaks".to_owned(), 1)]));
    let rows = project.texts("SELECT \"row\" FROM check_rows WHERE \"check\" = 'split_leaks'").await;
    assert!(rows[0].contains("\"kind\":\"code\""), "{rows:?}");
    assert_eq!(releases(&project).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_leaks_is_found() {
    let project = published().await;
    // One of the two pairs of a commit goes to train.
    let query = "SELECT s.pair_id, CASE WHEN p.function_name = 'queue_cancel' THEN 'train' ELSE s.split END AS split, s.split_source, \
        s.dataset, s.slice FROM splits AS s INNER JOIN base.pairs AS p ON p.pair_id = s.pair_id";
    plant(&project, "splits", query).await;
    let (message, found) = fails(&project).await;
    assert!(message.contains("split_leaks (2 rows)"), "{message}");
    assert_eq!(found["split_leaks"], 2);
    let rows = project.texts("SELECT \"row\" FROM check_rows WHERE \"check\" = 'split_leaks'").await;
    assert!(rows.iter().any(|row| row.contains("\"kind\":\"commit\"")), "{rows:?}");
    assert_eq!(releases(&project).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_label_is_found() {
    let project = published().await;
    let last = "(SELECT max(sample_id) FROM samples WHERE role = 'fixed')";
    let flipped =
        format!("CASE WHEN sample_id = {last} THEN array_repeat(CAST(0 AS TINYINT), n_steps) ELSE labels END");
    plant(&project, "samples", &format!("SELECT * REPLACE ({flipped} AS labels) FROM samples")).await;
    let (_, found) = fails(&project).await;
    assert_eq!(found, BTreeMap::from([("labels_have_evidence".to_owned(), 1)]));
    assert_eq!(releases(&project).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_dropped_is_found_wherever_it_was() {
    let project = published().await;
    plant(
        &project,
        "train_shards",
        "SELECT * FROM train_shards WHERE sample_id <> (SELECT max(sample_id) FROM train_shards)",
    )
    .await;
    assert_eq!(fails(&project).await.1, BTreeMap::from([("encoded_steps".to_owned(), 1)]));
    let project = published().await;
    plant(&project, "samples", "SELECT * FROM samples WHERE sample_id <> (SELECT max(sample_id) FROM samples)").await;
    let (_, found) = fails(&project).await;
    assert_eq!(found["label_accounting"], 1);
    let project = published().await;
    plant(&project, "pairs", "SELECT * FROM base.pairs WHERE pair_id <> (SELECT max(pair_id) FROM base.pairs)").await;
    let (_, found) = fails(&project).await;
    assert_eq!(found["ingest_accounting"], 1);
    assert_eq!(releases(&project).await, 1);
}

fn record(commit: &str, before: &str, after: &str) -> String {
    serde_json::json!({
        "func_name": "f", "func_src_before": before, "func_src_after": after,
        "commit_link": format!("github.com/o/r/commit/{commit}"), "file_name": "f.c", "vul_type": "cwe-125",
    })
    .to_string()
}

fn write(folder: &Path, records: &[String]) {
    std::fs::create_dir_all(folder.join("train")).unwrap();
    std::fs::write(folder.join("train/cwe-125.jsonl"), records.join("\n") + "\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_the_fix_of_one_pair_and_the_flaw_of_another_is_found() {
    let data = tempfile::tempdir().unwrap();
    let [one, two, three] = [1, 2, 3].map(|value| format!("int f(void)\n{{\n    return {value};\n}}\n"));
    let first = record("aaaaaaaa", &one, &two);
    write(data.path(), std::slice::from_ref(&first));
    let sections = format!("[checks.severity]\nconflicting_labels = \"error\"\ndrift = \"off\"\n{NO_TRAINING}");
    let project = TestProject::new(&[("sven", &data.path().display().to_string())], &sections);
    assert_eq!(project.run_selected(&[]).await.release_id, Some(1));
    write(data.path(), &[first, record("bbbbbbbb", &two.replace("    ", "\t"), &three)]);
    assert_eq!(fails(&project).await.1, BTreeMap::from([("conflicting_labels".to_owned(), 1)]));
    assert_eq!(releases(&project).await, 1);
    assert_eq!(project.count("SELECT count(*) FROM pairs").await, 1, "readers see the release before");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_lost_between_releases_are_drift() {
    let data = tempfile::tempdir().unwrap();
    let record_of = |number: usize| {
        record(&format!("{number:08}"), &format!("int f{number}(void) {{ return {number}; }}"), "int g(void);")
    };
    write(data.path(), &(0..10).map(record_of).collect::<Vec<_>>());
    let sections = format!("[checks.severity]\ndrift = \"error\"\n[checks.limits]\nrow_drift = 0.4\n{NO_TRAINING}");
    let project = TestProject::new(&[("sven", &data.path().display().to_string())], &sections);
    project.run_selected(&[]).await;
    write(data.path(), &(0..7).map(record_of).collect::<Vec<_>>());
    assert_eq!(project.run_selected(&[]).await.release_id, Some(2), "three of ten are within the limit");
    write(data.path(), &(0..3).map(record_of).collect::<Vec<_>>());
    let (message, _) = fails(&project).await;
    assert!(message.contains("drift (2 rows)"), "{message}");
    assert_eq!(releases(&project).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_user_s_own_joins_the_run() {
    let project = published().await;
    std::fs::create_dir_all(project.path("sql/checks")).unwrap();
    let check = "--! description = \"No pair is of CWE-89\"\nSELECT pair_id FROM pairs WHERE array_has(cwe, 'CWE-089') OR array_has(cwe, 'CWE-89')";
    std::fs::write(project.path("sql/checks/no_injection.sql"), check).unwrap();
    let (_, found) = fails(&project).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["no_injection"]);
}
