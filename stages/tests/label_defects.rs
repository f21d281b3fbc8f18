//! The label-quality report over SVEN: what the published procedure gets wrong, and what experts say of ours.
//!
//! Skipped where the data folder is not there.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use secprm_stages::label::{
    CodeDifference, CodePair, Defects, Label, LabelMode, LabelOptions, Sources, code_difference, strip_comments,
};
use secprm_stages::language::Language;
use serde_json::Value;

struct Record {
    /// File and row.
    name: String,
    path: String,
    vulnerable: String,
    fixed: String,
    expert_lines: Vec<u32>,
}

impl Record {
    fn pair(&self) -> CodePair<'_> {
        let language = Language::from_path(&self.path);
        CodePair { expert_lines: &self.expert_lines, ..CodePair::new(&self.vulnerable, &self.fixed, language) }
    }
}

fn records(split: &str) -> Vec<Record> {
    let folder = std::env::var_os("SECPRM_REAL_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from)
        .join("sven")
        .join(split);
    let Ok(entries) = fs::read_dir(&folder) else {
        eprintln!("skipped: no folder {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut records = Vec::new();
    for file in files {
        for (row, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let raw: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| raw[key].as_str().unwrap().to_owned();
            let deleted = raw["line_changes"]["deleted"].as_array().unwrap();
            records.push(Record {
                name: format!("{split}/{} {row}", file.file_name().unwrap().to_string_lossy()),
                path: text("file_name"),
                vulnerable: text("func_src_before"),
                fixed: text("func_src_after"),
                expert_lines: deleted.iter().map(|line| line["line_no"].as_u64().unwrap() as u32).collect(),
            });
        }
    }
    records
}

/// What a mode gets wrong in a split, as far as it is promised.
#[derive(Debug, PartialEq)]
struct Counts {
    pairs: usize,
    edges: usize,
    dependent: [usize; 2],
    cut_statements: usize,
    only_empty: usize,
    forced: usize,
    both_labels: usize,
}

impl Counts {
    fn of(records: &[Record], mode: LabelMode) -> (Counts, usize) {
        let mut defects = Defects::default();
        records.iter().for_each(|record| defects.add(&record.pair(), mode, &LabelOptions::default()));
        let counts = Counts {
            pairs: defects.pairs,
            edges: defects.edges,
            dependent: [defects.dependent_edges, defects.pairs_with_dependent_edges],
            cut_statements: defects.cut_statements,
            only_empty: defects.only_empty_zeros,
            forced: defects.forced_zeros,
            both_labels: defects.texts_with_both_labels(),
        };
        (counts, defects.missed_steps)
    }
}

#[test]
fn paper_mode_has_the_published_defects() {
    let [train, test] = ["train", "val"].map(records);
    if train.is_empty() {
        return;
    }
    let (counts, missed_steps) = Counts::of(&train, LabelMode::Paper);
    assert_eq!(
        counts,
        Counts {
            pairs: 720,
            edges: 2177,
            dependent: [1740, 667],
            // How many statements are cut depends on who tells statements apart: about 191 elsewhere.
            cut_statements: 182,
            only_empty: 105,
            forced: 4,
            both_labels: 24,
        }
    );
    assert!(missed_steps > 0);
    let (counts, _) = Counts::of(&test, LabelMode::Paper);
    assert_eq!(
        counts,
        Counts {
            pairs: 83,
            edges: 224,
            dependent: [189, 80],
            // About 23 elsewhere.
            cut_statements: 26,
            only_empty: 11,
            forced: 0,
            both_labels: 1,
        }
    );
}

#[test]
fn natural_mode_has_none_of_them() {
    for split in ["train", "val"] {
        let records = records(split);
        if records.is_empty() {
            return;
        }
        let (counts, missed_steps) = Counts::of(&records, LabelMode::Natural);
        println!("{split}: {counts:?}");
        assert_eq!(counts.dependent, [0, 0]);
        assert_eq!((counts.cut_statements, counts.only_empty, counts.forced, missed_steps), (0, 0, 0, 0));
    }
}

/// Says whether a line holds code: the text up to its end is other code than the text up to its start.
fn holds_code(record: &Record, line: u32) -> bool {
    let lines: Vec<&str> = record.vulnerable.split_inclusive('\n').collect();
    let (before, through) = (lines[..line as usize - 1].concat(), lines[..line as usize].concat());
    code_difference(&before, &through, Language::from_path(&record.path)) == CodeDifference::Code
}

#[test]
fn every_line_of_code_that_experts_marked_lies_in_a_vulnerable_step() {
    let mut lines = 0;
    for record in records("train").iter().chain(&records("val")) {
        let Ok(labels) = record.pair().label(LabelMode::Natural, &LabelOptions::default()) else { continue };
        let version = &labels.vulnerable;
        for line in record.expert_lines.iter().filter(|line| holds_code(record, **line)) {
            let step = version.steps.iter().position(|step| (step.lines.0..=step.lines.1).contains(line)).unwrap();
            assert_eq!(version.labels[step], Label::Vulnerable, "{} line {line}", record.name);
            assert!(version.sources[step].contains(Sources::EXPERT));
            lines += 1;
        }
    }
    println!("{lines} lines");
}

/// Compares the steps with the sources `diff` and `expert`; where they are not the same, says why.
fn disagreement(record: &Record) -> Option<String> {
    let labels = record.pair().label(LabelMode::Natural, &LabelOptions::default()).ok()?;
    let version = &labels.vulnerable;
    let only = |one, other| -> Vec<usize> {
        let sources = version.sources.iter().enumerate();
        let found = sources.filter(|(_, sources)| sources.contains(one) && !sources.contains(other));
        found.map(|(step, _)| step).collect()
    };
    let (experts, differences) = (only(Sources::EXPERT, Sources::DIFF), only(Sources::DIFF, Sources::EXPERT));
    if experts.is_empty() && differences.is_empty() {
        return None;
    }
    let of_steps = |steps: &[usize]| -> Vec<u32> {
        let marked = record.expert_lines.iter().filter(|line| holds_code(record, **line));
        let holds = |line: &&u32| {
            steps.iter().any(|step| (version.steps[*step].lines.0..=version.steps[*step].lines.1).contains(*line))
        };
        marked.filter(holds).copied().collect()
    };
    let language = Language::from_path(&record.path);
    let bare = |line: &str| strip_comments(line, language).split_whitespace().collect::<String>();
    let text = |line: &u32| record.vulnerable.lines().nth(*line as usize - 1).unwrap_or("");
    let is_kept = |line: &u32| record.fixed.lines().any(|fixed| fixed == text(line));
    let is_kept_but_for_space = |line: &u32| record.fixed.lines().any(|fixed| bare(fixed) == bare(text(line)));
    let lines = of_steps(&experts);
    let reason = match lines.is_empty() {
        true => "an equal line is matched in another place; the difference marks its step too",
        false if lines.iter().all(is_kept) => "the fixed version has the same lines, so they are matched",
        false if lines.iter().all(is_kept_but_for_space) => {
            "the lines stay, indented otherwise or with another comment"
        }
        false => "other",
    };
    Some(format!("| {} | {} | {} | {reason} |", record.name, list(&lines), differences.len()))
}

fn list(lines: &[u32]) -> String {
    lines.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

#[test]
fn where_experts_and_differences_disagree_is_listed_with_its_reason() {
    let found: Vec<String> =
        ["train", "val"].into_iter().flat_map(records).filter_map(|record| disagreement(&record)).collect();
    if found.is_empty() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/label-quality.md");
    println!("{} records\n{}", found.len(), found.join("\n"));
    assert!(found.iter().all(|row| !row.ends_with("| other |")));
    let page = fs::read_to_string(path).unwrap_or_default();
    for row in &found {
        assert!(page.contains(row.as_str()), "docs/label-quality.md lacks {row}");
    }
}
