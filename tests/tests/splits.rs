//! Splits through the whole pipeline: what leaks upstream leaks no more, and what did not move is not computed again.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use secprm::open::{Opened, open};
use secprm::progress::Progress;
use secprm::run::{RunOptions, RunOutcome, run};

/// A project in a temporary folder that publishes data and trains nothing.
struct Given {
    folder: tempfile::TempDir,
}

impl Given {
    fn with(source: &str, settings: &str) -> Given {
        let given = Given { folder: tempfile::tempdir().unwrap() };
        given.configure(source, settings);
        given
    }

    fn configure(&self, source: &str, settings: &str) {
        let text = format!(
            "version = 1\nwarehouse = \"./warehouse\"\n[[source]]\ndataset = \"sven\"\nurl = \"{source}\"\n{settings}\n\
             [train]\nwhen = \"manual\"\n"
        );
        std::fs::write(self.folder.path().join("secprm.toml"), text).unwrap();
    }

    fn open(&self) -> Opened {
        open(Some(&self.folder.path().join("secprm.toml"))).unwrap()
    }

    async fn run(&self) -> RunOutcome {
        let (world, dag) = self.open().world(Progress::silent()).await.unwrap();
        run(world, dag, &RunOptions::default()).await.unwrap()
    }

    async fn full_refresh(&self) -> RunOutcome {
        let (world, dag) = self.open().world(Progress::silent()).await.unwrap();
        run(world, dag, &RunOptions { full_refresh: true, ..RunOptions::default() }).await.unwrap()
    }

    async fn count(&self, query: &str) -> i64 {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        let texts = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            (0..batch.num_rows()).map(|row| column.value(row).to_owned())
        });
        texts.collect()
    }
}

fn found(outcome: &RunOutcome, check: &str) -> usize {
    outcome.checks.iter().find(|result| result.check == check).unwrap().rows
}

fn stages(outcome: &RunOutcome) -> Vec<&str> {
    outcome.stages.iter().map(|stage| stage.stage.as_str()).collect()
}

fn real_sven() -> Option<PathBuf> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let sven = folder.join("sven");
    if !sven.is_dir() {
        eprintln!("skipped: there is no {}", sven.display());
        return None;
    }
    Some(sven.canonicalize().unwrap())
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
    let given = Given::with("samples:sven", "");
    let outcome = given.run().await;
    assert_eq!(found(&outcome, "split_leaks") + found(&outcome, "upstream_split_leaks"), 0);
    let both = "SELECT split FROM pairs WHERE function_name IN ('worker_drain', 'queue_cancel')";
    assert_eq!(given.texts(both).await, ["test", "test"]);
    let reasons = "SELECT joined_by FROM split_groups AS g INNER JOIN pairs AS p ON p.pair_id = g.pair_id \
        WHERE p.function_name IN ('worker_drain', 'queue_cancel')";
    assert_eq!(given.texts(reasons).await, ["commit", "commit"]);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE upstream_split = 'train' AND split <> 'train'").await, 1);
    given.configure("samples:sven", "[split]\nby = \"upstream\"");
    let outcome = given.run().await;
    assert!(outcome.is_published);
    assert_eq!(found(&outcome, "split_leaks"), 0);
    // The commit and the group that is made of it.
    assert_eq!(found(&outcome, "upstream_split_leaks"), 2);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE upstream_split = 'train' AND split <> 'train'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn none_of_sven_s_25_leaking_commits_leaks_after_grouping() {
    let Some(sven) = real_sven() else { return };
    let given = Given::with(&sven.display().to_string(), "");
    let outcome = given.run().await;
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
    let given = Given::with(&data.path().display().to_string(), "");
    given.run().await;
    let held_out = "SELECT commit_id FROM pairs WHERE split = 'test' AND upstream_split = 'train'";
    assert!(given.texts(held_out).await.is_empty());
    // A held-out record of a commit that was trained on takes it along, and it alone.
    write(data.path(), "val/cwe-125.jsonl", &[record(&format!("{:040x}", 3), "1000")]);
    given.run().await;
    assert_eq!(given.texts(held_out).await, [format!("{:040x}", 3)]);
    // The record goes, and what it moved stays where it is.
    std::fs::remove_file(data.path().join("val/cwe-125.jsonl")).unwrap();
    given.run().await;
    assert_eq!(given.texts(held_out).await, [format!("{:040x}", 3)]);
    given.full_refresh().await;
    assert!(given.texts(held_out).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_whose_splits_did_not_change_is_not_labelled_again() {
    let data = tempfile::tempdir().unwrap();
    // Enough bytes for several slices of 1 MiB, in records of their own commits.
    let long =
        |number: usize| record(&format!("{number:040x}"), &format!("{number} + {}", "1 + ".repeat(20_000) + "1"));
    write(data.path(), "train/cwe-125.jsonl", &(0..24).map(long).collect::<Vec<_>>());
    let given = Given::with(&data.path().display().to_string(), "[limits]\nslice_mib = 1");
    given.run().await;
    let slices = given.count("SELECT count(DISTINCT slice) FROM splits").await;
    assert!(slices > 2, "{slices}");
    // By upstream all pairs have the splits they had: the stage runs and commits no slice.
    let versions = || async {
        let warehouse = given.open().warehouse;
        let version = |name: &'static str| {
            let warehouse = warehouse.clone();
            async move { warehouse.table(name).await.unwrap().unwrap().version() }
        };
        (version("splits").await, version("samples").await, version("split_groups").await)
    };
    let (splits, samples, groups) = versions().await;
    given.configure(&data.path().display().to_string(), "[split]\nby = \"upstream\"\n[limits]\nslice_mib = 1");
    let outcome = given.run().await;
    assert_eq!(stages(&outcome), ["splits"]);
    assert_eq!(versions().await, (splits, samples, groups + 1));
}
