//! The shortcut audit through the whole pipeline: a label mode that gives labels away is not published.

use std::path::Path;

use secprm::error::Kind;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};

use super::project::{NO_TRAINING, TestProject, real_data};

/// A record of SVEN's layout whose fix inserts a line between others: in mode `paper` that leaves an empty step in the vulnerable
/// version, and in mode `natural` nothing.
fn record(number: usize) -> String {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let chunks = random.usize(3..7);
    let changed = random.usize(0..chunks);
    let mut versions = [format!("int f{number}(int a) {{\n"), format!("int f{number}(int a) {{\n")];
    for chunk in 0..chunks {
        let lines = random.usize(2..4);
        for line in 0..lines {
            let text = format!("    a += table_{number}[{chunk}] * {line}{};\n", number * 13 % 89);
            versions[0].push_str(&text);
            versions[1].push_str(&text);
            if chunk == changed && line == 0 {
                versions[1].push_str("    if (a < 0) { return 0; }\n");
            }
        }
        versions.iter_mut().for_each(|version| version.push('\n'));
    }
    versions.iter_mut().for_each(|version| version.push_str("    use(a);\n    return a;\n}\n"));
    let [before, after] = versions;
    serde_json::json!({
        "func_name": format!("f{number}"), "func_src_before": before, "func_src_after": after,
        "commit_link": format!("github.com/o/r/commit/{number:040x}"), "file_name": "f.c", "vul_type": "cwe-125",
    })
    .to_string()
}

fn write(folder: &Path, name: &str, numbers: std::ops::Range<usize>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, numbers.map(record).collect::<Vec<_>>().join("\n") + "\n").unwrap();
}

fn configure(given: &TestProject, data: &str, trained: &str, audit: &str) {
    let sections = format!(
        "[label]\nmodes = [\"natural\", \"paper\"]\n[split]\nby = \"upstream\"\n{NO_TRAINING}label_mode = \"{trained}\"\n[audit]\n{audit}"
    );
    given.configure(&[("sven", data)], &sections);
}

async fn failure_of_a_run(given: &TestProject) -> Option<(Kind, String)> {
    let (world, dag) = given.open().world(Progress::silent()).await.unwrap();
    let failure = run(world, dag, &RunOptions::default()).await.err()?;
    Some((failure.kind(), failure.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_mode_with_a_shortcut_is_not_published() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "train/cwe-125.jsonl", 0..80);
    write(data.path(), "val/cwe-125.jsonl", 80..120);
    let data = data.path().display().to_string();
    let given = TestProject::new(&[], "");
    configure(&given, &data, "natural", "");
    assert_eq!(failure_of_a_run(&given).await, None);
    let found = "SELECT count(*) FROM metrics WHERE model_id = 'audit:empty_step' AND label_mode = 'paper' AND split = 'train' \
        AND metric = 'both_right' AND value = 1.0 AND n = 80 AND coverage = 1.0";
    assert_eq!(given.count(found).await, 1);
    configure(&given, &data, "paper", "");
    let (kind, message) = failure_of_a_run(&given).await.unwrap();
    assert_eq!(kind, Kind::Checks);
    assert!(message.contains("shortcut_excess"), "{message}");
    assert_eq!(
        given.texts("SELECT DISTINCT label_mode FROM baseline_verdicts").await,
        ["natural"],
        "the release stays"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_of_fewer_pairs_than_there_are_says_which_share_it_speaks_for() {
    let data = tempfile::tempdir().unwrap();
    write(data.path(), "train/cwe-125.jsonl", 0..80);
    write(data.path(), "val/cwe-125.jsonl", 80..120);
    let data = data.path().display().to_string();
    let given = TestProject::new(&[], "");
    let of_train = "SELECT count(*) FROM audit_metrics WHERE model_id = 'audit:empty_step' AND split = 'train' AND label_mode = 'natural' \
        AND task = 'pair' AND n = 30 AND coverage = 0.375";
    configure(&given, &data, "natural", "max_pairs = 30\n");
    given.run_selected(&[]).await;
    assert_eq!(given.count(of_train).await, 2);
    configure(&given, &data, "natural", "max_pairs = 0\n");
    given.run_selected(&[]).await;
    assert_eq!(given.count("SELECT count(*) FROM audit_metrics").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sven_has_a_shortcut_in_mode_paper_and_none_in_mode_natural() {
    let Some(sven) = real_data("sven") else { return };
    let given = TestProject::new(&[], "");
    configure(&given, &sven, "natural", "");
    assert_eq!(failure_of_a_run(&given).await, None);
    let holds =
        async |condition: &str| given.count(&format!("SELECT count(*) FROM metrics WHERE {condition}")).await == 1;
    // 182 of 720 pairs, and none.
    let rule = "model_id = 'audit:empty_step' AND split = 'train' AND metric = 'both_right'";
    assert!(holds(&format!("{rule} AND label_mode = 'paper' AND round(value * n) = 182 AND n = 720")).await);
    assert!(holds(&format!("{rule} AND label_mode = 'natural' AND value = 0 AND n = 715")).await);
    let lengths = "model_id = 'audit:step_lengths' AND split = 'test' AND task = 'step'";
    assert!(holds(&format!("{lengths} AND label_mode = 'paper' AND metric = 'f1' AND value > 0.41")).await);
    let excess = format!("{lengths} AND metric = 'auroc_excess_over_length'");
    assert!(holds(&format!("{excess} AND label_mode = 'paper' AND ci_low > 0.3")).await);
    assert!(holds(&format!("{excess} AND label_mode = 'natural' AND ci_low < 0 AND ci_high < 0.05")).await);
    configure(&given, &sven, "paper", "");
    let (_, message) = failure_of_a_run(&given).await.unwrap();
    assert!(message.contains("shortcut_excess"), "{message}");
}
