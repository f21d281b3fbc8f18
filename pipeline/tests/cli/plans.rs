//! What `plan` says beforehand, and that a run does exactly that.

use insta::assert_snapshot;

use crate::project::{Project, filters};

#[test]
fn an_empty_warehouse_needs_everything() {
    let project = Project::new();
    assert_snapshot!(project.transcript(&["plan"]), @"
    exit 0
    --- stdout
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────
     stage               outlook    stale   slices   why
    ═════════════════════════════════════════════════════════════════════════════════════════════════════════
     ingest              will run       1        1   it never ran
     findings            fresh          0        0
     code_keys           may run        0        0   if ingest changes what it reads
     splits              will run       1        1   it never ran
     duplicates          will run       1        1   it never ran
     samples             may run        0        0   if ingest or splits changes what it reads
     audit               will run       1        1   it never ran
     baseline_verdicts   will run       1        1   it never ran
     label_rejects       may run        0        0   if ingest or code_keys or samples changes what it reads
     split_conflicts     will run       1        1   it never ran
     step_keys           may run        0        0   if samples changes what it reads
     label_conflicts     will run       1        1   it never ran
     step_sums           may run        0        0   if samples changes what it reads
     tokenizer           will run       1        1   it never ran
     train_shards        may run        0        0   if samples or tokenizer changes what it reads
     length_shortcut     will run       1        1   it never ran
     sample_sums         may run        0        0   if samples or train_shards changes what it reads
     shard_rejects       may run        0        0   if samples or train_shards changes what it reads
     train               will run       1        1   it never ran
     score               may run        0        0   if train_shards or train changes what it reads
     verdicts            may run        0        0   if samples or score changes what it reads
     metrics             will run       1        1   it never ran
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    --- stderr
    note: [mix] leaves nothing out of training; shares come after the first run
    ");
}

#[test]
fn a_changed_source_is_named_and_a_second_run_has_nothing_to_do() {
    let _filters = filters();
    let project = Project::new();
    assert!(project.output(&["run"]).status.success());
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 0
    --- stdout
    --- stderr
    warning: check identical_pairs: 1 row (The versions of every pair differ in code)
    warning: check reject_rate: 1 row (At most [checks.limits] reject_share of a dataset's raw records are rejects)
    nothing to do: everything is fresh
    release 1 stays in force
    ");
    project.replace("data/val/cwe-089.jsonl", "cursor.fetchall()", "cursor.fetchone()");
    assert_snapshot!(project.transcript(&["plan", "--format", "csv"]), @"
    exit 0
    --- stdout
    stage,outlook,stale,slices,why
    ingest,will run,1,1,source [project]/data/val/cwe-089.jsonl changed
    findings,fresh,0,0,
    code_keys,may run,0,1,if ingest changes what it reads
    splits,may run,0,1,if ingest or code_keys changes what it reads
    duplicates,may run,0,1,if ingest or code_keys or splits changes what it reads
    samples,may run,0,1,if ingest or splits changes what it reads
    audit,may run,0,1,if splits or samples changes what it reads
    baseline_verdicts,may run,0,1,if samples changes what it reads
    label_rejects,may run,0,1,if ingest or code_keys or samples changes what it reads
    split_conflicts,may run,0,1,if ingest or code_keys or splits changes what it reads
    step_keys,may run,0,1,if samples changes what it reads
    label_conflicts,may run,0,1,if code_keys or splits or step_keys changes what it reads
    step_sums,may run,0,1,if samples changes what it reads
    tokenizer,may run,0,1,if samples changes what it reads
    train_shards,may run,0,1,if samples or tokenizer changes what it reads
    length_shortcut,may run,0,1,if samples or train_shards changes what it reads
    sample_sums,may run,0,1,if samples or train_shards changes what it reads
    shard_rejects,may run,0,1,if samples or train_shards changes what it reads
    train,may run,0,1,if tokenizer or train_shards changes what it reads
    score,may run,0,1,if train_shards or train changes what it reads
    verdicts,may run,0,1,if samples or score changes what it reads
    metrics,may run,0,1,if samples or audit or baseline_verdicts or verdicts changes what it reads
    --- stderr
    ");
    project.replace("data/val/cwe-089.jsonl", "cursor.fetchone()", "cursor.fetchall()");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 0
    --- stdout
    --- stderr
    warning: check identical_pairs: 1 row (The versions of every pair differ in code)
    warning: check reject_rate: 1 row (At most [checks.limits] reject_share of a dataset's raw records are rejects)
    nothing to do: everything is fresh
    release 1 stays in force
    ");
}

#[test]
fn a_changed_parameter_is_named_and_reruns_what_depends_on_it() {
    let _filters = filters();
    let project = Project::published();
    project.write(
        "secprm.toml",
        &format!("{}\n[score]\ntau = 0.2\n", std::fs::read_to_string(project.path("secprm.toml")).unwrap()),
    );
    assert_snapshot!(project.transcript(&["plan"]), @"
    exit 0
    --- stdout
    ───────────────────────────────────────────────────────────────────────────────────
     stage               outlook    stale   slices   why
    ═══════════════════════════════════════════════════════════════════════════════════
     ingest              fresh          0        1
     findings            fresh          0        0
     code_keys           fresh          0        1
     splits              fresh          0        1
     duplicates          fresh          0        1
     samples             fresh          0        1
     audit               fresh          0        1
     baseline_verdicts   fresh          0        1
     label_rejects       fresh          0        1
     split_conflicts     fresh          0        1
     step_keys           fresh          0        1
     label_conflicts     fresh          0        1
     step_sums           fresh          0        1
     tokenizer           fresh          0        1
     train_shards        fresh          0        1
     length_shortcut     fresh          0        1
     sample_sums         fresh          0        1
     shard_rejects       fresh          0        1
     train               fresh          0        1
     score               will run       1        1   [score] tau changed
     verdicts            will run       1        1   parameter tau changed
     metrics             may run        0        1   if verdicts changes what it reads
    ───────────────────────────────────────────────────────────────────────────────────
    ───────────────────────────────────────────────────────────────────────────────────
     dataset   subset   samples   steps   tokens   repeats   steps %   tokens %   note
    ═══════════════════════════════════════════════════════════════════════════════════
     sven      paired         8       8      812         1       100        100
    ───────────────────────────────────────────────────────────────────────────────────
    --- stderr

    an epoch of training as [mix] is now, by the shards that are there:
    ");
    assert!(project.output(&["run"]).status.success());
    let last = "(SELECT max(run_id) FROM runs)";
    let ran = project.query(&format!("SELECT stage FROM stage_runs WHERE run_id = {last} ORDER BY finished_at"));
    assert_eq!(ran, "stage\nscore\nverdicts\nmetrics\n");
}

#[test]
fn a_table_of_the_users_own_joins_the_dag() {
    let _filters = filters();
    let project = Project::published();
    project.write(
        "sql/tables/languages.sql",
        "--! description = \"Pairs a language\"\nSELECT language, count(*) AS pairs FROM pairs GROUP BY language\n",
    );
    assert_snapshot!(project.transcript(&["plan", "--select", "+languages"]), @"
    exit 0
    --- stdout
    ──────────────────────────────────────────────────────────────────
     stage               outlook        stale   slices   why
    ══════════════════════════════════════════════════════════════════
     ingest              fresh              0        1
     findings            not selected       0        0
     code_keys           fresh              0        1
     splits              fresh              0        1
     duplicates          not selected       0        1
     languages           will run           1        1   it never ran
     samples             not selected       0        1
     audit               not selected       0        1
     baseline_verdicts   not selected       0        1
     label_rejects       not selected       0        1
     split_conflicts     not selected       0        1
     step_keys           not selected       0        1
     label_conflicts     not selected       0        1
     step_sums           not selected       0        1
     tokenizer           not selected       0        1
     train_shards        not selected       0        1
     length_shortcut     not selected       0        1
     sample_sums         not selected       0        1
     shard_rejects       not selected       0        1
     train               not selected       0        1
     score               not selected       0        1
     verdicts            not selected       0        1
     metrics             not selected       0        1
    ──────────────────────────────────────────────────────────────────
    ───────────────────────────────────────────────────────────────────────────────────
     dataset   subset   samples   steps   tokens   repeats   steps %   tokens %   note
    ═══════════════════════════════════════════════════════════════════════════════════
     sven      paired         8       8      812         1       100        100
    ───────────────────────────────────────────────────────────────────────────────────
    --- stderr

    an epoch of training as [mix] is now, by the shards that are there:
    ");
    assert!(project.output(&["run"]).status.success());
    assert_eq!(
        project.query("SELECT language, pairs FROM languages ORDER BY language"),
        "language,pairs\nc,6\npython,1\n"
    );
    project.replace("sql/tables/languages.sql", "count(*)", "2 * count(*)");
    assert_snapshot!(project.transcript(&["plan", "--format", "csv", "--select", "languages"]), @"
    exit 0
    --- stdout
    stage,outlook,stale,slices,why
    ingest,not selected,0,1,
    findings,not selected,0,0,
    code_keys,not selected,0,1,
    splits,not selected,0,1,
    duplicates,not selected,0,1,
    languages,will run,1,1,sql/tables/languages.sql changed
    samples,not selected,0,1,
    audit,not selected,0,1,
    baseline_verdicts,not selected,0,1,
    label_rejects,not selected,0,1,
    split_conflicts,not selected,0,1,
    step_keys,not selected,0,1,
    label_conflicts,not selected,0,1,
    step_sums,not selected,0,1,
    tokenizer,not selected,0,1,
    train_shards,not selected,0,1,
    length_shortcut,not selected,0,1,
    sample_sums,not selected,0,1,
    shard_rejects,not selected,0,1,
    train,not selected,0,1,
    score,not selected,0,1,
    verdicts,not selected,0,1,
    metrics,not selected,0,1,
    --- stderr
    ");
}
