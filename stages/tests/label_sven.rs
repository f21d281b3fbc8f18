//! Labels of SVEN's real records: the published numbers in mode `paper`, the promises of mode `natural`.
//!
//! Skipped where the data folder is not there. `SECPRM_ALL_CUTS=1` tries the second law at every cut instead of a sample.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use secprm_stages::label::{
    CodeDifference, Label, LabelMode, LabelOptions, NoSample, PairLabels, SegmentOptions, Sources, VersionLabels,
    code_difference, label_pair, segment,
};
use secprm_stages::language::Language;
use serde_json::Value;
use sha2::{Digest, Sha256};

struct Record {
    name: String,
    vulnerable: String,
    fixed: String,
    language: Language,
}

fn data_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    if folder.join("sven").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no folder sven in {}", folder.display());
    None
}

fn records(split: &str) -> Vec<Record> {
    let Some(folder) = data_folder() else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("sven").join(split)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut records = Vec::new();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let raw: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| raw[key].as_str().unwrap().to_owned();
            records.push(Record {
                name: format!("{} {}", text("commit_link"), text("func_name")),
                vulnerable: text("func_src_before"),
                fixed: text("func_src_after"),
                language: Language::from_path(&text("file_name")),
            });
        }
    }
    records
}

fn label<'a>(record: &'a Record, mode: LabelMode) -> Result<PairLabels<'a>, NoSample> {
    label_pair(&record.vulnerable, &record.fixed, record.language, mode, &LabelOptions::default())
}

fn characters(version: &VersionLabels<'_>) -> usize {
    let parts: usize = version.texts().map(|text| text.chars().count()).sum();
    parts + 2 * version.steps.len().saturating_sub(1)
}

#[test]
fn paper_mode_equals_every_golden_record() {
    let Some(folder) = data_folder() else { return };
    let golden = fs::read_to_string(folder.join("../golden/sven_train.jsonl")).unwrap();
    let records = records("train");
    assert_eq!(golden.lines().count(), records.len());
    for (line, record) in golden.lines().zip(&records) {
        let expected: Value = serde_json::from_str(line).unwrap();
        let labels = label(record, LabelMode::Paper).unwrap();
        for (side, version) in [("vulnerable", &labels.vulnerable), ("fixed", &labels.fixed)] {
            let expected = &expected[side];
            let digits: String = version.labels.iter().map(|label| label.as_i8().to_string()).collect();
            let joined = version.texts().collect::<Vec<_>>().join("\0");
            let hash = Sha256::digest(joined.as_bytes());
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(expected["n"], version.steps.len(), "{} {side}", record.name);
            assert_eq!(expected["labels"], digits, "{} {side}", record.name);
            assert_eq!(expected["chars"], characters(version), "{} {side}", record.name);
            assert_eq!(expected["sha256_nul_joined"], hash, "{} {side}", record.name);
        }
    }
}

/// One row of table 11: pairs, characters and steps of both versions (rounded means), percentages of vulnerable steps.
#[derive(Debug, PartialEq)]
struct Row {
    pairs: usize,
    characters: [f64; 2],
    steps: [f64; 2],
    vulnerable_in_vulnerable: f64,
    vulnerable_in_all: f64,
}

fn row(records: &[Record]) -> Row {
    let mut characters_sum = [0, 0];
    let mut steps = [0, 0];
    let mut zeros = 0;
    let mut share = 0.0;
    for record in records {
        let labels = label(record, LabelMode::Paper).unwrap();
        for (side, version) in [&labels.vulnerable, &labels.fixed].into_iter().enumerate() {
            characters_sum[side] += characters(version);
            steps[side] += version.steps.len();
        }
        let found = labels.vulnerable.vulnerable_steps();
        zeros += found;
        share += found as f64 / labels.vulnerable.steps.len() as f64;
    }
    let pairs = records.len();
    let hundredths = |share: f64| (share * 10_000.0).round() / 100.0;
    Row {
        pairs,
        characters: characters_sum.map(|sum| (sum as f64 / pairs as f64).round()),
        steps: steps.map(|sum| (sum as f64 / pairs as f64).round()),
        vulnerable_in_vulnerable: hundredths(share / pairs as f64),
        vulnerable_in_all: hundredths(zeros as f64 / (steps[0] + steps[1]) as f64),
    }
}

#[test]
fn paper_mode_prints_the_rows_of_table_11() {
    let (train, test) = (records("train"), records("val"));
    if train.is_empty() {
        return;
    }
    assert_eq!(
        row(&train),
        Row {
            pairs: 720,
            characters: [2964.0, 3022.0],
            steps: [15.0, 15.0],
            vulnerable_in_vulnerable: 24.20,
            vulnerable_in_all: 5.99,
        }
    );
    assert_eq!(
        row(&test),
        Row {
            pairs: 83,
            characters: [3292.0, 3352.0],
            steps: [14.0, 14.0],
            vulnerable_in_vulnerable: 21.84,
            vulnerable_in_all: 5.81,
        }
    );
}

