#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::error::StageError;
use crate::ingest::record::{Granularity, Located, Pair, Reject, RejectReason, Subset};
use crate::language::Language;

/// The 36 columns, the index first, which has no name.
const HEADER: &str = ",Access Gained,Attack Origin,Authentication Required,Availability,CVE ID,CVE Page,CWE ID,Complexity,\
    Confidentiality,Integrity,Known Exploits,Publish Date,Score,Summary,Update Date,Vulnerability Classification,add_lines,\
    codeLink,commit_id,commit_message,del_lines,file_name,files_changed,func_after,func_before,lang,lines_after,lines_before,\
    parentID,patch,project,project_after,project_before,vul,vul_func_with_fix";

const LIMIT: usize = 4_000;

fn read_with(limit: usize, text: &[u8]) -> Result<(u64, Vec<Located>)> {
    let context = FileContext {
        path: "MSR_data_cleaned.csv".to_owned(),
        max_record_bytes: limit,
        granularities: Granularity::ALL.to_vec(),
    };
    let mut found = Vec::new();
    // A small buffer, so that fields and quotes lie across its edges.
    let mut input = std::io::BufReader::with_capacity(7, text);
    let count = BigVulReader.read(&context, RawInput::Stream(&mut input), &mut |located| {
        found.push(located);
        Ok(())
    })?;
    assert_eq!(count, found.len() as u64);
    assert!(found.iter().enumerate().all(|(row, located)| located.row == row as u64 && located.records == 1));
    Ok((count, found))
}

fn read(text: &[u8]) -> Vec<Located> {
    read_with(LIMIT, text).unwrap().1
}

/// A field as Python's `csv` writes it.
fn quoted(value: &str) -> String {
    match value.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", value.replace('"', "\"\"")),
        false => value.to_owned(),
    }
}

/// A record with these values, and for the rest what a record usually holds.
fn record(index: usize, values: &[(&str, &str)]) -> String {
    let usual = |column: &str| match column {
        "" => index.to_string(),
        "CVE ID" => format!("CVE-2019-{index}"),
        "CWE ID" => "CWE-119".to_owned(),
        "Publish Date" => "2019-01-02".to_owned(),
        "Summary" => "a summary with a comma, and a \"quote\"".to_owned(),
        "commit_id" => format!("{index:040x}"),
        "commit_message" => "fix\n\nthe bounds".to_owned(),
        "file_name" => "src/a.c".to_owned(),
        "func_before" => format!("int before_{index}(int a)\n{{\n\n\treturn a;\n}}\n"),
        "func_after" => format!("int after_{index}(int a)\n{{\n\n\treturn a + 1;\n}}\n"),
        "lang" => "C".to_owned(),
        "patch" => "@@ -1,2 +1,3 @@\n a\n \n+b".to_owned(),
        "project" => "linux".to_owned(),
        "vul" => "1".to_owned(),
        _ => String::new(),
    };
    let value = |column| {
        values.iter().find(|(name, _)| *name == column).map_or_else(|| usual(column), |(_, value)| (*value).to_owned())
    };
    HEADER.split(',').map(|column| quoted(&value(column))).collect::<Vec<_>>().join(",")
}

fn file(records: &[String]) -> String {
    format!("{HEADER}\n{}\n", records.join("\n"))
}

fn pair(located: &Located) -> &Pair {
    located.outcome.as_ref().unwrap()
}

fn reject(located: &Located) -> &Reject {
    located.outcome.as_ref().unwrap_err()
}

/// What became of the records: of a pair the number in its CVE, of a reject its reason.
fn outline(found: &[Located]) -> Vec<Result<usize, RejectReason>> {
    let number =
        |pair: &Pair| pair.cve.as_deref().and_then(|cve| cve.rsplit('-').next()).and_then(|number| number.parse().ok());
    found
        .iter()
        .map(|located| located.outcome.as_ref().map(|pair| number(pair).unwrap()).map_err(|reject| reject.reason))
        .collect()
}

