//! A step, the options that shape steps, and the labels of one code version.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Reason, note};
use super::files::shift;
use super::{Label, Sources};

/// Places one step in a code text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Bytes of the text; always on character boundaries.
    pub bytes: Range<usize>,
    /// First and last line, 1-based and inclusive. Lines end at LF, CRLF or CR; in the published modes, whose steps may be
    /// empty, at LF alone, and an empty step ends on the line before it starts. Lines count on from file to file, and each
    /// file begins a line of its own, also where the file before it ends in none.
    pub lines: (u32, u32),
}

impl Step {
    /// Returns the step's text, or the empty text where the range does not belong to `code`.
    pub fn text<'a>(&self, code: &'a str) -> &'a str {
        code.get(self.bytes.clone()).unwrap_or("")
    }
}

/// Says what happens to comments before anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comments {
    /// They stay where they are and travel with the code after them.
    #[default]
    Keep,
    /// They are taken out of the text first; steps are ranges of the text without them.
    Strip,
}

/// Shapes the steps of mode `natural`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// Lines a chunk may have before it is cut at the last statement end.
    pub max_step_lines: u32,
    /// Bytes a chunk may have before it is cut at the last statement end.
    pub max_step_bytes: usize,
    /// Texts that join the step before them when they are all that a chunk holds, beside the statement kinds.
    pub suffix_texts: Vec<String>,
    /// Texts that join the step after them when they are all that a chunk holds, beside the statement kinds.
    pub prefix_texts: Vec<String>,
}

impl Default for SegmentOptions {
    fn default() -> SegmentOptions {
        SegmentOptions {
            max_step_lines: 40,
            max_step_bytes: 8 * 1024,
            suffix_texts: Vec::new(),
            prefix_texts: Vec::new(),
        }
    }
}

/// Holds the steps of one code version with what is known about each; all vectors but the last have one entry per step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionLabels<'a> {
    /// The text that the steps' byte ranges refer to: the given one, unless comments were taken out of it.
    pub text: Cow<'a, str>,
    /// The steps, in the order of the text.
    pub steps: Vec<Step>,
    /// The label of each step.
    pub labels: Vec<Label>,
    /// Where each label comes from.
    pub sources: Vec<Sources>,
    /// Whether each label may be learned: false where a causal model cannot tell the two versions apart.
    pub supervised: Vec<bool>,
    /// The position of the file that each step lies in; 0 where the version is one text.
    pub files: Vec<u32>,
    /// Why steps of a pair's vulnerable version are labelled 0, by step; at least one entry for each of them, and none for any
    /// other. Unlike the others this has not one entry per step.
    pub evidence: Vec<Evidence>,
}

impl<'a> VersionLabels<'a> {
    /// Labels every step secure, for the given reason, and supervised.
    pub(super) fn all_secure(text: Cow<'a, str>, steps: Vec<Step>, source: Sources) -> Self {
        let count = steps.len();
        VersionLabels {
            text,
            steps,
            labels: vec![Label::Secure; count],
            sources: vec![source; count],
            supervised: vec![true; count],
            files: vec![0; count],
            evidence: Vec::new(),
        }
    }

    /// Puts the versions of a pair's files together: one text, whose steps keep their labels and get their file's position.
    /// Each file comes with the number of its lines.
    pub(super) fn joined(whole: &'a str, files: Vec<(VersionLabels<'a>, u32)>) -> Self {
        let mut all = VersionLabels::all_secure(Cow::Borrowed(whole), Vec::new(), Sources::NONE);
        let (mut bytes_before, mut lines_before) = (0, 0);
        for (index, (mut file, lines)) in files.into_iter().enumerate() {
            shift(&mut file.steps, bytes_before, lines_before);
            let steps_before = all.steps.len();
            let moved = |one: Evidence| Evidence { step: one.step + steps_before, ..one };
            all.evidence.extend(file.evidence.into_iter().map(moved));
            all.files.extend(file.steps.iter().map(|_| index as u32));
            all.steps.append(&mut file.steps);
            all.labels.append(&mut file.labels);
            all.sources.append(&mut file.sources);
            all.supervised.append(&mut file.supervised);
            bytes_before += file.text.len();
            lines_before += lines;
        }
        all
    }

    /// Marks a step vulnerable for one more reason; the default source gives way to the first real one.
    pub(super) fn mark(&mut self, step: usize, reason: Reason) {
        if let (Some(label), Some(sources)) = (self.labels.get_mut(step), self.sources.get_mut(step)) {
            *sources = match *label {
                Label::Secure => reason.source,
                Label::Vulnerable => sources.with(reason.source),
            };
            *label = Label::Vulnerable;
            note(&mut self.evidence, step, reason);
        }
    }

    /// Puts the evidence in the order of the steps, once all marks are made.
    pub(super) fn order_evidence(&mut self) {
        self.evidence.sort_unstable();
        self.evidence.dedup();
    }

    /// Returns the step that holds a line, or the last one behind all of them.
    pub(super) fn step_of_line(&self, line: u32) -> usize {
        self.steps.partition_point(|step| step.lines.1 < line).min(self.steps.len().saturating_sub(1))
    }

    /// Returns the text of one step, or the empty text where there is no such step.
    pub fn step_text(&self, step: usize) -> &str {
        self.steps.get(step).map_or("", |step| step.text(&self.text))
    }

    /// Yields the texts of all steps, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| step.text(&self.text))
    }

    /// Counts the steps labelled vulnerable.
    pub fn vulnerable_steps(&self) -> usize {
        self.labels.iter().filter(|label| **label == Label::Vulnerable).count()
    }
}
