//! SARIF as each analyser writes it, as the standard allows it, and as it must not be.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::finding::{Finding, Level, read_result};
use super::results::{read_results, read_runs};
use crate::error::StageError;

/// CodeQL: rules in the query pack, an extension; files by number and below a base; a path through the code beside the place.
const CODEQL: &str = r#"{
  "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
  "runs": [{
    "tool": {
      "driver": {"name": "CodeQL", "organization": "GitHub", "semanticVersion": "2.19.0", "notifications": [], "rules": []},
      "extensions": [
        {"name": "ours/first", "rules": [{"id": "cpp/other"}]},
        {"name": "ours/second", "semanticVersion": "1.2.3", "rules": [
          {"id": "cpp/any", "defaultConfiguration": {"enabled": true, "level": "note"}},
          {"id": "cpp/bounds", "defaultConfiguration": {"enabled": true, "level": "error"}}]}]
    },
    "invocations": [{"executionSuccessful": true}],
    "artifacts": [
      {"location": {"uri": "sven/aa/other.c", "uriBaseId": "%SRCROOT%", "index": 0}},
      {"location": {"uri": "sven/aa/get.c", "uriBaseId": "%SRCROOT%", "index": 1}}],
    "originalUriBaseIds": {"%SRCROOT%": {"uri": "file:///work/code/"}},
    "results": [
      {"ruleId": "cpp/bounds", "rule": {"id": "cpp/bounds", "index": 1, "toolComponent": {"index": 1}},
       "message": {"text": "This index is not checked."},
       "locations": [{"physicalLocation": {
         "artifactLocation": {"uri": "sven/aa/get.c", "uriBaseId": "%SRCROOT%", "index": 1},
         "region": {"startLine": 4, "startColumn": 5, "endColumn": 14}}}],
       "partialFingerprints": {"primaryLocationLineHash": "1"},
       "codeFlows": [{"threadFlows": [{"locations": [{"location": {"physicalLocation": {
         "artifactLocation": {"uri": "sven/aa/get.c", "index": 1}, "region": {"startLine": 1}}}}]}]}]},
      {"ruleId": "cpp/any", "message": {"text": "A place by number."},
       "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}, "region": {"startLine": 2, "endLine": 4, "endColumn": 1}}}]}],
    "columnKind": "utf16CodeUnits"
  }]
}"#;

/// Semgrep: results before the tool, relative uris, suppressed results among the others.
const SEMGREP: &str = r#"{"version": "2.1.0", "runs": [{
  "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": []}],
  "results": [
    {"fingerprints": {"matchBasedId/v1": "x"}, "locations": [{"physicalLocation": {
       "artifactLocation": {"uri": "code/sven/aa/run.py", "uriBaseId": "%SRCROOT%"},
       "region": {"startLine": 7, "startColumn": 5, "endLine": 8, "endColumn": 9, "snippet": {"text": "os.system("}}}}],
     "message": {"text": "A shell runs this text"}, "properties": {}, "ruleId": "shell"},
    {"locations": [], "message": {"text": "set aside"}, "ruleId": "shell", "suppressions": [{"kind": "inSource"}]}],
  "tool": {"driver": {"name": "Semgrep OSS", "semanticVersion": "1.100.0", "rules": [
    {"id": "shell", "defaultConfiguration": {"level": "error"}}]}}
}]}"#;

/// cppcheck: levels with the results, slashes escaped, the way to a place before it, a result that is of no file, code it cannot read.
const CPPCHECK: &str = r#"{"version": "2.1.0", "runs": [{
  "results": [
    {"level": "warning", "locations": [{"physicalLocation": {
       "artifactLocation": {"uri": "code\/sven\/aa\/get.c"},
       "region": {"startLine": 2, "startColumn": 11, "endLine": 2, "endColumn": 11}}}, {"physicalLocation": {
       "artifactLocation": {"uri": "code\/sven\/aa\/get.c"},
       "region": {"startLine": 4, "startColumn": 11, "endLine": 4, "endColumn": 11}}}],
     "message": {"text": "Array 'a[4]' accessed at index 4."}, "ruleId": "arrayIndex"},
    {"level": "none", "locations": [], "message": {"text": "checked"}, "ruleId": "report"},
    {"level": "error", "locations": [], "message": {"text": "no idea what STDCALL is"}, "ruleId": "unknownMacro"}],
  "tool": {"driver": {"name": "Cppcheck", "semanticVersion": "2.17.0", "rules": [
    {"id": "arrayIndex", "defaultConfiguration": {"level": "error"}}]}}
}]}"#;