#[test]
fn paper_mode_shows_the_published_defects() {
    for (split, only_insertions, forced) in [("train", 105, 4), ("val", 11, 0)] {
        let records = records(split);
        if records.is_empty() {
            return;
        }
        let only_empty = |labels: &PairLabels<'_>| {
            let version = &labels.vulnerable;
            let vulnerable = |step: &usize| version.labels[*step] == Label::Vulnerable;
            (0..version.steps.len()).filter(vulnerable).all(|step| version.step_text(step).trim().is_empty())
        };
        let mut empty = 0;
        let mut last = 0;
        for record in &records {
            let labels = label(record, LabelMode::Paper).unwrap();
            empty += usize::from(only_empty(&labels));
            last += usize::from(labels.vulnerable.sources.contains(&Sources::FORCED));
        }
        assert_eq!(empty, only_insertions, "{split}: samples whose only 0 is on an empty step");
        assert_eq!(last, forced);
    }
}

#[test]
fn natural_mode_rejects_exactly_the_pairs_without_a_code_difference() {
    for split in ["train", "val"] {
        let mut counts = [0; 4];
        for record in records(split) {
            let difference = code_difference(&record.vulnerable, &record.fixed, record.language);
            counts[difference as usize] += 1;
            match label(&record, LabelMode::Natural) {
                Ok(labels) => {
                    assert_eq!(difference, CodeDifference::Code, "{}", record.name);
                    assert!(labels.vulnerable.vulnerable_steps() > 0, "{}", record.name);
                    assert_eq!(labels.fixed.vulnerable_steps(), 0);
                }
                Err(error) => {
                    assert_eq!(error, NoSample::NoCodeDifference(difference));
                    assert_ne!(difference, CodeDifference::Code, "{}", record.name);
                    println!("{split}: {} ({})", record.name, difference.as_str());
                }
            }
        }
        println!("{split}: none, whitespace, comment, code: {counts:?}");
        if split == "train" && counts != [0; 4] {
            assert!(counts[0] >= 4);
        }
    }
}

#[test]
fn natural_steps_are_complete_and_hold_code() {
    for record in records("train").iter().chain(&records("val")) {
        for code in [&record.vulnerable, &record.fixed] {
            let steps = segment(code, record.language, &SegmentOptions::default());
            let mut end = 0;
            for step in &steps {
                assert_eq!(step.bytes.start, end);
                assert!(step.bytes.end > end);
                end = step.bytes.end;
                let lines = code[..step.bytes.start].lines().count() as u32;
                assert_eq!(step.lines.0, lines + 1, "{}", record.name);
            }
            assert_eq!(end, code.len());
        }
    }
}

#[test]
fn natural_steps_are_causal_on_real_code() {
    let every = std::env::var_os("SECPRM_ALL_CUTS").is_some();
    let options = SegmentOptions::default();
    let mut state = 1u64;
    for record in records("train").iter().chain(&records("val")) {
        for code in [&record.vulnerable, &record.fixed] {
            let whole = segment(code, record.language, &options);
            let cuts: Vec<usize> = if every {
                (0..code.len()).collect()
            } else {
                (0..12)
                    .map(|_| {
                        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                        (state >> 33) as usize % (code.len() + 1)
                    })
                    .collect()
            };
            for cut in cuts.into_iter().filter(|cut| code.is_char_boundary(*cut)) {
                let prefix = segment(&code[..cut], record.language, &options);
                if let Some((_, complete)) = prefix.split_last() {
                    assert_eq!(complete, &whole[..complete.len()], "{} at {cut}", record.name);
                }
            }
        }
    }
}

#[test]
fn what_natural_mode_says_of_sven_is_reported() {
    for split in ["train", "val"] {
        let records = records(split);
        if records.is_empty() {
            return;
        }
        let [mut samples, mut steps, mut zeros, mut one_step, mut all_zero, mut withheld] = [0; 6];
        let [mut by_diff, mut by_insertion] = [0; 2];
        for record in &records {
            let Ok(labels) = label(record, LabelMode::Natural) else {
                continue;
            };
            let version = &labels.vulnerable;
            samples += 1;
            steps += version.steps.len();
            zeros += version.vulnerable_steps();
            one_step += usize::from(version.steps.len() == 1);
            all_zero += usize::from(version.vulnerable_steps() == version.steps.len());
            withheld += usize::from(version.supervised.contains(&false));
            let has = |source| version.sources.iter().any(|all| all.contains(source));
            by_diff += usize::from(has(Sources::DIFF));
            by_insertion += usize::from(has(Sources::INSERTION));
        }
        println!(
            "{split}: {samples} vulnerable samples, {steps} steps, {zeros} zeros; {one_step} of one step, {all_zero} with zeros \
             alone, {withheld} with unsupervised steps; {by_diff} by diff, {by_insertion} by insertion"
        );
        assert!(zeros >= samples);
    }
}
