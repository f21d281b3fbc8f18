//! Splits through the whole pipeline: what leaks upstream leaks no more, and what did not move is not computed again.

use std::path::Path;

use secprm::run::{RunOptions, RunOutcome};

use super::project::{NO_TRAINING, TestProject, real_data, stages};

fn project(sven: &str, sections: &str) -> TestProject {
    TestProject::new(&[("sven", sven)], &format!("{sections}\n{NO_TRAINING}"))
}

fn configure(project: &TestProject, sven: &str, sections: &str) {
    project.configure(&[("sven", sven)], &format!("{sections}\n{NO_TRAINING}"));
}

fn found(outcome: &RunOutcome, check: &str) -> usize {
    outcome.checks.iter().find(|result| result.check == check).unwrap().rows
}

/// A record of SVEN's layout; `body` makes its code differ from that of others.
fn record(commit: &str, body: &str) -> String {
    serde_json::json!({
        "func_name": "f", "func_src_before": format!("int f(void) {{ return {body}; }}"),
        "func_src_after": format!("int f(void) {{ return {body} + 1; }}"),
        "commit_link": format!("github.com/o/r/commit/{commit}"), "file_name": "f.c", "vul_type": "cwe-125",
    })
    .to_string()
}

fn write(folder: &Path, name: &str, records: &[String]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, records.join("\n") + "\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commit_that_stands_in_train_and_val_of_the_samples_ends_in_one_split() {
    let given = project("samples:sven", "");
    let outcome = given.run_selected(&[]).await;
    assert_eq!(found(&outcome, "split_leaks") + found(&outcome, "upstream_split_leaks"), 0);
    let both = "SELECT split FROM pairs WHERE function_name IN ('worker_drain', 'queue_cancel')";
    assert_eq!(given.texts(both).await, ["test", "test"]);
    let reasons = "SELECT joined_by FROM split_groups AS g INNER JOIN pairs AS p ON p.pair_id = g.pair_id \
        WHERE p.function_name IN ('worker_drain', 'queue_cancel')";
    assert_eq!(given.texts(reasons).await, ["commit", "commit"]);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE upstream_split = 'train' AND split <> 'train'").await, 1);
    configure(&given, "samples:sven", "[split]\nby = \"upstream\"");
    let outcome = given.run_selected(&[]).await;
    assert!(outcome.is_published);
    assert_eq!(found(&outcome, "split_leaks"), 0);
    // The commit and the group that is made of it.
    assert_eq!(found(&outcome, "upstream_split_leaks"), 2);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE upstream_split = 'train' AND split <> 'train'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_sven_s_25_leaking_commits_leaks_after_grouping() {
    let Some(sven) = real_data("sven") else { return };
    let given = project(&sven, "[audit]\nmax_pairs = 0");
    let outcome = given.run_selected(&[]).await;
    assert_eq!(found(&outcome, "split_leaks"), 0);
    let leaking =
        |split: &str| format!("SELECT commit_id FROM pairs GROUP BY commit_id HAVING count(DISTINCT {split}) > 1");
    assert_eq!(given.texts(&leaking("split")).await.len(), 0);
    assert_eq!(given.texts(&leaking("upstream_split")).await.len(), 25);
    let leaked = format!(
        "SELECT count(*) FROM pairs WHERE upstream_split = 'val' AND commit_id IN ({})",
        leaking("upstream_split")
    );
    assert_eq!(given.count(&leaked).await, 34);
    // 146 by the commit, five near-copies of a held-out function besides; no held-out pair becomes one to train on.
    let moved = "SELECT count(*) FROM pairs WHERE upstream_split = 'train' AND split = 'test'";
    assert_eq!(given.count(moved).await, 151);
    let by_commit = format!("{moved} AND commit_id IN ({})", leaking("upstream_split"));
    assert_eq!(given.count(&by_commit).await, 146);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE upstream_split = 'val' AND split <> 'test'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_was_held_out_stays_so_until_all_is_drawn_anew() {
    let data = tempfile::tempdir().unwrap();
    let records: Vec<String> = (0..5).map(|number| record(&format!("{number:040x}"), &format!("{number}"))).collect();
    write(data.path(), "train/cwe-125.jsonl", &records);
    let given = project(&data.path().display().to_string(), "");
    given.run_selected(&[]).await;
    let held_out = "SELECT commit_id FROM pairs WHERE split = 'test' AND upstream_split = 'train'";
    assert!(given.texts(held_out).await.is_empty());
    // A held-out record of a commit that was trained on takes it along, and it alone.
    write(data.path(), "val/cwe-125.jsonl", &[record(&format!("{:040x}", 3), "1000")]);
    given.run_selected(&[]).await;
    assert_eq!(given.texts(held_out).await, [format!("{:040x}", 3)]);
    // The record goes, and what it moved stays where it is.
    std::fs::remove_file(data.path().join("val/cwe-125.jsonl")).unwrap();
    given.run_selected(&[]).await;
    assert_eq!(given.texts(held_out).await, [format!("{:040x}", 3)]);
    given.run(&RunOptions { full_refresh: true, ..RunOptions::default() }).await;
    assert!(given.texts(held_out).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_whose_splits_did_not_change_is_not_labelled_again() {
    let data = tempfile::tempdir().unwrap();
    // Enough bytes for several slices of 1 MiB, in records of their own commits.
    let long =
        |number: usize| record(&format!("{number:040x}"), &format!("{number} + {}", "1 + ".repeat(20_000) + "1"));
    write(data.path(), "train/cwe-125.jsonl", &(0..24).map(long).collect::<Vec<_>>());
    let given = project(&data.path().display().to_string(), "[limits]\nslice_mib = 1");
    given.run_selected(&[]).await;
    let slices = given.count("SELECT count(DISTINCT slice) FROM splits").await;
    assert!(slices > 2, "{slices}");
    // By upstream all pairs have the splits they had: the stage runs and commits no slice. The shortcut audit draws by groups, which are
    // written anew, and split_conflicts names them.
    let versions = || async {
        let warehouse = given.open().warehouse;
        let version = |name: &'static str| {
            let warehouse = warehouse.clone();
            async move { warehouse.table(name).await.unwrap().unwrap().version() }
        };
        (version("splits").await, version("samples").await, version("split_groups").await)
    };
    let (splits, samples, groups) = versions().await;
    configure(&given, &data.path().display().to_string(), "[split]\nby = \"upstream\"\n[limits]\nslice_mib = 1");
    let outcome = given.run_selected(&[]).await;
    let mut ran = stages(&outcome);
    ran.sort_unstable();
    assert_eq!(ran, ["audit", "duplicates", "metrics", "split_conflicts", "splits"]);
    assert_eq!(versions().await, (splits, samples, groups + 1));
    // A full refresh writes them anew all the same: it repairs a table that lost a file.
    given.run(&RunOptions { full_refresh: true, ..RunOptions::default() }).await;
    assert_eq!(versions().await, (splits + 1, samples + 1, groups + 2));
}
