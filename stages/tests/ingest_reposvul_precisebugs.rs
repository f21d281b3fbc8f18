//! ReposVul, PreciseBugs and SVEN's marks, on real records.
//!
//! Skipped where the data is absent. `SECPRM_REAL_DATA` names its folder; the default is `shared/data` beside the workspace.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use secprm_stages::ingest::{DatasetKind, FileContext, Granularity, Located, Pair, RawInput, Subset, reader_for};

fn real(path: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let found = folder.join(path);
    if !found.exists() {
        eprintln!("skipped: there is no {}", found.display());
        return None;
    }
    Some(found)
}

/// Reads a real file at all granularities; every record of it is in at least one row, in order.
fn read(kind: DatasetKind, path: &Path) -> Vec<Located> {
    let context = FileContext {
        path: path.to_str().unwrap().to_owned(),
        max_record_bytes: 64 << 20,
        granularities: Granularity::ALL.to_vec(),
    };
    let mut found: Vec<Located> = Vec::new();
    let mut input = BufReader::new(File::open(path).unwrap());
    let records = reader_for(kind)
        .read(&context, RawInput::Stream(&mut input), &mut |located| {
            found.push(located);
            Ok(())
        })
        .unwrap();
    let mut rows: Vec<u64> = found.iter().map(|located| located.row).collect();
    assert!(rows.is_sorted());
    rows.dedup();
    assert_eq!(rows, (0..records).collect::<Vec<_>>());
    found
}

/// Counts pairs by granularity and subset, rejects by reason.
fn counts(found: &[Located]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for located in found {
        let key = match &located.outcome {
            Ok(pair) => format!("{} {}", pair.granularity.as_str(), pair.subset.as_str()),
            Err(reject) => reject.reason.as_str().to_owned(),
        };
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn expected(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect()
}

fn pairs(found: &[Located]) -> impl Iterator<Item = &Pair> {
    found.iter().filter_map(|located| located.outcome.as_deref().ok())
}

#[test]
fn reposvul_gives_pairs_of_all_three_granularities() {
    let Some(path) = real("reposvul/ReposVul_python.jsonl") else { return };
    let found = read(DatasetKind::ReposVul, &path);
    let expected = expected(&[
        ("file paired", 12),
        ("file unpaired", 6),
        ("function paired", 15),
        ("function unpaired", 38),
        ("repository paired", 6),
        ("no_counterpart", 1),
        ("not_vulnerable", 11),
        ("outdated", 10),
        ("unsupported_language", 7),
    ]);
    assert_eq!(counts(&found), expected);
    let unnamed =
        pairs(&found).filter(|pair| pair.granularity == Granularity::Function && pair.function_name.is_none());
    assert_eq!(unnamed.count(), 0);
    // Both versions of a function have its name: none met another one.
    for pair in pairs(&found).filter(|pair| pair.granularity == Granularity::Function && pair.subset == Subset::Paired)
    {
        let name = pair.function_name.as_deref().unwrap();
        for code in [&pair.vulnerable_code, &pair.secure_code] {
            let head = code.as_deref().unwrap().lines().next().unwrap();
            assert!(head.contains(name), "{name}: {head}");
        }
    }
    assert!(
        pairs(&found).all(|pair| pair.committed_at.is_some() && pair.published_at.is_some() && !pair.cwe.is_empty())
    );
}

#[test]
fn precisebugs_gives_a_pair_for_each_file_in_a_known_language() {
    let Some(folder) = real("precisebugs/CVEs") else { return };
    let mut all = Vec::new();
    for cve in ["CVE-2008-10004", "CVE-2009-10001", "CVE-2009-10002", "CVE-2010-10008"] {
        let found = read(DatasetKind::PreciseBugs, &folder.join(cve).join("BugEntry.json"));
        assert!(pairs(&found).all(|pair| pair.cve.as_deref() == Some(cve) && pair.project.is_some()));
        all.extend(found);
    }
    let expected = expected(&[("file paired", 4), ("repository paired", 1), ("unsupported_language", 2)]);
    assert_eq!(counts(&all), expected);
    assert!(pairs(&all).all(|pair| pair.published_at.is_some() && pair.commit_id.is_some()));
    assert_eq!(pairs(&all).filter(|pair| pair.secure_code.as_deref().unwrap().contains("\r\n")).count(), 4);
}

#[test]
fn svens_marks_are_lines_of_the_vulnerable_version() {
    let Some(folder) = real("sven") else { return };
    let (mut marks, mut marked_pairs, mut contradictions) = (0, 0, Vec::new());
    for split in ["train", "val"] {
        for cwe in ["022", "078", "079", "089", "125", "190", "416", "476", "787"] {
            let found = read(DatasetKind::Sven, &folder.join(split).join(format!("cwe-{cwe}.jsonl")));
            for pair in pairs(&found) {
                marks += pair.expert_lines.len();
                marked_pairs += usize::from(!pair.expert_lines.is_empty());
            }
            contradictions.extend(found.into_iter().filter_map(|located| located.outcome.err()));
        }
    }
    // 105 and 11 fixes only insert; of the other 687 pairs, one has no mark that holds.
    assert_eq!((marks, marked_pairs), (1740, 686));
    let told: Vec<&str> = contradictions.iter().filter_map(|reject| reject.detail.split(" at ").nth(1)).collect();
    assert_eq!(told, ["line 6, 9; the pair is kept without that", "line 8; the pair is kept without that"]);
}