fn read(text: &str) -> Result<(String, Vec<Result<Finding, String>>), StageError> {
    let runs = read_runs("a.sarif", &mut text.as_bytes())?;
    let mut found = Vec::new();
    read_results("a.sarif", &mut text.as_bytes(), 10_000, &mut |run, json| {
        read_result(json, &runs[run], &mut |result| {
            found.push(result.map_err(|(reason, why)| format!("{}: {why}", reason.as_str())));
        });
        Ok(())
    })?;
    let tool = |run: &super::sarif::RunContext| format!("{} {}", run.tool, run.tool_version.as_deref().unwrap_or("-"));
    Ok((runs.iter().map(tool).collect::<Vec<_>>().join(", "), found))
}

fn finding(
    rule: &str,
    level: Level,
    message: &str,
    uri: &str,
    start_line: i32,
    end_line: i32,
) -> Result<Finding, String> {
    let (rule_id, message) = (Some(rule.to_owned()), Some(message.to_owned()));
    Ok(Finding { rule_id, level, message, uri: uri.to_owned(), start_line, end_line })
}

/// What a file of one run with these results gives.
fn of_results(results: &str) -> Vec<Result<Finding, String>> {
    let tool =
        r#"{"driver": {"name": "t", "rules": [{"id": "r"}, {"id": "s", "defaultConfiguration": {"level": "note"}}]}}"#;
    read(&format!(r#"{{"version": "2.1.0", "runs": [{{"results": [{results}], "tool": {tool}}}]}}"#)).unwrap().1
}

/// What one result at line 1 of `f` with these members gives.
fn of_members(members: &str) -> Result<Finding, String> {
    let location = r#"{"physicalLocation": {"artifactLocation": {"uri": "f"}, "region": {"startLine": 1}}}"#;
    of_results(&format!(r#"{{"locations": [{location}]{members}}}"#)).remove(0)
}

fn of_region(region: &str) -> Result<(i32, i32), String> {
    let location = format!(r#"{{"physicalLocation": {{"artifactLocation": {{"uri": "f"}}{region}}}}}"#);
    let found = of_results(&format!(r#"{{"locations": [{location}]}}"#)).remove(0);
    found.map(|finding| (finding.start_line, finding.end_line))
}

#[test]
fn codeql_is_read() {
    let (tool, found) = read(CODEQL).unwrap();
    assert_eq!(tool, "CodeQL 2.19.0");
    assert_eq!(
        found,
        [
            finding("cpp/bounds", Level::Error, "This index is not checked.", "file:///work/code/sven/aa/get.c", 4, 4),
            finding("cpp/any", Level::Note, "A place by number.", "file:///work/code/sven/aa/other.c", 2, 3),
        ]
    );
}

#[test]
fn semgrep_is_read() {
    let (tool, found) = read(SEMGREP).unwrap();
    assert_eq!(tool, "Semgrep OSS 1.100.0");
    assert_eq!(found[0], finding("shell", Level::Error, "A shell runs this text", "code/sven/aa/run.py", 7, 8));
    assert_eq!(found[1], Err("not_a_finding: the result is suppressed".to_owned()));
}

#[test]
fn cppcheck_is_read() {
    let (tool, found) = read(CPPCHECK).unwrap();
    assert_eq!(tool, "Cppcheck 2.17.0");
    let message = "Array 'a[4]' accessed at index 4.";
    assert_eq!(found[0], finding("arrayIndex", Level::Warning, message, "code/sven/aa/get.c", 4, 4));
    assert_eq!(found[1], Err("no_line: the result has no location".to_owned()));
    assert_eq!(found[2], Err("code_not_read: no idea what STDCALL is".to_owned()));
    assert_eq!(found.len(), 3);
}

#[test]
fn a_level_is_the_results_own_or_its_rules_or_warning() {
    let level = |members: &str| of_members(members).unwrap().level;
    assert_eq!(level(r#", "ruleId": "s", "level": "error""#), Level::Error);
    assert_eq!(level(r#", "ruleId": "s""#), Level::Note);
    assert_eq!(level(r#", "ruleIndex": 1"#), Level::Note);
    assert_eq!(level(r#", "rule": {"index": 1}"#), Level::Note);
    assert_eq!(level(r#", "ruleId": "r""#), Level::Warning);
    assert_eq!(level(r#", "ruleId": "unknown", "ruleIndex": -1, "level": null"#), Level::Warning);
    assert_eq!(level(r#", "ruleIndex": 99"#), Level::Warning);
    assert_eq!(of_members(r#", "ruleIndex": 1"#).unwrap().rule_id.as_deref(), Some("s"));
    assert_eq!(of_members("").unwrap().rule_id, None);
}

#[test]
fn what_somebody_or_the_analyser_set_aside_is_no_finding() {
    for members in [
        r#", "kind": "pass""#,
        r#", "kind": "notApplicable", "level": "none""#,
        r#", "baselineState": "absent""#,
        r#", "suppressions": [{"kind": "external", "status": "accepted"}]"#,
    ] {
        assert!(of_members(members).unwrap_err().starts_with("not_a_finding: "), "{members}");
    }
    for members in [
        r#", "kind": "fail""#,
        r#", "baselineState": "unchanged""#,
        r#", "suppressions": []"#,
        r#", "suppressions": [{"kind": "external", "status": "rejected"}]"#,
        r#", "suppressions": [{"kind": "external"}, {"kind": "external", "status": "underReview"}]"#,
    ] {
        assert!(of_members(members).is_ok(), "{members}");
    }
}

#[test]
fn a_region_has_lines_or_the_result_is_a_reject() {
    assert_eq!(of_region(r#", "region": {"startLine": 3}"#), Ok((3, 3)));
    assert_eq!(of_region(r#", "region": {"startLine": 3, "endLine": 5}"#), Ok((3, 5)));
    assert_eq!(of_region(r#", "region": {"startLine": 3, "endLine": 5, "endColumn": 1}"#), Ok((3, 4)));
    assert_eq!(of_region(r#", "region": {"startLine": 3, "endLine": 3, "endColumn": 1}"#), Ok((3, 3)));
    for (region, reason) in [
        ("", "no_line: the finding is about a whole file"),
        (r#", "region": {"charOffset": 7}"#, "no_line: a region has no startLine"),
        (r#", "region": {"startLine": 0}"#, "invalid_result: 0 is no line of a region"),
        (r#", "region": {"startLine": 5, "endLine": 4}"#, "invalid_result: 4 is no line of a region"),
        (r#", "region": {"startLine": 1, "endLine": 9999999999}"#, "invalid_result: 9999999999 is no line of a region"),
    ] {
        assert_eq!(of_region(region), Err(reason.to_owned()));
    }
}

#[test]
fn one_odd_result_is_a_reject_and_the_next_is_read() {
    let whole =
        r#"{"locations": [{"physicalLocation": {"artifactLocation": {"uri": "f"}, "region": {"startLine": 1}}}]}"#;
    let two_places = r#"{"locations": [{}, {"physicalLocation": {"artifactLocation": {"index": 3}}}]}"#;
    let found = of_results(&format!(r#"7, {{"ruleId": 5}}, {{"level": "fatal"}}, {two_places}, {whole}"#));
    let reasons: Vec<&str> =
        found.iter().map(|found| found.as_ref().map_or_else(|why| why.as_str(), |_| "finding")).collect();
    assert!(reasons[0].starts_with("invalid_result: invalid type: integer `7`, expected a result"), "{reasons:?}");
    assert!(reasons[1].starts_with("invalid_result: invalid type: integer `5`, expected a string"), "{reasons:?}");
    assert!(reasons[2].starts_with("invalid_result: unknown variant `fatal`"), "{reasons:?}");
    assert_eq!(reasons[3..], ["no_line: a location names no file", "no_line: a location's file has no uri", "finding"]);
}

#[test]
fn bases_that_name_each_other_come_to_an_end() {
    let bases = r#"{"A": {"uri": "a/", "uriBaseId": "B"}, "B": {"uri": "b", "uriBaseId": "A"}}"#;
    let location =
        r#"{"physicalLocation": {"artifactLocation": {"uri": "f", "uriBaseId": "A"}, "region": {"startLine": 1}}}"#;
    let text = format!(
        r#"{{"version": "2.1.0", "runs": [{{"originalUriBaseIds": {bases}, "tool": {{"driver": {{"name": "t"}}}},
            "results": [{{"locations": [{location}]}}]}}, {{"tool": {{"driver": {{"name": "u"}}}}, "results": null}}]}}"#
    );
    let (tools, found) = read(&text).unwrap();
    assert_eq!(tools, "t -, u -");
    assert_eq!(found[0].as_ref().unwrap().uri, "b/a/f");
}

#[test]
fn what_is_no_sarif_is_an_error_that_says_why() {
    let failure = |text: &str| read(text).unwrap_err().to_string();
    assert!(failure("").starts_with("a.sarif is cut off: EOF"), "{}", failure(""));
    assert!(failure(&CODEQL[..CODEQL.len() / 2]).starts_with("a.sarif is cut off: EOF"));
    assert!(failure("<?xml version=\"1.0\"?>").starts_with("a.sarif is no SARIF 2.1.0 file: it is no JSON: "));
    assert!(failure(&format!("{SEMGREP} {{}}")).contains("trailing characters"));
    assert_eq!(
        failure("3"),
        "a.sarif is no SARIF 2.1.0 file: invalid type: integer `3`, expected an object with `version` and `runs` at line 1 column 1"
    );
    assert_eq!(failure("{}"), "a.sarif is no SARIF 2.1.0 file: it has no `version`");
    assert_eq!(failure(r#"{"version": "2.1.0"}"#), "a.sarif is no SARIF 2.1.0 file: it has no `runs`");
    assert_eq!(failure(r#"{"version": "1.0.0", "runs": []}"#), "a.sarif is no SARIF 2.1.0 file: its version is 1.0.0");
    assert!(failure(r#"{"version": "2.1.0", "runs": [{}]}"#).ends_with("run 0 has no tool.driver.name"));
    assert!(failure(r#"{"version": "2.1.0", "runs": [3]}"#).contains("expected a run, an object"));
    let external =
        CPPCHECK.replace("\"results\": [", "\"externalPropertyFileReferences\": {\"results\": []}, \"results\": [");
    assert!(failure(&external).ends_with("run 0 keeps its results in another file"));
    assert!(
        failure(&CPPCHECK.replace("\"results\": [", "\"results\": {}, \"x\": ["))
            .contains("expected an array of results")
    );
}

#[test]
fn a_result_past_the_limit_is_an_error_and_a_byte_order_mark_is_none() {
    let large = CPPCHECK.replace("Array", &"x".repeat(200_000));
    let StageError::Read { source, .. } = read(&large).unwrap_err() else { panic!("it was read") };
    assert!(source.to_string().contains("a result is larger than [limits] max_record_bytes"), "{source}");
    // What is no result, and is passed over, may be as large as it likes.
    let other = CPPCHECK.replace("\"results\"", &format!("\"properties\": \"{}\", \"results\"", "x".repeat(200_000)));
    assert_eq!(read(&other).unwrap().1.len(), 3);
    assert_eq!(read(&format!("\u{feff}{CPPCHECK}")).unwrap().1.len(), 3);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0usize..SEMGREP.len(), byte: u8, cut in 0usize..SEMGREP.len()) {
        let mut bytes = SEMGREP.as_bytes().to_vec();
        bytes[at] = byte;
        bytes.truncate(cut);
        let text = String::from_utf8_lossy(&bytes);
        let _ = read(&text);
    }
}
