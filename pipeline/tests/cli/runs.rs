//! Runs: what they publish, and what stops them.

use std::fs::File;

use insta::assert_snapshot;

use crate::project::{Project, filters};

/// Progress lines, whose order is that of the machine's mood.
fn is_progress(line: &&str) -> bool {
    line.starts_with('\u{2713}') || line.starts_with("  train ") || line.starts_with("  score ")
}

#[test]
fn a_first_run_publishes_and_says_what_to_try_next() {
    let _filters = filters();
    let project = Project::new();
    let output = project.output(&["run"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{talk}");
    let mut progress: Vec<&str> =
        talk.lines().filter(is_progress).filter(|line| !line.starts_with("  score ")).collect();
    progress.sort_unstable();
    assert_snapshot!(progress.join("\n"), @"
      train              step 1 of 2, head: loss [loss]
      train              step 2 of 2, head: loss [loss]
    ✓ audit              48 rows, [seconds]
    ✓ baseline_verdicts  36 rows, [seconds]
    ✓ code_keys          7 rows, [seconds]
    ✓ duplicates         0 rows, [seconds]
    ✓ ingest             17 rows, [seconds]
    ✓ label_conflicts    0 rows, [seconds]
    ✓ label_rejects      1 row, [seconds]
    ✓ length_shortcut    12 rows, [seconds]
    ✓ metrics            88 rows, [seconds]
    ✓ sample_sums        6 rows, [seconds]
    ✓ samples            12 rows, [seconds]
    ✓ score              12 rows, [seconds]
    ✓ shard_rejects      0 rows, [seconds]
    ✓ split_conflicts    1 row, [seconds]
    ✓ splits             14 rows, [seconds]
    ✓ step_keys          12 rows, [seconds]
    ✓ step_sums          5 rows, [seconds]
    ✓ tokenizer          1 row, [seconds]
    ✓ train              3 rows, [seconds]
    ✓ train_shards       12 rows, [seconds]
    ✓ verdicts           12 rows, [seconds]
    ");
    let rest: Vec<&str> = talk.lines().filter(|line| !is_progress(line)).collect();
    assert_snapshot!(rest.join("\n"), @"
    warning: check identical_pairs: 1 row (The versions of every pair differ in code)
    warning: check reject_rate: 1 row (At most [checks.limits] reject_share of a dataset's raw records are rejects)
    published release 1 to ./warehouse

    held out (positive = vulnerable; AUROC 0.5 is chance):
    the model started from random weights: it shows that the pipeline works, not how good a PRM can be

    next:
      secprm stats                                   the datasets (table 11)
      secprm sql -c 'SELECT * FROM steps LIMIT 5'    any question, in SQL
      secprm sql -c 'SELECT * FROM rejects'          what was left out, and why
      secprm init my-project                         your own data
    ");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        ["always_secure", "always_vulnerable", "length", "model "].iter().all(|judge| table.contains(judge)),
        "{table}"
    );
}

#[test]
fn another_run_in_progress_is_exit_code_4() {
    let _filters = filters();
    let project = Project::published();
    let lock = File::options().write(true).open(project.path("warehouse/.lock")).unwrap();
    lock.lock().unwrap();
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 4
    --- stdout
    --- stderr
    error: another run (process [pid], for [seconds]) is writing to warehouse `file://[project]/warehouse/`; wait for it or stop it
    ");
    assert!(project.output(&["sql", "-c", "SELECT count(*) FROM samples"]).status.success(), "readers need no lock");
    drop(lock);
    assert!(project.output(&["run"]).status.success());
}

#[test]
fn a_failed_check_publishes_nothing() {
    let _filters = filters();
    let project = Project::published();
    let before = project.releases();
    project.write(
        "sql/checks/no_python.sql",
        "--! description = \"No pair is in Python\"\nSELECT pair_id FROM pairs WHERE language = 'python'\n",
    );
    project.write("sql/tables/one.sql", "--! description = \"One\"\nSELECT 1 AS one\n");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 3
    --- stdout
    --- stderr
    ✓ one                1 row, [seconds]
    error: data checks failed, nothing was published: no_python (1 row)
    hint: `secprm sql -c 'SELECT * FROM check_rows'` shows the rows
    ");
    assert_eq!(project.releases(), before);
    assert_snapshot!(project.query("SELECT status, release_id, failure FROM runs ORDER BY run_id DESC LIMIT 1"), @r#"
    status,release_id,failure
    checks_failed,,"data checks failed, nothing was published: no_python (1 row)"
    "#);
    assert_eq!(project.query("SELECT \"row\" FROM check_rows WHERE \"check\" = 'no_python'").lines().count(), 2);
    let check = project.output(&["check"]);
    assert_eq!(check.status.code(), Some(3));
    assert_snapshot!(String::from_utf8(check.stderr).unwrap(), @r#"
    identical_pairs: {"pair_id":"[hash]","dataset":"sven","code_difference":"none"}
    no_python: {"pair_id":"[hash]"}
    reject_rate: {"dataset":"sven","records":8,"rejected":1}
    error: data checks failed: no_python
    hint: the query is sql/checks/<name>.sql: run it with `secprm sql`
    "#);
    // As a warning it is told, and the release is published.
    project.replace("sql/checks/no_python.sql", "\nSELECT", "\n--! severity = \"warn\"\nSELECT");
    let warned = project.output(&["run"]);
    assert!(warned.status.success());
    let talk = String::from_utf8(warned.stderr).unwrap();
    assert!(talk.contains("warning: check no_python: 1 row (No pair is in Python)\n"), "{talk}");
    assert!(talk.contains("published release 2"), "{talk}");
}
