#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::record::{Granularity, Located, Pair, RejectReason, Subset};
use super::*;
use crate::language::Language;

fn read(text: &[u8], granularities: &[Granularity]) -> Result<(Vec<Located>, u64)> {
    let context = FileContext {
        path: "ReposVul_python.jsonl".to_owned(),
        max_record_bytes: 100_000,
        granularities: granularities.to_vec(),
    };
    let mut found = Vec::new();
    let mut input = text;
    let records = ReposVulReader.read(&context, RawInput::Stream(&mut input), &mut |located| {
        found.push(located);
        Ok(())
    })?;
    Ok((found, records))
}

fn read_one(record: &Value, granularities: &[Granularity]) -> Vec<Result<Box<Pair>, (RejectReason, String)>> {
    let (found, records) = read(record.to_string().as_bytes(), granularities).unwrap();
    assert_eq!(records, 1);
    assert!(!found.is_empty(), "every record gives a row");
    assert!(found.iter().all(|located| (located.row, located.records, located.byte_offset) == (0, 1, 0)));
    found.into_iter().map(|located| located.outcome.map_err(|reject| (reject.reason, reject.detail))).collect()
}

fn pairs(record: &Value, granularities: &[Granularity]) -> Vec<Pair> {
    read_one(record, granularities).into_iter().filter_map(Result::ok).map(|pair| *pair).collect()
}

fn rejects(record: &Value, granularities: &[Granularity]) -> Vec<(RejectReason, String)> {
    read_one(record, granularities).into_iter().filter_map(Result::err).collect()
}

fn commit(details: Value) -> Value {
    json!({
        "index": 3, "cve_id": "CVE-2020-0001", "cwe_id": ["CWE-022", "NVD-CWE-Other"], "cve_language": "Python",
        "publish_date": "November 23, 2011", "commit_id": "ab12", "commit_date": "2011-11-20T10:00:00Z",
        "project": "harbour/ledger", "windows_before": [{"code": "x"}], "outdated": 0, "details": details,
    })
}

fn file(path: &str, target: i64) -> Value {
    json!({
        "file_name": path, "code_before": format!("before {path}\n"), "code": format!("after {path}\n"), "patch": "@@",
        "outdated_file_modify": 0, "outdated_file_before": 0, "outdated_file_after": 0, "target": target,
        "static": {"tool": [true, ["x"]]}, "function_before": [], "function_after": [],
    })
}

fn with(mut file: Value, key: &str, value: Value) -> Value {
    file[key] = value;
    file
}

fn plain_file(path: &str) -> Value {
    json!({"file_name": path, "code_before": "a", "code": "b"})
}

#[test]
fn functions_are_paired_by_name_and_the_unrelated_ones_are_secure() {
    let functions = with(
        with(
            file("a.py", 1),
            "function_before",
            json!([{"function": "def open(x):\n  a", "target": 1, "line": "@@"}, {"function": "def shut():\n  b", "target": 0}]),
        ),
        "function_after",
        json!([{"function": "def check(x):\n  c", "target": 0}, {"function": "def shut():\n  b", "target": 0}, {"function": "def open(x):\n  d", "target": 0}]),
    );
    let found = pairs(&commit(json!([functions])), &[Granularity::Function]);
    let [open, shut] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (open.function_name.as_deref(), open.subset, open.granularity),
        (Some("open"), Subset::Paired, Granularity::Function)
    );
    assert_eq!(open.vulnerable_code.as_deref(), Some("def open(x):\n  a"));
    assert_eq!(open.secure_code.as_deref(), Some("def open(x):\n  d"));
    assert_eq!(open.file_path.as_deref(), Some("a.py"));
    assert_eq!((shut.subset, shut.vulnerable_code.as_deref()), (Subset::Unpaired, None));
    assert_eq!(shut.secure_code.as_deref(), Some("def shut():\n  b"));
}

#[test]
fn a_pair_has_all_that_the_commit_tells() {
    let found = pairs(&commit(json!([file("a.py", 1)])), &[Granularity::File]);
    let pair = &found[0];
    assert_eq!(pair.cwe, ["CWE-22"]);
    assert_eq!(pair.cve.as_deref(), Some("CVE-2020-0001"));
    assert_eq!((pair.project.as_deref(), pair.commit_id.as_deref()), (Some("harbour/ledger"), Some("ab12")));
    assert_eq!(pair.committed_at, Some(1_321_783_200_000_000));
    assert_eq!(pair.published_at, Some(1_322_006_400_000_000));
    assert_eq!((pair.language, pair.upstream_split.as_deref()), (Language::Python, None));
    assert_eq!(
        (pair.vulnerable_code.as_deref(), pair.secure_code.as_deref()),
        (Some("before a.py\n"), Some("after a.py\n"))
    );
}

