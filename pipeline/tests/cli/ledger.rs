//! Why a label is what it is, and what changed between releases.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, filters};

fn sample(project: &Project, role: &str) -> String {
    let query = format!("SELECT sample_id FROM samples WHERE function_name = 'find' AND role = '{role}'");
    project.query(&query).lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_step_is_explained_from_its_raw_record_to_its_verdict_with_both_versions_side_by_side() {
    let _filters = filters();
    let project = Project::published();
    let id = sample(&project, "vulnerable");
    assert_snapshot!(project.transcript(&["explain", &id[..12], "0"]), @"
    exit 0
    --- stdout
    raw file    val/cwe-089.jsonl, record 1, byte 401
    pair        [hash]  sven, function, python, CWE-89
                owner/repository, commit find, app/db.py, find
    split       test, decided by upstream, its dataset says val
    labels      the versions differ in code, lines aligned by gestalt
    sample      [hash]  vulnerable version, mode natural, rules of version 3, 1 step, 111 characters
    shard       1 window, 158 tokens of tokenizer [hash]
    model       [hash]
    verdict     vulnerable (risk aggregation, R = [score])

    step 0, lines 1-4: label 0 (vulnerable) from diff
      diff (rule 6): replace line 3; line 3 of the fixed version
      scored: p_secure [score], reward [score], prefix reward [score]

            vulnerable                                                             |         fixed
        1   def find(db, name):                                                    #     1   def find(db, name):
        2       cursor = db.cursor()                                               #     2       cursor = db.cursor()
        3 -     cursor.execute('SELECT [-'-] [-+ name)-]                           #     3 +     cursor.execute('SELECT {+?',+} {+(name,))+}
        4       return cursor.fetchall()                                           #     4       return cursor.fetchall()

    # marks the lines of the step
    --- stderr
    ");
    let all = project.transcript(&["explain", &id]);
    assert!(all.contains("\n step  lines       label         from                     p_secure\n    0  1-4         0 vulnerable  diff"), "{all}");
}

#[test]
fn programs_get_a_step_a_row() {
    let project = Project::published();
    let output = project.output(&["explain", &sample(&project, "vulnerable"), "--format", "json"]);
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["reasons"][0]["operation"], "replace");
    assert_eq!(rows[0]["source_row"], 1);
    assert_eq!(rows[0]["label_source"], "diff");
}

#[test]
fn a_sample_that_is_not_there_is_said_to_be_none() {
    let _filters = filters();
    let project = Project::published();
    assert_snapshot!(project.transcript(&["explain", "Zz"]), @"
    exit 2
    --- stdout
    --- stderr
    error: `Zz` is no sample_id
    hint: give at least its first 4 hexadecimal digits; `secprm sql -c 'SELECT sample_id FROM samples LIMIT 5'` shows some
    ");
    assert_snapshot!(project.transcript(&["explain", "00000000000000000000000000000000"]), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no sample [hash]
    hint: `secprm sql -c 'SELECT sample_id FROM samples LIMIT 5'` shows some; --release N asks an earlier release
    ");
    let id = sample(&project, "vulnerable");
    assert_snapshot!(project.transcript(&["explain", &id, "9"]), @"
    exit 2
    --- stdout
    --- stderr
    error: the sample [hash] has no step 9
    hint: its steps are 0 to 0
    ");
    let pair = project.query(&format!("SELECT pair_id FROM samples WHERE sample_id = '{id}'"));
    assert_snapshot!(project.transcript(&["explain", pair.lines().nth(1).unwrap()]), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no sample [hash]
    hint: it is a pair; its samples: [hash] (vulnerable, natural), [hash] (fixed, natural)
    ");
}

#[test]
fn two_releases_differ_in_the_labels_that_a_rule_changed() {
    let _filters = filters();
    let project = Project::published();
    project.replace("secprm.toml", "[tokenizer]", "[label]\nmax_step_lines = 2\n\n[tokenizer]");
    let output = project.output(&["run"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_snapshot!(project.transcript(&["diff", "1", "2", "--format", "csv"]), @"
    exit 0
    --- stdout
    what,dataset,label_mode,change,before,after,n,rules,example
    sample,sven,natural,cut otherwise,,,7,3 to 3,[hash]
    label,sven,natural,changed,no such step,1 fixed,6,none to 3,[hash] 0
    label,sven,natural,changed,no such step,1 unchanged,1,none to 3,[hash] 0
    --- stderr
    ");
    assert_snapshot!(project.transcript(&["diff", "2"]), @"
    exit 0
    --- stdout
    --- stderr
    no row and no label differs between release 2 and release 2
    ");
    assert_snapshot!(project.transcript(&["diff", "2", "1"]), @"
    exit 2
    --- stdout
    --- stderr
    error: release 2 is later than release 1
    hint: name the earlier release first
    ");
    assert_snapshot!(project.transcript(&["diff", "7"]), @"
    exit 2
    --- stdout
    --- stderr
    error: there is no release 7
    hint: `secprm sql -c 'SELECT * FROM releases'` lists them
    ");
}

/// Runs the commands of docs/label-quality.md, section "Asking why", and compares what they print with what stands there.
#[test]
fn the_documentation_shows_what_explain_and_diff_print() {
    let doc = include_str!("../../../docs/label-quality.md");
    let section = doc.split_once("## Asking why").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (language, block) in blocks(section) {
        match language {
            "toml" => {
                let name = block.lines().next().unwrap().trim_start_matches("# ");
                std::fs::write(folder.path().join(name), with_real_data(block)).unwrap();
            }
            _ => commands(block).for_each(|(command, expected)| check(folder.path(), command, &expected)),
        }
    }
}

fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'))
}

fn commands(block: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    block.split("$ ").skip(1).map(|part| {
        let mut lines = part.lines();
        (lines.next().unwrap(), lines.collect())
    })
}

fn real_data() -> std::path::PathBuf {
    match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => folder.into(),
        None => std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    }
}

fn with_real_data(config: &str) -> String {
    config.replace("url = \"data/", &format!("url = \"{}/", real_data().display()))
}

fn check(folder: &std::path::Path, command: &str, expected: &[&str]) {
    let dataset = ["sven", "reposvul"].into_iter().find(|dataset| command.contains(&format!("{dataset}.toml")));
    if let Some(folder) = dataset.map(|dataset| real_data().join(dataset)).filter(|folder| !folder.is_dir()) {
        eprintln!("skipped: {command}: there is no {}", folder.display());
        return;
    }
    let script = format!("secprm() {{ '{}' \"$@\"; }}\n{command}\n", env!("CARGO_BIN_EXE_secprm"));
    let output = std::process::Command::new("bash").arg("-c").arg(script).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    if expected.is_empty() {
        return;
    }
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
    match expected.split_last() {
        Some((&"…", beginning)) => assert_eq!(printed[..beginning.len()], *beginning, "{command}"),
        _ => assert_eq!(printed, expected, "{command}"),
    }
}
