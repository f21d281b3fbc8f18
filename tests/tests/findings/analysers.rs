//! The real analysers over an exported tree; each test is skipped where its analyser is not installed.

use std::process::{Command, Stdio};

use crate::project::{Project, record};

/// Rules of our own for Semgrep.
const RULES: &str = "rules:
  - id: shell-command
    languages: [python]
    severity: ERROR
    message: A shell runs this text
    pattern: os.system(...)
";

fn records() -> Vec<String> {
    let get = |size: &str| {
        format!(
            "int get(void) {{\n    int values[{size}] = {{0}};\n    int last = 4;\n\n    values[last] = 1;\n\n    return values[0];\n}}\n"
        )
    };
    let run =
        |call: &str| format!("import os\n\n\ndef list_folder(name):\n    command = \"ls \" + name\n\n    {call}\n");
    vec![
        record("get", &get("4"), &get("5"), "src/get.c"),
        record("list_folder", &run("os.system(command)"), &run("os.listdir(name)"), "app/folders.py"),
    ]
}

/// An analyser that is installed; with none the test has nothing to say.
fn analyser(name: &str) -> Option<Command> {
    let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {name} is not installed; `pip install {name}` brings it");
        return None;
    }
    Some(Command::new(name))
}

/// Exports the pairs, lets the analyser write `findings/<name>.sarif` about them, and reads that.
async fn analysed(name: &str, arguments: impl Fn(&str) -> Vec<String>) -> Option<Project> {
    let mut command = analyser(name)?;
    let project = Project::new(&records());
    project.run().await;
    assert_eq!(project.export_code().await.pairs, 2);
    project.write("rules.yaml", RULES);
    std::fs::create_dir(project.path("findings")).unwrap();
    let output = command
        .args(arguments(&format!("findings/{name}.sarif")))
        .current_dir(project.path(""))
        .env("HOME", project.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    project.configure("[[analysis]]\nurl = \"findings\"\n");
    project.run().await;
    Some(project)
}

/// What the steps with a finding say: rule, level, label, its sources, and text.
async fn found(project: &Project) -> Vec<String> {
    let query = "SELECT concat_ws(' | ', t.tool, t.rule_id, t.level, s.label, s.label_source, trim(s.text)) FROM step_findings AS t \
                 INNER JOIN steps AS s ON s.sample_id = t.sample_id AND s.step_index = t.step_index";
    project.texts(query).await.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cppcheck_finds_reaches_the_step() {
    let arguments = |out: &str| {
        let output = format!("--output-file={out}");
        ["-q", "--enable=warning", "--output-format=sarif", &output, "code"].map(str::to_owned).to_vec()
    };
    let Some(project) = analysed("cppcheck", arguments).await else { return };
    let found = found(&project).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("Cppcheck | arrayIndexOutOfBounds | error | 0 | analyzer | values[last] = 1;"),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_semgrep_finds_reaches_the_step() {
    let arguments = |out: &str| {
        let words = "scan -q --metrics=off --disable-version-check --no-git-ignore --max-target-bytes 0 --config rules.yaml --sarif --output";
        words.split(' ').chain([out, "code"]).map(str::to_owned).collect()
    };
    let Some(project) = analysed("semgrep", arguments).await else { return };
    let found = found(&project).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("Semgrep OSS | shell-command | error | 0 | diff+analyzer | os.system(command)"),
        "{found:?}"
    );
}
