//! What readers get: queries, JSON, files and clean Parquet folders.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, filters};

#[test]
fn a_query_that_cannot_be_answered_says_why() {
    let _filters = filters();
    let project = Project::published();
    let sql = |query| project.transcript(&["sql", "-c", query]);
    assert_snapshot!(sql("SELECT * FROM sampels"), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no table or view sampels
    hint: did you mean samples? `secprm sql -c 'SHOW TABLES'` lists them
    ");
    assert_snapshot!(sql("SELECT * FROM '/etc/passwd'"), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no table or view /etc/passwd
    hint: `secprm sql -c 'SHOW TABLES'` lists them
    ");
    assert_snapshot!(sql("SELECT cew FROM label_rejects"), @"
    exit 2
    --- stdout
    --- stderr
    error: No field named cew. Valid fields are label_rejects.pair_id, label_rejects.label_mode, label_rejects.reason, label_rejects.detail, label_rejects.dataset, label_rejects.slice.
    ");
    assert_snapshot!(sql("SELEC 1"), @"
    exit 2
    --- stdout
    --- stderr
    error: Expected: an SQL statement, found: SELEC at Line: 1, Column: 1
    hint: one SELECT, SHOW or EXPLAIN a statement
    ");
    assert_snapshot!(sql(""), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no query
    hint: secprm sql -c 'SELECT * FROM dataset_stats'
    ");
}

#[test]
fn sql_only_reads() {
    let project = Project::published();
    let before = project.releases();
    let sql = |query| project.transcript(&["sql", "-c", query]);
    assert_snapshot!(sql("CREATE TABLE mine AS SELECT 1 AS one"), @"
    exit 2
    --- stdout
    --- stderr
    error: DDL not supported: CreateMemoryTable
    hint: secprm's SQL only reads; tables are made by .sql files and `secprm run`
    ");
    assert_snapshot!(sql("COPY samples TO 'stolen.parquet'"), @"
    exit 2
    --- stdout
    --- stderr
    error: DML not supported: COPY
    hint: secprm's SQL only reads; tables are made by .sql files and `secprm run`
    ");
    assert_snapshot!(sql("INSERT INTO splits SELECT * FROM splits"), @"
    exit 2
    --- stdout
    --- stderr
    error: DML not supported: Insert Into
    hint: secprm's SQL only reads; tables are made by .sql files and `secprm run`
    ");
    assert_snapshot!(sql("DROP TABLE samples"), @"
    exit 2
    --- stdout
    --- stderr
    error: DDL not supported: DropTable
    hint: secprm's SQL only reads; tables are made by .sql files and `secprm run`
    ");
    assert!(!project.path("stolen.parquet").exists());
    assert_eq!(project.releases(), before);
}

#[test]
fn answers_come_as_a_table_as_csv_and_as_one_json_array() {
    let project = Project::published();
    let query = "SELECT language, cwe, count(*) AS pairs FROM pairs GROUP BY language, cwe ORDER BY language";
    assert_snapshot!(project.transcript(&["sql", "-c", query]), @"
    exit 0
    --- stdout
    ──────────────────────────────
     language   cwe         pairs
    ══════════════════════════════
     c          [CWE-125]       6
     python     [CWE-89]        1
    ──────────────────────────────
    --- stderr
    ");
    assert_snapshot!(project.query(query), @"
    language,cwe,pairs
    c,[CWE-125],6
    python,[CWE-89],1
    ");
    for command in [
        &["sql", "-c", query][..],
        &["plan"],
        &["status"],
        &["runs"],
        &["check"],
        &["stats"],
        &["stats", "--metrics"],
        &["files", "pairs"],
    ] {
        let output = project.output(&[command, &["--format", "json"]].concat());
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(
            rows.as_array().is_some_and(|rows| !rows.is_empty() && rows.iter().all(Value::is_object)),
            "{command:?}"
        );
    }
    let empty = project.output(&["sql", "--format", "json", "-c", "SELECT * FROM shard_rejects"]);
    assert_eq!(String::from_utf8(empty.stdout).unwrap(), "[]\n");
}

#[test]
fn every_record_and_every_pair_is_accounted_for() {
    let project = Project::published();
    assert_snapshot!(project.query("SELECT stage, source_file, source_row, reason, raw FROM rejects ORDER BY stage"), @"
    stage,source_file,source_row,reason,raw
    ingest,train/cwe-125.jsonl,5,invalid_json,{broken
    label,train/cwe-125.jsonl,4,no_code_difference,
    ");
    assert_snapshot!(project.query("SELECT sum(records), sum(pairs), sum(rejects) FROM sources"), @"
    sum(sources.records),sum(sources.pairs),sum(sources.rejects)
    8,7,1
    ");
}

#[test]
fn export_writes_plain_parquet_once() {
    let project = Project::published();
    assert_snapshot!(project.transcript(&["export", "steps", "out"]), @"
    exit 0
    --- stdout
    --- stderr
    wrote 12 rows in 1 file to out
    ");
    assert!(
        project.path("out").read_dir().unwrap().all(|entry| entry
            .unwrap()
            .path()
            .extension()
            .is_some_and(|end| end == "parquet"))
    );
    assert_snapshot!(project.transcript(&["export", "steps", "out"]), @"
    exit 2
    --- stdout
    --- stderr
    error: cannot use target folder `out`: it is not empty; name a new folder or remove it first
    ");
    assert_snapshot!(project.transcript(&["export", "step", "elsewhere"]), @"
    exit 2
    --- stdout
    --- stderr
    error: this release has no table step
    hint: did you mean steps? `secprm status` lists the tables
    ");
}

#[test]
fn export_writes_the_code_of_pairs_as_files() {
    let project = Project::published();
    assert_snapshot!(project.transcript(&["export", "pairs", "code", "--code"]), @"
    exit 0
    --- stdout
    --- stderr
    wrote the vulnerable version of 7 pairs in 7 files to code
    ");
    let pair = project.query("SELECT pair_id FROM pairs WHERE language = 'python'").lines().nth(1).unwrap().to_owned();
    let code = std::fs::read_to_string(project.path(&format!("code/sven/{pair}/db.py"))).unwrap();
    assert!(code.starts_with("def find(db, name):\n"), "{code}");
    assert_snapshot!(project.transcript(&["export", "pairs", "code", "--code"]), @"
    exit 2
    --- stdout
    --- stderr
    error: cannot use target folder `code`: it is not empty; name a new folder or remove it first
    ");
    assert_snapshot!(project.transcript(&["export", "splits", "elsewhere", "--code"]), @"
    exit 2
    --- stdout
    --- stderr
    error: splits has no column file_path, which --code needs
    hint: export `pairs`, or a view of your own that selects some of its rows
    ");
    assert!(!project.path("elsewhere").exists());
}

#[test]
fn files_lists_the_live_files_of_a_table() {
    let _filters = filters();
    let project = Project::published();
    let listed = project.output(&["files", "pairs", "--format", "csv"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    let urls: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(urls.len(), 1, "{listed}");
    assert!(std::path::Path::new(urls[0].trim_start_matches("file://")).is_file(), "{listed}");
    assert_snapshot!(project.transcript(&["files", "steps"]), @"
    exit 2
    --- stdout
    --- stderr
    error: this release has no table steps
    hint: did you mean samples? `secprm status` lists the tables
    ");
}

#[test]
fn before_the_first_release_readers_are_told_so() {
    let project = Project::new();
    assert_snapshot!(project.transcript(&["status"]), @"
    exit 0
    --- stdout
    --- stderr
    nothing is published yet; `secprm run` publishes the first release
    ");
    assert_snapshot!(project.transcript(&["sql", "-c", "SELECT count(*) AS samples FROM samples"]), @"
    exit 0
    --- stdout
    ─────────
     samples
    ═════════
           0
    ─────────
    --- stderr
    note: nothing is published yet, the tables are empty; `secprm run` fills them
    ");
    assert_snapshot!(project.transcript(&["export", "samples", "out"]), @"
    exit 0
    --- stdout
    --- stderr
    note: nothing is published yet, the tables are empty; `secprm run` fills them
    wrote 0 rows in 1 file to out
    ");
    assert_snapshot!(project.transcript(&["sql", "--release", "1", "-c", "SELECT 1"]), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no release 1
    hint: `secprm sql -c 'SELECT * FROM releases'` lists them
    ");
}