#[test]
fn a_vulnerable_record_is_a_pair_with_all_it_tells() {
    let text = file(&[record(7, &[]), record(8, &[])]);
    let found = read(text.as_bytes());
    let first = pair(&found[0]);
    assert_eq!((first.subset, first.granularity, first.language), (Subset::Paired, Granularity::Function, Language::C));
    assert_eq!(first.vulnerable_code.as_deref(), Some("int before_7(int a)\n{\n\n\treturn a;\n}\n"));
    assert_eq!(first.secure_code.as_deref(), Some("int after_7(int a)\n{\n\n\treturn a + 1;\n}\n"));
    assert_eq!((first.cve.as_deref(), first.cwe.as_slice()), (Some("CVE-2019-7"), &["CWE-119".to_owned()][..]));
    assert_eq!((first.project.as_deref(), first.file_path.as_deref()), (Some("linux"), Some("src/a.c")));
    assert_eq!(first.commit_id.as_deref(), Some("0000000000000000000000000000000000000007"));
    assert_eq!((first.published_at, first.committed_at), (Some(17_898 * 86_400_000_000), None));
    assert_eq!(first.upstream_split, None);
    assert_eq!(found[1].byte_offset, (HEADER.len() + 1 + record(7, &[]).len() + 1) as u64);
}

#[test]
fn a_record_that_is_not_vulnerable_is_an_unpaired_secure_row() {
    let found = read(file(&[record(1, &[("vul", "0"), ("func_after", "")])]).as_bytes());
    let row = pair(&found[0]);
    assert_eq!((row.subset, row.vulnerable_code.as_deref()), (Subset::Unpaired, None));
    assert!(row.secure_code.as_deref().unwrap().starts_with("int before_1"));
}

#[test]
fn a_vulnerable_record_with_equal_versions_stays_a_pair() {
    let found = read(file(&[record(1, &[("func_before", "int same;"), ("func_after", "int same;")])]).as_bytes());
    assert_eq!(pair(&found[0]).subset, Subset::Paired);
    assert_eq!(pair(&found[0]).vulnerable_code, pair(&found[0]).secure_code);
}

#[test]
fn empty_identifiers_and_dates_are_unknown() {
    let found = read(
        file(&[record(
            1,
            &["CVE ID", "CWE ID", "Publish Date", "commit_id", "file_name", "project"].map(|name| (name, "")),
        )])
        .as_bytes(),
    );
    let row = pair(&found[0]);
    assert_eq!((&row.cve, &row.commit_id, &row.project, &row.file_path), (&None, &None, &None, &None));
    assert_eq!((row.cwe.len(), row.published_at), (0, None));
}

#[test]
fn the_language_is_the_files_and_else_what_lang_says() {
    let cases = [
        ("C", "a.c", Language::C),
        ("C", "a.cc", Language::Cpp),
        ("CPP", "a.c", Language::C),
        ("C++", "a.h", Language::Cpp),
        ("CPP", "", Language::Cpp),
        ("C", "a.h", Language::C),
        ("", "", Language::C),
        ("Java", "Makefile", Language::Java),
        ("Forth", "", Language::Text),
    ];
    for (lang, file_name, language) in cases {
        let found = read(file(&[record(1, &[("lang", lang), ("file_name", file_name)])]).as_bytes());
        assert_eq!(pair(&found[0]).language, language, "{lang} {file_name}");
    }
}

#[test]
fn code_keeps_its_bytes_whatever_they_are() {
    let code = "char *q = \"a,\\\"b\\\"\";\r\n \n\0\u{feff}ü\rx\n0,\n12,34\n\"\"\n";
    for line_end in ["\n", "\r\n"] {
        let text = file(&[record(1, &[("func_before", code), ("func_after", code)]), record(2, &[])]);
        // Line ends of records, not those within fields.
        let text = text.replace("\n2,", &format!("{line_end}2,")).replace("fix\n\nthe bounds", "fix");
        let found = read(text.as_bytes());
        assert_eq!(outline(&found), [Ok(1), Ok(2)], "{line_end:?}");
        assert_eq!(pair(&found[0]).vulnerable_code.as_deref(), Some(code));
        assert_eq!(pair(&found[0]).secure_code.as_deref(), Some(code));
    }
}