#[test]
fn a_file_without_a_vulnerable_function_says_so() {
    let told = rejects(&commit(json!([file("a.py", 1)])), &[Granularity::Function]);
    assert_eq!(told, [(RejectReason::NotVulnerable, "a.py has target 1, but none of its functions has".to_owned())]);
}

#[test]
fn a_deleted_function_has_no_counterpart_and_is_named() {
    let deleted = with(file("a.py", 1), "function_before", json!([{"function": "def gone():\n  a", "target": 1}]));
    let told = rejects(&commit(json!([deleted])), &[Granularity::Function]);
    assert_eq!(told[0].0, RejectReason::NoCounterpart);
    assert!(told[0].1.contains("function gone of a.py"), "{told:?}");
}

#[test]
fn an_unrelated_file_is_a_secure_row_and_an_added_one_has_its_new_text() {
    let added = with(file("new.py", 0), "code_before", json!(""));
    let found = pairs(&commit(json!([file("a.py", 0), added])), &[Granularity::File]);
    let secure: Vec<_> = found.iter().map(|pair| (pair.subset, pair.secure_code.as_deref().unwrap())).collect();
    assert_eq!(secure, [(Subset::Unpaired, "before a.py\n"), (Subset::Unpaired, "after new.py\n")]);
}

#[test]
fn a_vulnerable_file_that_was_added_or_deleted_is_no_pair() {
    for (side, words) in [("code_before", "was added"), ("code", "was deleted")] {
        let told = rejects(&commit(json!([with(file("a.py", 1), side, json!(""))])), &[Granularity::File]);
        assert_eq!(told[0].0, RejectReason::NoCounterpart);
        assert!(told[0].1.contains(words), "{told:?}");
    }
}

#[test]
fn all_files_of_a_commit_are_one_pair_where_one_is_vulnerable() {
    let files = json!([
        file("b.py", 1),
        plain_file("a.js"),
        plain_file("notes.txt"),
        file("c.py", -1),
        with(file("d.py", 1), "outdated_file_after", json!(1))
    ]);
    let record = commit(files);
    let found = pairs(&record, &[Granularity::Repository]);
    let [pair] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(pair.vulnerable_code.as_deref(), Some("abefore b.py\nbefore c.py\n"));
    let paths: Vec<_> =
        pair.files.iter().map(|file| (file.path.as_str(), file.language.as_str(), file.secure_end)).collect();
    assert_eq!(paths, [("a.js", "javascript", 1), ("b.py", "python", 12), ("c.py", "python", 23)]);
    assert_eq!(pair.language, Language::Python);
    let reasons: Vec<_> = rejects(&record, &[Granularity::Repository]).into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, [RejectReason::Outdated, RejectReason::UnsupportedLanguage]);
    assert!(pairs(&commit(json!([file("b.py", 0), file("a.py", 0)])), &[Granularity::Repository]).is_empty());
}

#[test]
fn an_outdated_record_gives_one_reject_and_no_pair() {
    let record = with(commit(json!([file("a.py", 1)])), "outdated", json!(1));
    assert_eq!(rejects(&record, &Granularity::ALL).len(), 1);
    assert_eq!(rejects(&record, &Granularity::ALL)[0].0, RejectReason::Outdated);
    assert!(pairs(&record, &Granularity::ALL).is_empty());
}

#[test]
fn each_file_left_out_is_named_with_its_reason() {
    let files = json!([
        file("a.py", -1),
        plain_file("b.js"),
        plain_file("NEWS"),
        with(file("c.py", 1), "outdated_file_modify", json!(1)),
        file("d.py", 7)
    ]);
    let told = rejects(&commit(files), &Granularity::ALL);
    let short: Vec<_> =
        told.iter().map(|(reason, detail)| (reason.as_str(), detail.split(' ').next().unwrap())).collect();
    let expected = [
        ("outdated", "c.py"),
        ("invalid_value", "d.py"),
        ("unsupported_language", "left"),
        ("not_vulnerable", "a.py"),
        ("not_vulnerable", "b.js"),
    ];
    assert_eq!(short, expected, "{told:?}");
}

#[test]
fn a_record_without_files_or_without_a_pair_is_accounted_for() {
    assert_eq!(rejects(&commit(json!([])), &Granularity::ALL)[0].0, RejectReason::NotVulnerable);
    assert_eq!(
        rejects(&commit(json!([file("a.py", 0)])), &[Granularity::Repository])[0].0,
        RejectReason::NotVulnerable
    );
    assert_eq!(
        rejects(&commit(json!([file("a.py", 1)])), &[Granularity::Repository])[0].0,
        RejectReason::NoCounterpart
    );
}

