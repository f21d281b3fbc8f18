//! Labels that come with a pair (rule 10): lines that experts marked, and what static analysers found.

use serde::{Deserialize, Serialize};

use super::evidence::Reason;
use super::natural::Mark;
use super::pair::LabelOptions;
use super::version::FileVersions;
use super::{CodePair, Sources};

/// Names one kind of labels that come with a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// Lines that the dataset's experts marked.
    Expert,
    /// What static analysers found.
    Analyzer,
}

impl Given {
    /// Lists every kind.
    pub const ALL: [Given; 2] = [Given::Expert, Given::Analyzer];
}

/// Returns the given lines that hold code; what lies on comments, blank lines or outside of the text marks nothing.
pub(super) fn marks(pair: &CodePair<'_>, files: &[FileVersions<'_>], options: &LabelOptions) -> Vec<Mark> {
    let mut marks = Vec::new();
    if options.given.contains(&Given::Expert) {
        for line in pair.expert_lines {
            if let Some((file, line)) = place(files, *line) {
                let lines = file.vulnerable.code_lines_of_original(line, line);
                marks.extend(lines.map(|line| (line, Reason::given(Sources::EXPERT, (line, line), None))));
            }
        }
    }
    if options.given.contains(&Given::Analyzer) {
        for finding in pair.findings {
            if let Some(file) = files.get(finding.file) {
                let lines = file.vulnerable.code_lines_of_original(finding.start_line, finding.end_line);
                let lines: Vec<u32> = lines.collect();
                let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
                let rule = finding.rule.clone();
                let reason = Reason::given(Sources::ANALYZER, (*first, *last), rule);
                marks.extend(lines.iter().map(|line| (*line, reason.clone())));
            }
        }
    }
    marks
}

/// Finds the file of a line of the whole original version, and its number there.
fn place<'f, 'a>(files: &'f [FileVersions<'a>], line: u32) -> Option<(&'f FileVersions<'a>, u32)> {
    let mut line = line;
    for file in files {
        let lines = file.vulnerable.original_lines();
        if line <= lines {
            return Some((file, line));
        }
        line -= lines;
    }
    None
}