#[test]
fn fields_past_131072_characters_are_read() {
    let long = format!("int f;\n{}", "x, \"y\"\n".repeat(40_000));
    let (_, found) =
        read_with(4 << 20, file(&[record(1, &[("func_before", &long)]), record(2, &[])]).as_bytes()).unwrap();
    assert_eq!(pair(&found[0]).vulnerable_code.as_deref(), Some(long.as_str()));
    assert_eq!(outline(&found), [Ok(1), Ok(2)]);
}

#[test]
fn columns_are_found_by_name_and_lines_may_end_in_crlf() {
    // The last column holds code whose own carriage return is no line end.
    let text = "\u{feff}vul,lang,project,commit_id,CVE ID,extra,CWE ID,func_after,func_before\r\n\
                1,C,p,c,CVE-1-1,x,,after,\"before\r\"\r\n\r\n0,C,p,c,CVE-1-2,x,,,before\r\n";
    let found = read(text.as_bytes());
    assert_eq!(outline(&found), [Ok(1), Ok(2)]);
    assert_eq!(pair(&found[0]).vulnerable_code.as_deref(), Some("before\r"));
    assert_eq!(pair(&found[1]).secure_code.as_deref(), Some("before"));
}

#[test]
fn a_carriage_return_in_an_unquoted_field_ends_no_record() {
    let text = file(&[record(1, &[("lines_before", "LINE")]), record(2, &[])]).replace("LINE", "\ta;\r");
    assert_eq!(outline(&read(text.as_bytes())), [Ok(1), Ok(2)]);
}

#[test]
fn bytes_that_are_no_utf8_harm_only_where_they_are_read() {
    let stray = |column: &str| {
        let text = file(&[record(1, &[(column, "STRAY")]), record(2, &[])]);
        let at = text.find("STRAY").unwrap();
        let mut bytes = text.into_bytes();
        bytes[at] = 0xff;
        outline(&read(&bytes))
    };
    assert_eq!(stray("patch"), [Ok(1), Ok(2)]);
    assert_eq!(stray("commit_message"), [Ok(1), Ok(2)]);
    for column in ["func_before", "func_after", "commit_id", "CVE ID", "project"] {
        assert_eq!(stray(column), [Err(RejectReason::InvalidUtf8), Ok(2)], "{column}");
    }
}

#[test]
fn a_bad_value_is_a_reject_that_says_what_is_wrong() {
    let cases = [
        (vec![("vul", "2")], RejectReason::InvalidValue, "vul is \"2\""),
        (vec![("vul", "")], RejectReason::MissingField, "vul has no value"),
        (vec![("Publish Date", "January 2019")], RejectReason::InvalidValue, "Publish Date is \"January 2019\""),
        (vec![("Publish Date", "2019-02-30")], RejectReason::InvalidValue, "2019-02-30"),
        (vec![("func_before", " \n"), ("func_after", "")], RejectReason::EmptyCode, "holds no code"),
        (vec![("vul", "0"), ("func_before", "")], RejectReason::EmptyCode, "holds no code"),
    ];
    for (values, reason, words) in cases {
        let found = read(file(&[record(1, &values), record(2, &[])]).as_bytes());
        assert_eq!(reject(&found[0]).reason, reason);
        assert!(reject(&found[0]).detail.contains(words), "{:?}", reject(&found[0]));
        assert!(reject(&found[0]).raw.as_deref().unwrap().starts_with("1,"));
        assert_eq!(pair(&found[1]).cve.as_deref(), Some("CVE-2019-2"));
    }
}

#[test]
fn a_record_with_another_number_of_fields_costs_itself_alone() {
    let short = "2,a,b".to_owned();
    let long = format!("{},more", record(2, &[]));
    for bad in [short, long] {
        let found = read(file(&[record(1, &[]), bad.clone(), record(3, &[])]).as_bytes());
        assert_eq!(outline(&found), [Ok(1), Err(RejectReason::InvalidCsv), Ok(3)], "{bad}");
        assert_eq!(reject(&found[1]).raw.as_deref(), Some(format!("{bad}\n").as_str()));
    }
}