#[test]
fn missing_metadata_and_null_texts_are_no_defects_but_wrong_types_are() {
    let sparse = json!({"commit_id": "c", "project": null, "outdated": 0, "details": [
        {"file_name": "a.py", "code_before": "a", "code": "b", "target": 1, "function_before": null}]});
    let record = with(sparse, "cwe_id", json!("CWE-79"));
    let found = pairs(&record, &[Granularity::File]);
    assert_eq!((found[0].cwe.as_slice(), found[0].project.as_deref()), (["CWE-79".to_owned()].as_slice(), None));
    let wrong = [
        ("details", json!({}), RejectReason::WrongType),
        ("outdated", json!(null), RejectReason::MissingField),
        ("cve_id", json!(3), RejectReason::WrongType),
        ("details", json!([{"file_name": []}]), RejectReason::WrongType),
    ];
    for (key, value, reason) in wrong {
        // A file with one good record is known to be the dataset's.
        let text = format!("{}\n{}\n", commit(json!([file("a.py", 1)])), with(commit(json!([])), key, value));
        let (found, _) = read(text.as_bytes(), &Granularity::ALL).unwrap();
        assert_eq!(found.last().unwrap().outcome.as_ref().unwrap_err().reason, reason, "{key}");
    }
}

#[test]
fn a_file_of_another_dataset_stops_the_run() {
    let text = "{\"idx\":1,\"func\":\"int f;\",\"target\":1}\n".repeat(100);
    let error = read(text.as_bytes(), &Granularity::ALL).unwrap_err().to_string();
    assert!(error.contains("is not a ReposVul file"), "{error}");
}

fn any_file() -> impl Strategy<Value = Value> {
    let text = "(def [ab]\\(\\):\n  x\n|y\n){0,2}";
    let functions = prop::collection::vec((text, -1..3i64), 0..4);
    let name = prop::sample::select(vec!["a.py", "b.js", "c.txt", "d.py", ""]);
    (name, text, text, prop::option::of(-1..3i64), 0..2i64, functions.clone(), functions).prop_map(
        |(name, before, after, target, outdated, functions_before, functions_after)| {
            let list = |functions: Vec<(String, i64)>| -> Vec<Value> {
                functions.into_iter().map(|(function, target)| json!({"function": function, "target": target})).collect()
            };
            json!({"file_name": name, "code_before": before, "code": after, "target": target, "outdated_file_before": outdated,
                "function_before": list(functions_before), "function_after": list(functions_after)})
        },
    )
}

proptest! {
    #[test]
    fn every_record_gives_a_row_and_every_row_holds_code(
        records in prop::collection::vec(prop::collection::vec(any_file(), 0..4), 1..4),
        granularities in prop::sample::subsequence(Granularity::ALL.to_vec(), 1..=3),
    ) {
        let text: String = records.iter().map(|files| format!("{}\n", commit(json!(files)))).collect();
        let (found, count) = read(text.as_bytes(), &granularities).unwrap();
        prop_assert_eq!(count, records.len() as u64);
        let mut rows: Vec<u64> = found.iter().map(|located| located.row).collect();
        prop_assert!(rows.is_sorted());
        rows.dedup();
        prop_assert_eq!(rows.len(), records.len());
        for pair in found.into_iter().filter_map(|located| located.outcome.ok()) {
            prop_assert!(granularities.contains(&pair.granularity));
            prop_assert!(!pair.secure_code.unwrap().trim().is_empty());
            prop_assert_eq!(pair.subset == Subset::Paired, pair.vulnerable_code.is_some_and(|code| !code.trim().is_empty()));
        }
    }

    #[test]
    fn no_bytes_panic_and_a_cut_costs_only_the_last_record(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..1000usize) {
        let _ = read(&bytes, &Granularity::ALL);
        let whole = format!("{}\n", commit(json!([file("a.py", 1)]))).repeat(2);
        let cut = cut * whole.len() / 1000;
        if let Ok((found, count)) = read(&whole.as_bytes()[..cut], &Granularity::ALL) {
            let rows: std::collections::BTreeSet<u64> = found.iter().map(|located| located.row).collect();
            prop_assert_eq!(rows.len() as u64, count);
            let one_record_without_its_line_end = whole.len() / 2 - 1;
            prop_assert_eq!(cut >= one_record_without_its_line_end, found.iter().any(|located| located.outcome.is_ok()));
        }
    }
}
