#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ingest::record::{Granularity, Pair, RejectReason, Subset};
use crate::language::Language;

const PAIRED: &str = "PrimeVul_v0.1/primevul_valid_paired.jsonl";

fn read(path: &str, text: &[u8]) -> Result<(u64, Vec<Located>)> {
    let context =
        FileContext { path: path.to_owned(), max_record_bytes: 10_000, granularities: Granularity::ALL.to_vec() };
    let mut found = Vec::new();
    let mut input = text;
    let count = PrimeVulReader.read(&context, RawInput::Stream(&mut input), &mut |located| {
        found.push(located);
        Ok(())
    })?;
    Ok((count, found))
}

/// A line as the dataset writes it, with a hash that no 64-bit integer holds.
fn line(target: i64, code: &str, commit: &str) -> String {
    let text = json!({
        "idx": 7, "project": "bash", "commit_id": commit, "project_url": "None", "commit_url": "None",
        "commit_message": "fix\n", "target": target, "func": code, "func_hash": "HASH", "file_name": "shell.c",
        "file_hash": null, "cwe": ["CWE-787"], "cve": "CVE-2019-1", "cve_desc": "", "nvd_url": "",
    });
    text.to_string().replace("\"HASH\"", &u128::MAX.to_string())
}

fn pairs(located: &[Located]) -> Vec<&Pair> {
    located.iter().filter_map(|located| located.outcome.as_deref().ok()).collect()
}

/// What became of the lines: `(row, records)` of pairs, and row and reason of rejects.
fn outline(located: &[Located]) -> Vec<(u64, Result<u32, RejectReason>)> {
    let one = |found: &Located| match &found.outcome {
        Ok(_) => (found.row, Ok(found.records)),
        Err(reject) => (found.row, Err(reject.reason)),
    };
    located.iter().map(one).collect()
}

#[test]
fn two_lines_are_one_pair_with_all_they_tell() {
    let text = format!("{}\n{}\n", line(1, "int a;\r\n", "c1"), line(0, "int b;", "c1"));
    let (count, found) = read(PAIRED, text.as_bytes()).unwrap();
    assert_eq!((count, found[0].row, found[0].records, found[0].byte_offset), (2, 0, 2, 0));
    let pair = pairs(&found)[0];
    assert_eq!((pair.subset, pair.granularity, pair.language), (Subset::Paired, Granularity::Function, Language::C));
    assert_eq!((pair.vulnerable_code.as_deref(), pair.secure_code.as_deref()), (Some("int a;\r\n"), Some("int b;")));
    assert_eq!(pair.upstream_split.as_deref(), Some("valid"));
    assert_eq!((pair.project.as_deref(), pair.commit_id.as_deref()), (Some("bash"), Some("c1")));
    assert_eq!((pair.cve.as_deref(), pair.file_path.as_deref()), (Some("CVE-2019-1"), Some("shell.c")));
    assert_eq!(pair.cwe, ["CWE-787"]);
    assert_eq!((pair.committed_at, pair.published_at), (None, None));
}

#[test]
fn in_the_other_files_a_line_is_one_side_alone_and_target_says_which() {
    let text = format!("{}\n{}\n", line(1, "int a;", "c1"), line(0, "int b;", "c1"));
    let (count, found) = read("primevul_test.jsonl", text.as_bytes()).unwrap();
    let [vulnerable, secure] = pairs(&found)[..] else { panic!("expected two rows") };
    assert_eq!(count, 2);
    assert_eq!((vulnerable.subset, vulnerable.upstream_split.as_deref()), (Subset::Unpaired, Some("test")));
    assert_eq!((vulnerable.vulnerable_code.as_deref(), vulnerable.secure_code.as_deref()), (Some("int a;"), None));
    assert_eq!((secure.vulnerable_code.as_deref(), secure.secure_code.as_deref()), (None, Some("int b;")));
    let (_, found) = read("all.jsonl", text.as_bytes()).unwrap();
    assert_eq!(pairs(&found)[0].upstream_split, None);
}

#[test]
fn a_commit_with_several_pairs_gives_them_all_and_none_twice() {
    let lines: Vec<String> = (0..3)
        .flat_map(|pair| [(1, pair), (0, pair)])
        .map(|(target, pair)| line(target, &format!("f{pair}_{target}"), "c1"))
        .collect();
    let (_, found) = read(PAIRED, lines.join("\n").as_bytes()).unwrap();
    let codes: Vec<_> = pairs(&found)
        .iter()
        .map(|pair| (pair.vulnerable_code.clone().unwrap(), pair.secure_code.clone().unwrap()))
        .collect();
    let expected = [0, 1, 2].map(|pair| (format!("f{pair}_1"), format!("f{pair}_0")));
    assert_eq!(codes, expected);
}