#[test]
fn a_lost_quote_costs_its_own_record_alone() {
    let all = [record(1, &[]), record(2, &[]), record(3, &[]), record(4, &[])];
    for (lost, _) in all[1].match_indices('"') {
        let mut broken = all.clone();
        broken[1].remove(lost);
        let found = read(file(&broken).as_bytes());
        let outlined = outline(&found);
        // Where the record still has all of its fields, it is read as it stands.
        assert_eq!((outlined.len(), outlined[0], &outlined[2..]), (4, Ok(1), &[Ok(3), Ok(4)][..]), "quote at {lost}");
    }
}

/// A record without any quote but one, which opens the summary and never closes.
fn never_closing(index: usize) -> String {
    without_quotes(index, "LOST").replace("LOST", "\"lost")
}

fn without_quotes(index: usize, summary: &str) -> String {
    let plain = ["commit_message", "func_before", "func_after", "patch"].map(|column| (column, "plain"));
    record(index, &[&plain[..], &[("Summary", summary)]].concat())
}

#[test]
fn a_lost_quote_that_makes_one_record_out_of_two_is_noticed() {
    // The summary goes on to where the next record's opens: 36 fields, the first of one record and the last of the other.
    let text = file(&[never_closing(1), record(2, &[("Summary", "a \"quote\"")]), record(3, &[])]);
    let found = read(text.as_bytes());
    assert_eq!(outline(&found), [Err(RejectReason::InvalidCsv), Ok(2), Ok(3)]);
    assert_eq!(reject(&found[0]).detail, "a quote does not close: another record begins within");
}

#[test]
fn a_quote_that_never_closes_costs_its_own_record_alone() {
    for (later, words) in [(2, "before the file ends"), (40, "before this one ends")] {
        let tail = (3..3 + later).map(|index| without_quotes(index, "s"));
        let records: Vec<String> = [record(1, &[]), never_closing(2)].into_iter().chain(tail).collect();
        let found = read(file(&records).as_bytes());
        let expected: Vec<_> =
            [Ok(1), Err(RejectReason::InvalidCsv)].into_iter().chain((3..3 + later).map(Ok)).collect();
        assert_eq!(outline(&found), expected);
        assert!(reject(&found[1]).detail.contains(words), "{:?}", reject(&found[1]));
        assert_eq!(reject(&found[1]).raw.as_deref(), Some(format!("{}\n", never_closing(2)).as_str()));
    }
}

#[test]
fn a_record_past_the_limit_is_skipped_and_the_next_one_is_read() {
    let long = "int f;\n0,1\n".repeat(1_000);
    let found = read(file(&[record(1, &[]), record(2, &[("func_before", &long)]), record(3, &[])]).as_bytes());
    assert_eq!(outline(&found), [Ok(1), Err(RejectReason::TooLarge), Ok(3)]);
    assert!(reject(&found[1]).detail.contains("max_record_bytes is 4000"));
}

#[test]
fn without_an_index_records_are_found_again_all_the_same() {
    let header = "CVE ID,CWE ID,commit_id,func_after,func_before,lang,project,vul\n";
    let good = |index: usize| format!("CVE-1-{index},,c,\"int a;\nint b;\n\",\"int a;\n\",C,p,1\n");
    let text = [header, &good(1), "CVE-1-2,,\"c,\"int a;\nint b;\n\",x\n", &good(3), &good(4)].concat();
    let outlined = outline(&read(text.as_bytes()));
    assert_eq!(outlined, [Ok(1), Err(RejectReason::InvalidCsv), Ok(3), Ok(4)]);
}

#[test]
fn a_file_of_another_dataset_stops_the_run() {
    for text in ["", "a,b,c\n1,2,3\n", "{\"func\":\"f\",\"target\":1}\n", "\0\x01\x02", "\"never closed"] {
        let error = read_with(LIMIT, text.as_bytes()).unwrap_err();
        let StageError::Source { message, remedy } = error else { panic!("{error}") };
        assert!(
            message.contains("MSR_data_cleaned.csv is not a BigVul file") && remedy.contains("dataset"),
            "{message}"
        );
    }
    let without = HEADER.replace(",vul,", ",label,");
    let message = read_with(LIMIT, without.as_bytes()).unwrap_err().to_string();
    assert!(message.ends_with("it has no column vul"), "{message}");
}

