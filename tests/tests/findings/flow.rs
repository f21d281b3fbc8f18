//! From findings to tables: what is matched, what is a reject, and what a change computes again.

use std::collections::BTreeSet;

use crate::project::{Project, files_below, record};

const ANALYSIS: &str = "[[analysis]]\nurl = \"findings\"\n";

/// Pairs large enough for several slices of one MiB.
fn records() -> Vec<String> {
    let padding = "// a line that is there to be long, and says nothing of what the code does\n".repeat(400);
    let of = |number: usize| {
        let version =
            |check: &str| format!("int get_{number}(int *a, int i) {{\n{padding}\n{check}    return a[i];\n}}\n");
        record(
            &format!("get_{number}"),
            &version(""),
            &version("    if (i < 0)\n        return 0;\n\n"),
            &format!("src/get_{number}.c"),
        )
    };
    (0..24).map(of).collect()
}

fn result(uri: &str, line: usize, rule: &str) -> serde_json::Value {
    serde_json::json!({
        "ruleId": rule, "message": {"text": "a place"}, "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": {"startLine": line}}}],
    })
}

fn sarif(results: &[serde_json::Value]) -> String {
    serde_json::json!({"version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "CodeQL", "semanticVersion": "2.19.0", "rules": [
            {"id": "bounds", "defaultConfiguration": {"level": "error"}}]}},
        "originalUriBaseIds": {"%SRCROOT%": {"uri": "file:///elsewhere/my%20code/"}}, "results": results,
    }]})
    .to_string()
}