#[test]
fn a_line_that_cannot_be_read_costs_its_own_pair_alone() {
    use RejectReason::{InvalidJson, NoCounterpart, TooLarge};
    let [first, second] = [line(1, "a", "c"), line(0, "b", "c")];
    let long = line(0, &"x".repeat(20_000), "c");
    for (bad, reason) in [("{\"func\":", InvalidJson), (&long, TooLarge)] {
        let text = [&first, bad, &first, &second].join("\n");
        let expected = vec![(0, Err(NoCounterpart)), (1, Err(reason)), (2, Ok(2))];
        assert_eq!(outline(&read(PAIRED, text.as_bytes()).unwrap().1), expected);
        let text = [bad, &second, &first, &second].join("\n");
        let expected = vec![(0, Err(reason)), (1, Err(NoCounterpart)), (2, Ok(2))];
        assert_eq!(outline(&read(PAIRED, text.as_bytes()).unwrap().1), expected);
    }
}

#[test]
fn a_line_that_is_missing_costs_its_own_pair_alone() {
    use RejectReason::NoCounterpart;
    let all: Vec<String> =
        (0..3).flat_map(|pair| [1, 0].map(|target| line(target, "x", &format!("c{pair}")))).collect();
    let without = |missing: usize| {
        let lines: Vec<&str> =
            all.iter().enumerate().filter(|(row, _)| *row != missing).map(|(_, line)| line.as_str()).collect();
        outline(&read(PAIRED, lines.join("\n").as_bytes()).unwrap().1)
    };
    assert_eq!(without(0), [(0, Err(NoCounterpart)), (1, Ok(2)), (3, Ok(2))]);
    assert_eq!(without(1), [(0, Err(NoCounterpart)), (1, Ok(2)), (3, Ok(2))]);
    assert_eq!(without(3), [(0, Ok(2)), (2, Err(NoCounterpart)), (3, Ok(2))]);
    assert_eq!(without(5), [(0, Ok(2)), (2, Ok(2)), (4, Err(NoCounterpart))]);
}

#[test]
fn versions_of_different_commits_are_no_pair() {
    let text = format!("{}\n{}\n", line(1, "a", "c1"), line(0, "b", "c2"));
    let (_, found) = read(PAIRED, text.as_bytes()).unwrap();
    assert_eq!(outline(&found), [(0, Err(RejectReason::NoCounterpart)), (1, Err(RejectReason::NoCounterpart))]);
    assert!(found[0].outcome.as_ref().unwrap_err().raw.as_deref().unwrap().contains("\"func\":\"a\""));
}

#[test]
fn where_no_commit_is_known_the_place_of_the_lines_decides() {
    let [vulnerable, fixed] = [line(1, "a", "None"), line(0, "b", "None")];
    let (_, found) = read(PAIRED, format!("{vulnerable}\n{fixed}\n").as_bytes()).unwrap();
    assert_eq!(outline(&found), [(0, Ok(2))]);
    assert_eq!(pairs(&found)[0].commit_id, None);
    // After a fixed version alone, the next two would be lines 1 and 2.
    let (_, found) = read(PAIRED, format!("{fixed}\n{vulnerable}\n{fixed}\n").as_bytes()).unwrap();
    assert!(pairs(&found).is_empty());
}