#[test]
fn a_header_alone_is_a_file_without_records() {
    assert!(read(HEADER.as_bytes()).is_empty());
    assert!(read(format!("{HEADER}\r\n\n\r\n").as_bytes()).is_empty());
}

/// Code of any kind, rich in what CSV treats as special.
fn any_code() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "\"", ",", "\n", "\r\n", "\r", "\"\"", "int a;", " ", "\0", "ü", "1,2", "\n3,", "\\", "{",
    ]);
    prop::collection::vec(parts, 0..30).prop_map(|parts| parts.concat())
}

/// The byte behind each record of a whole file.
fn ends_of(whole: &[Located], bytes: usize) -> Vec<u64> {
    whole.iter().skip(1).map(|located| located.byte_offset).chain([bytes as u64]).collect()
}

proptest! {
    #[test]
    fn whatever_code_is_written_is_read_back(
        codes in prop::collection::vec((any_code(), any_code(), any_code()), 1..6),
    ) {
        let written = |(index, (before, after, patch)): (usize, &(String, String, String))| {
            record(index, &[("func_before", before), ("func_after", after), ("patch", patch)])
        };
        let records: Vec<String> = codes.iter().enumerate().map(written).collect();
        let found = read_with(1 << 20, file(&records).as_bytes()).unwrap().1;
        prop_assert_eq!(found.len(), codes.len());
        for (located, (before, after, _)) in found.iter().zip(&codes) {
            match &located.outcome {
                Ok(pair) => {
                    prop_assert_eq!(pair.vulnerable_code.as_ref(), Some(before));
                    prop_assert_eq!(pair.secure_code.as_ref(), Some(after));
                }
                Err(reject) => {
                    prop_assert_eq!(reject.reason, RejectReason::EmptyCode);
                    prop_assert!(before.trim().is_empty() && after.trim().is_empty());
                }
            }
        }
    }

    #[test]
    fn cutting_a_file_loses_the_cut_record_alone(cut in 0.0..1.0f64, records in 1..5usize) {
        let all: Vec<String> = (0..records).map(|index| record(index, &[])).collect();
        let text = file(&all);
        let cut = HEADER.len() + 1 + ((text.len() - HEADER.len() - 1) as f64 * cut) as usize;
        let whole = read(text.as_bytes());
        let found = read(&text.as_bytes()[..cut]);
        let ends = ends_of(&whole, text.len());
        let kept = ends.iter().filter(|end| **end <= cut as u64).count();
        prop_assert_eq!(&found[..kept], &whole[..kept]);
        prop_assert!(found.len() <= kept + 1);
    }

    #[test]
    fn taking_bytes_out_loses_the_records_they_are_of_alone(at in 0.0..1.0f64, count in 1..60usize) {
        let all: Vec<String> = (10..16).map(|index| record(index, &[])).collect();
        let text = file(&all);
        let start = HEADER.len() + 1 + ((text.len() - HEADER.len() - 1) as f64 * at) as usize;
        let end = (start + count).min(text.len());
        let bytes = [&text.as_bytes()[..start], &text.as_bytes()[end..]].concat();
        let whole = read(text.as_bytes());
        let found = read(&bytes);
        let ends = ends_of(&whole, text.len());
        for (index, located) in whole.iter().enumerate() {
            let is_hurt = located.byte_offset < end as u64 && ends[index] > start as u64;
            // The record behind a line end that was taken goes with the record before.
            let is_glued = located.byte_offset == end as u64;
            if !is_hurt && !is_glued {
                prop_assert!(found.iter().any(|other| other.outcome == located.outcome), "record {} is lost", index);
            }
        }
    }

    #[test]
    fn any_bytes_behind_a_header_are_read_without_a_panic(
        parts in prop::collection::vec(prop_oneof![
            any_code().prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..20),
            (0..3usize).prop_map(|index| format!("{}\n", record(index, &[])).into_bytes()),
        ], 0..12),
        limit in 50..3_000usize,
    ) {
        let text = [HEADER.as_bytes(), b"\n", &parts.concat()].concat();
        if limit > HEADER.len() + 1 {
            prop_assert!(read_with(limit, &text).is_ok());
        }
        let _ = read_with(limit, &parts.concat());
    }
}
