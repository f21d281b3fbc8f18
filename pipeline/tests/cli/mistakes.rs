//! Wrong usage: one line that says what is wrong, a remedy, exit code 2, and nothing changed.

use insta::assert_snapshot;

use crate::project::{Project, filters};

#[test]
fn help_lists_the_commands() {
    assert_snapshot!(Project::new().transcript(&["--help"]), @"
    exit 0
    --- stdout
    Raw vulnerability datasets to step-labelled tables, a trained process reward model, scores and
    metrics

    Usage: secprm [OPTIONS] <COMMAND>

    Commands:
      init     Write a commented secprm.toml and the folders for your own SQL
      plan     Say what a run would do, and why; change nothing
      run      Bring everything up to date and publish a release
      status   Show the release in force: per table its version, rows, bytes and age
      runs     List runs, or show one: its stages, checks and failures
      check    Run the data checks alone
      train    Train on the newest shards, alone or as one rank of many
      stats    Show statistics: datasets (the paper's table 11), languages, CWEs, label sources,
               rejects, length, metrics
      diff     Show what changed between two releases: rows and labels, by which rule
      explain  Show why a sample's steps have their labels, from the raw record to the scores
      sql      Answer a query, or open an interactive shell
      export   Write a table or view as plain Parquet, or the pairs' code as files for static analysers
      files    List the live Parquet files of a table
      help     Print this message or the help of the given subcommand(s)

    Options:
          --config <FILE>
              The configuration; without one, and without a secprm.toml here, the embedded samples are
              used

              [env: SECPRM_CONFIG=]

          --log-format <LOG_FORMAT>
              How progress is written to stderr

              Possible values:
              - text: For people
              - json: One JSON object a line

              [env: SECPRM_LOG_FORMAT=]
              [default: text]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    --- stderr
    ");
}

#[test]
fn a_missing_configuration_is_named() {
    assert_snapshot!(Project::new().transcript(&["--config", "nowhere.toml", "plan"]), @"
    exit 2
    --- stdout
    --- stderr
    error: cannot read the configuration nowhere.toml: No such file or directory (os error 2)
    hint: check --config, or write one with `secprm init`
    ");
}

#[test]
fn malformed_toml_is_placed() {
    let project = Project::new();
    project.replace("secprm.toml", "url = \"data\"", "url = \"data");
    assert_snapshot!(project.transcript(&["run"]), @r#"
    exit 2
    --- stdout
    --- stderr
    error: secprm.toml, line 6: invalid basic string, expected `"`
    hint: `secprm init` writes a working configuration to start from
    "#);
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let project = Project::new();
    project.replace("secprm.toml", "vocab_size", "vocab_sise");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    error: secprm.toml, line 9: unknown field `vocab_sise`, expected one of `path`, `vocab_size`, `max_tokens`, `prompt`
    hint: did you mean `vocab_size`?
    ");
}

#[test]
fn an_unknown_dataset_names_the_nearest_one() {
    let project = Project::new();
    project.replace("secprm.toml", "\"sven\"", "\"svem\"");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    error: secprm.toml, line 5: unknown variant `svem`, expected one of `sven`, `primevul`, `reposvul`, `precisebugs`, `bigvul`
    hint: did you mean `sven`?
    ");
}

#[test]
fn a_source_that_does_not_exist_is_named() {
    let project = Project::new();
    project.replace("secprm.toml", "\"data\"", "\"dada\"");
    assert_snapshot!(project.transcript(&["plan"]), @"
    exit 2
    --- stdout
    --- stderr
    error: source dada of dataset sven: source `dada` does not exist ([project]/dada)
    hint: check `url` of this [[source]]; a path is relative to the configuration file
    ");
}

#[test]
fn a_source_without_files_of_its_dataset_says_what_was_looked_for() {
    let project = Project::new();
    project.write("notes/readme.txt", "no data here");
    project.replace("secprm.toml", "\"data\"", "\"notes\"");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    ✗ ingest             source notes of dataset sven: no file is one of {train,val}/cwe-*.jsonl (it holds 1)
    error: stage ingest: source notes of dataset sven: no file is one of {train,val}/cwe-*.jsonl (it holds 1)
    hint: check `dataset` and `url` of this [[source]]
    ");
}

#[test]
fn a_file_of_another_dataset_stops_the_run_and_the_release_stays() {
    let _filters = filters();
    let project = Project::published();
    let before = project.releases();
    project.write(
        "other/primevul_train.jsonl",
        "{\"idx\": 1, \"func\": \"int f;\", \"target\": 1, \"commit_id\": \"ab\"}\n",
    );
    project.replace("secprm.toml", "\"data\"", "\"other\"");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    ✗ ingest             primevul_train.jsonl is not a SVEN file: no record has func_src_before or func_src_after
    error: stage ingest: primevul_train.jsonl is not a SVEN file: no record has func_src_before or func_src_after
    hint: check `dataset` and `url` of this [[source]]; SVEN is JSON lines, one pair a line
    ");
    assert_eq!(project.releases(), before);
}

#[test]
fn an_unknown_stage_names_the_nearest_one() {
    let project = Project::new();
    assert_snapshot!(project.transcript(&["run", "--select", "sampels+"]), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no stage or table sampels
    hint: did you mean samples? `secprm plan` lists the stages
    ");
}

#[test]
fn an_empty_selection_is_an_error() {
    let project = Project::new();
    assert_snapshot!(project.transcript(&["run", "--select", "ingest", "--exclude", "ingest"]), @"
    exit 2
    --- stdout
    --- stderr
    error: the selection is empty
    hint: `secprm plan` lists the stages
    ");
}

#[test]
fn a_severity_for_no_check_names_the_nearest_one_before_anything_runs() {
    let project = Project::new();
    project.write(
        "secprm.toml",
        &format!(
            "{}\n[checks.severity]\nrepeated_cod = \"off\"\n",
            std::fs::read_to_string(project.path("secprm.toml")).unwrap()
        ),
    );
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    error: [checks.severity] names repeated_cod, which is no check
    hint: did you mean repeated_code? `secprm check` lists the checks
    ");
}

#[test]
fn a_check_that_reads_no_table_is_found_before_anything_runs() {
    let project = Project::new();
    project.write("sql/checks/own.sql", "--! description = \"Mistyped\"\nSELECT * FROM pears\n");
    assert_snapshot!(project.transcript(&["run"]), @"
    exit 2
    --- stdout
    --- stderr
    error: sql/checks/own.sql reads pears, which is no table or view
    hint: did you mean pairs?
    ");
}

#[test]
fn a_check_that_names_an_unknown_column_is_found_before_anything_runs() {
    let project = Project::new();
    project.write("sql/checks/own.sql", "--! description = \"Mistyped\"\nSELECT pear_id FROM pairs\n");
    let output = project.output(&["run"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.starts_with("error: sql/checks/own.sql: ") && talk.contains("pear_id"), "{talk}");
    assert!(!project.path("warehouse/pairs").exists());
}

#[test]
fn a_view_that_cannot_be_planned_fails_those_who_name_it_and_no_one_else() {
    let project = Project::published();
    project.write("sql/views/own.sql", "--! description = \"Mistyped\"\nSELECT pear_id FROM pairs\n");
    project.write("sql/views/over.sql", "--! description = \"Over a mistyped one\"\nSELECT * FROM own\n");
    assert_eq!(project.query("SELECT 1 AS one"), "one\n1\n");
    assert!(!project.query("SHOW TABLES").contains(",own,"));
    for name in ["own", "over"] {
        let output = project.output(&["sql", "-c", &format!("SELECT * FROM {name}")]);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{talk}");
        assert!(talk.contains("sql/views/own.sql: ") && talk.contains("pear_id"), "{talk}");
    }
    let output = project.output(&["plan"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_table_that_is_gone_fails_those_who_name_it_and_no_one_else() {
    let project = Project::published();
    std::fs::remove_dir_all(project.path("warehouse/verdicts")).unwrap();
    for query in ["SELECT * FROM verdicts", "WITH v AS (SELECT * FROM base.verdicts) SELECT count(*) FROM v"] {
        let transcript = project.transcript(&["sql", "-c", query]);
        assert!(transcript.starts_with("exit 1\n"), "{transcript}");
        assert!(
            transcript.contains("error: the release's table verdicts at version 0 cannot be opened: "),
            "{transcript}"
        );
    }
    assert_eq!(project.query("SELECT count(*) > 0 AS some FROM pairs"), "some\ntrue\n");
    assert!(!project.query("SELECT table_name FROM information_schema.tables").contains("\nverdicts\n"));
    assert_eq!(project.query("SELECT count_tokens('int a;') > 0 AS some"), "some\ntrue\n");
}

#[test]
fn a_relation_without_a_header_says_what_a_header_is() {
    let project = Project::new();
    project.write("sql/views/own.sql", "SELECT 1 AS one\n");
    assert_snapshot!(project.transcript(&["plan"]), @"
    exit 2
    --- stdout
    --- stderr
    error: sql/views/own.sql: header: missing field `description`
    hint: the header's lines start with `--!`; keys: description, scope, severity, [columns]
    ");
}

#[test]
fn two_tables_that_read_each_other_are_named() {
    let project = Project::new();
    project.write("sql/tables/egg.sql", "--! description = \"From hens\"\nSELECT * FROM hen\n");
    project.write("sql/tables/hen.sql", "--! description = \"From eggs\"\nSELECT * FROM egg\n");
    assert_snapshot!(project.transcript(&["plan"]), @"
    exit 2
    --- stdout
    --- stderr
    error: the stages egg, hen wait for each other
    hint: a table must not be read, directly or not, by what it is made of
    ");
}

#[test]
fn init_does_not_overwrite() {
    let project = Project::new();
    assert_snapshot!(project.transcript(&["init", "fresh"]), @"
    exit 0
    --- stdout
    --- stderr
    wrote fresh/secprm.toml; next: `cd fresh`, `secprm plan`, then `secprm run`
    ");
    assert_snapshot!(project.transcript(&["init", "fresh"]), @"
    exit 2
    --- stdout
    --- stderr
    error: fresh/secprm.toml exists
    hint: edit it, or name another folder
    ");
    assert!(project.path("fresh/sql/tables").is_dir());
    assert!(project.output(&["--config", "fresh/secprm.toml", "plan"]).status.success());
}