#[test]
fn what_is_unknown_or_missing_or_of_an_earlier_version_is_tolerated() {
    let read_one = |text: &str| read("primevul_train.jsonl", text.as_bytes()).unwrap().1.remove(0).outcome.unwrap();
    let bare = read_one(r#"{"func":"int f;","target":0}"#);
    assert_eq!((bare.language, bare.project, bare.cwe), (Language::C, None, vec![]));
    let unknown = read_one(
        r#"{"func":"int f;","target":1,"file_name":"None","cwe":"CWE-20","cve":"None","commit_id":null,"project":""}"#,
    );
    assert_eq!((unknown.file_path, unknown.cve, unknown.commit_id, unknown.project), (None, None, None, None));
    assert_eq!(unknown.cwe, ["CWE-20"]);
    let v0 = read_one(
        r#"{"project":"p","commit_id":"c","target":0,"func":"f","cwe":[],"big_vul_idx":null,"hash":318446744073709551615,"size":3}"#,
    );
    assert_eq!((v0.commit_id.as_deref(), v0.cwe), (Some("c"), vec![]));
    let cpp =
        read_one(r#"{"func":"f","target":0,"file_name":"a.b.cc","cwe":["NVD-CWE-noinfo",null,"CWE-119","CWE-119"]}"#);
    assert_eq!((cpp.language, cpp.cwe), (Language::Cpp, vec!["CWE-119".to_owned()]));
    assert_eq!(read_one(r#"{"func":"f","target":0,"file_name":"lex.l"}"#).language, Language::C);
}

#[test]
fn what_only_the_fixed_version_tells_holds_for_the_pair() {
    let bare = r#"{"func":"a","target":1}"#;
    let fixed = r#"{"func":"b","target":0,"file_name":"x.cpp","cwe":["CWE-1"],"commit_id":"c"}"#;
    let (_, found) = read(PAIRED, format!("{bare}\n{fixed}").as_bytes()).unwrap();
    let pair = pairs(&found)[0];
    assert_eq!((pair.language, pair.file_path.as_deref()), (Language::Cpp, Some("x.cpp")));
    assert_eq!((pair.cwe.as_slice(), pair.commit_id.as_deref()), (&["CWE-1".to_owned()][..], Some("c")));
}

#[test]
fn a_bad_record_is_a_reject_that_says_what_is_wrong() {
    let cases: [(&[u8], RejectReason, &str); 8] = [
        (b"{\"func\":\"f\"", RejectReason::InvalidJson, "EOF"),
        (b"{\"func\":\"f\xff\",\"target\":0}", RejectReason::InvalidUtf8, "byte 10"),
        (b"[\"func\", 1]", RejectReason::NotAnObject, "an array"),
        (b"[\"f\", 1, \"\\\"func\\\"\"]", RejectReason::NotAnObject, "an array"),
        (b"{\"func\":\"f\"}", RejectReason::MissingField, "target"),
        (b"{\"func\":3,\"target\":1}", RejectReason::WrongType, "func is a number"),
        (b"{\"func\":\"f\",\"target\":2}", RejectReason::InvalidValue, "target is 2"),
        (b"{\"func\":\"f\",\"target\":1,\"cwe\":[3]}", RejectReason::WrongType, "cwe is neither"),
    ];
    for (bytes, reason, words) in cases {
        let text = [bytes, b"\n", line(1, "f", "c").as_bytes()].concat();
        let found = read("primevul_train.jsonl", &text).unwrap().1;
        let reject = found[0].outcome.as_ref().unwrap_err();
        assert_eq!(reject.reason, reason, "{reject:?}");
        assert!(reject.detail.contains(words), "{reject:?}");
    }
    let blank = format!("{}\n{}\n", line(1, " \n", "c"), line(0, "", "c"));
    assert_eq!(outline(&read(PAIRED, blank.as_bytes()).unwrap().1), [(0, Err(RejectReason::EmptyCode))]);
    assert_eq!(
        outline(&read("primevul_test.jsonl", blank.as_bytes()).unwrap().1),
        [(0, Err(RejectReason::EmptyCode)), (1, Err(RejectReason::EmptyCode))]
    );
}

#[test]
fn a_file_of_another_dataset_stops_the_run() {
    let text = "{\"func_src_before\":\"int f;\",\"func_src_after\":\"int f;\"}\n".repeat(100);
    for path in ["train/cwe-089.jsonl", PAIRED] {
        let error = read(path, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("is not a PrimeVul file"), "{error}");
    }
}

/// Lines of all kinds: both targets of two commits, an unknown commit, blank and broken ones.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..3i64, 0..3usize).prop_map(|(target, commit)| line(target, "int f;", ["c1", "c2", "None"][commit])),
        1 => Just(String::new()),
        1 => Just("{\"func\":".to_owned()),
        1 => Just("[1]".to_owned()),
        1 => ".{0,40}",
    ]
}

proptest! {
    #[test]
    fn every_line_is_in_exactly_one_pair_or_reject(lines in prop::collection::vec(any_line(), 0..40)) {
        let text = format!("{}\n{}", line(1, "int f;", "c1"), lines.join("\n"));
        for path in [PAIRED, "primevul_train.jsonl"] {
            let (count, found) = read(path, text.as_bytes()).unwrap();
            let mut next = 0;
            for located in &found {
                prop_assert_eq!(located.row, next);
                next += u64::from(located.records);
            }
            prop_assert_eq!(next, count);
        }
    }

    #[test]
    fn a_pair_is_a_vulnerable_and_then_a_fixed_version_of_one_commit(
        versions in prop::collection::vec((0..2i64, 0..3usize), 0..40),
    ) {
        // The code says which line it is of.
        let written = |(row, (target, commit)): (usize, &(i64, usize))| {
            line(*target, &row.to_string(), &format!("c{commit}"))
        };
        let lines: Vec<String> = versions.iter().enumerate().map(written).collect();
        let (_, found) = read(PAIRED, lines.join("\n").as_bytes()).unwrap();
        for pair in pairs(&found) {
            let row_of = |code: &Option<String>| code.as_deref().unwrap().parse::<usize>().unwrap();
            let (vulnerable, fixed) = (row_of(&pair.vulnerable_code), row_of(&pair.secure_code));
            prop_assert_eq!(fixed, vulnerable + 1);
            prop_assert_eq!((versions[vulnerable].0, versions[fixed].0), (1, 0));
            prop_assert_eq!(versions[vulnerable].1, versions[fixed].1);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for path in [PAIRED, "primevul_train.jsonl"] {
            let text = [line(1, "int f;", "c1").as_bytes(), b"\n", &bytes].concat();
            prop_assert!(read(path, &text).is_ok());
        }
    }
}