/// The exported files by the slice of their pair.
async fn uris(project: &Project) -> [Vec<String>; 2] {
    let code = project.path("code");
    let uris = files_below(&code).into_iter().map(|file| file.strip_prefix(&code).unwrap().display().to_string());
    let second = project.texts("SELECT pair_id FROM base.pairs WHERE slice = 1").await;
    uris.partition::<Vec<_>, _>(|uri| !second.iter().any(|pair| uri.contains(pair.as_str()))).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_reach_their_steps_and_a_change_reruns_their_slice_alone() {
    let project = Project::new(&records());
    assert!(!project.run().await.contains(&"findings".to_owned()), "without an analysis there is nothing to read");
    assert_eq!(project.count("SELECT count(*) FROM findings").await, 0);
    assert_eq!(project.export_code().await.files, 24);
    let [first, second] = uris(&project).await;
    assert!(!first.is_empty() && !second.is_empty(), "both slices have pairs");

    let known = [result(&first[0], 403, "bounds"), result("src/other.c", 1, "bounds")];
    project.write("findings/codeql.sarif", &sarif(&known));
    project.configure(ANALYSIS);
    assert_eq!(project.run().await, ["findings", "samples"]);
    let row = "SELECT concat_ws(' ', f.pair_id, file_index, start_line, tool, tool_version, rule_id, level, source_file) FROM findings AS f";
    let pair = first[0].split('/').nth(1).unwrap();
    assert_eq!(
        project.texts(row).await,
        BTreeSet::from([format!("{pair} 0 403 CodeQL 2.19.0 bounds error codeql.sarif")])
    );
    let step = "SELECT concat_ws(' ', t.rule_id, s.label, s.label_source, s.text) FROM step_findings AS t INNER JOIN steps AS s \
                ON s.sample_id = t.sample_id AND s.step_index = t.step_index";
    let steps = project.texts(step).await;
    let the_step = steps.first().unwrap();
    assert!(steps.len() == 1 && the_step.contains("return a[i];"), "{steps:?}");
    assert!(the_step.starts_with("bounds 0 ") && the_step.contains("analyzer"), "{steps:?}");
    let reject = "SELECT concat_ws(' ', stage, source_file, source_row, reason) FROM rejects WHERE stage = 'findings'";
    assert_eq!(
        project.texts(reject).await,
        BTreeSet::from(["findings codeql.sarif 1 finding_without_pair".to_owned()])
    );
    assert!(project.run().await.is_empty(), "a second run executes nothing");
    project.write("findings/codeql.sarif", &std::fs::read_to_string(project.path("findings/codeql.sarif")).unwrap());
    assert!(project.run().await.is_empty(), "nor does one after the file was written again as it was");

    let slices = async || project.world().await.head("samples").unwrap().fingerprints().await.unwrap();
    let before = slices().await;
    project.write("findings/codeql.sarif", &sarif(&[known[0].clone(), result(&second[0], 403, "bounds")]));
    assert_eq!(project.run().await, ["findings", "samples"]);
    let changed: Vec<String> =
        slices().await.into_iter().filter(|(key, print)| before.get(key) != Some(print)).map(|(key, _)| key).collect();
    assert_eq!(changed, ["sven/1"], "the other slice has the findings it had");

    project.configure("");
    assert_eq!(project.run().await, ["findings", "samples"]);
    assert_eq!(project.count("SELECT (SELECT count(*) FROM findings) + (SELECT count(*) FROM analyses)").await, 0);
    assert!(project.run().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_result_of_every_file_is_accounted_for() {
    let project = Project::new(&records()[..2]);
    project.run().await;
    project.export_code().await;
    let uri = files_below(&project.path("code"))[0].display().to_string();
    let two_places = {
        let mut two = result(&uri, 2, "bounds");
        let elsewhere = result("nowhere.c", 3, "bounds")["locations"][0].clone();
        two["locations"].as_array_mut().unwrap().push(elsewhere);
        two
    };
    let suppressed = serde_json::json!({"suppressions": [{"kind": "inSource"}], "message": {"text": "x"}});
    project.write("findings/a.sarif", &sarif(&[two_places, suppressed, serde_json::json!({"ruleId": 7})]));
    project.write("findings/deeper/b.sarif.json", &sarif(&[result(&format!("{uri}x"), 2, "bounds")]));
    project.write("findings/notes.txt", "no SARIF");
    project.configure(ANALYSIS);
    project.run().await;
    let accounts = "SELECT concat_ws(' ', source_file, tools, results, accounted, findings, rejects) FROM analyses";
    let expected = ["a.sarif CodeQL 2.19.0 3 3 1 3", "deeper/b.sarif.json CodeQL 2.19.0 1 1 0 1"].map(str::to_owned);
    assert_eq!(project.texts(accounts).await, BTreeSet::from(expected));
    let reasons = "SELECT concat_ws(' ', source_file, source_row, reason) FROM finding_rejects";
    let expected = [
        "a.sarif 0 finding_without_pair",
        "a.sarif 1 not_a_finding",
        "a.sarif 2 invalid_result",
        "deeper/b.sarif.json 0 finding_without_file",
    ];
    assert_eq!(project.texts(reasons).await, BTreeSet::from(expected.map(str::to_owned)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_sarif_ends_the_run_and_changes_nothing() {
    let project = Project::new(&records()[..1]);
    project.run().await;
    project.configure(ANALYSIS);
    let failure = async || {
        let error = project.try_run().await.unwrap_err();
        (error.to_string(), error.kind(), error.remedy().unwrap_or_default().to_owned())
    };
    let (message, _, remedy) = failure().await;
    assert!(message.contains("analysis findings: source `findings` does not exist"), "{message}");
    assert!(remedy.contains("check `url` of this [[analysis]]"), "{remedy}");
    project.write("findings/notes.txt", "");
    assert!(failure().await.0.contains("no file is called *.sarif or *.json (it holds 1)"));
    project.write("findings/a.sarif", &sarif(&[])[..40]);
    let (message, kind, remedy) = failure().await;
    assert!(message.contains("findings/a.sarif is cut off: EOF"), "{message}");
    assert!(remedy.contains("let the analyser write it again"), "{remedy}");
    assert_eq!(kind, secprm::error::Kind::Usage);
    assert!(project.world().await.head("findings").is_none());
}
