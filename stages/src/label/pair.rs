//! Labels both versions of a pair at once.

use super::align::AlignmentKind;
use super::callers::{Propagate, Propagation};
use super::difference::CodeDifference;
use super::files::{FileEnds, Finding};
use super::given::Given;
use super::{Comments, LabelMode, SegmentOptions, VersionLabels, cleaned, natural, paper};
use crate::language::Language;

/// Shapes the labels of pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelOptions {
    /// Shapes the steps of mode `natural`.
    pub segment: SegmentOptions,
    /// What happens to comments before anything else, in mode `natural`.
    pub comments: Comments,
    /// Elementary comparisons that Gestalt pattern matching may take in a file before the histogram diff replaces it.
    pub alignment_budget: u64,
    /// What is marked of the functions that call a vulnerable one (rule 8).
    pub propagate: Propagate,
    /// The largest share of a sample's steps that rule 8 may mark, from 0 to 1.
    pub max_propagated_share: f64,
    /// Which labels that come with a pair count (rule 10).
    pub given: Vec<Given>,
}

impl Default for LabelOptions {
    /// The budget is a few tenths of a second; no pair of SVEN needs a hundredth of it.
    fn default() -> LabelOptions {
        LabelOptions {
            segment: SegmentOptions::default(),
            comments: Comments::Keep,
            alignment_budget: 100_000_000,
            propagate: Propagate::Function,
            max_propagated_share: 0.5,
            given: Given::ALL.to_vec(),
        }
    }
}

/// Holds both versions of a pair and what is known about them beforehand.
#[derive(Clone, Copy, Debug)]
pub struct CodePair<'a> {
    /// The vulnerable version.
    pub vulnerable: &'a str,
    /// The fixed version.
    pub fixed: &'a str,
    /// The language, where the pair is one text.
    pub language: Language,
    /// The files that the versions are made of, in order; none where each version is one text.
    ///
    /// Ends that descend, lie within a character or stop before the text ends make no files: the pair then counts as one text.
    pub files: &'a [FileEnds],
    /// Lines of the vulnerable version, from 1, that experts marked.
    pub expert_lines: &'a [u32],
    /// What static analysers found in the vulnerable version; a file or line that is not there marks nothing.
    pub findings: &'a [Finding],
}

impl<'a> CodePair<'a> {
    /// Makes a pair of two texts of which nothing else is known.
    pub fn new(vulnerable: &'a str, fixed: &'a str, language: Language) -> CodePair<'a> {
        CodePair { vulnerable, fixed, language, files: &[], expert_lines: &[], findings: &[] }
    }

    /// Splits both versions into steps and labels them.
    ///
    /// Steps are byte ranges of the given texts (of [`VersionLabels::text`], which is another text only where comments are
    /// taken out). No step crosses the end of a file, and each file is split in its own language. Mode `natural` gives every
    /// vulnerable version at least one step labelled 0. Modes `paper` and `paper_cleaned` reject nothing and know neither
    /// given labels nor callers. Deterministic; linear but for alignment and syntax trees, which have budgets.
    ///
    /// # Errors
    ///
    /// In mode `natural`, a pair without a code difference, or whose vulnerable version is empty.
    pub fn label(&self, mode: LabelMode, options: &LabelOptions) -> Result<PairLabels<'a>, NoSample> {
        match mode {
            LabelMode::Natural => natural::label(self, options),
            LabelMode::Paper => Ok(paper::label(self, options, |_, _| {})),
            LabelMode::PaperCleaned => {
                Ok(paper::label(self, options, |version, language| cleaned::clean(version, language, &options.segment)))
            }
        }
    }
}

/// Holds everything that labelling says about a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairLabels<'a> {
    /// The vulnerable version.
    pub vulnerable: VersionLabels<'a>,
    /// The fixed version; all its labels are secure.
    pub fixed: VersionLabels<'a>,
    /// Which algorithm aligned the versions' lines; the histogram diff, where any file needed it.
    pub alignment: AlignmentKind,
    /// What the callers of vulnerable functions added to the vulnerable version.
    pub propagation: Propagation,
}

/// Says why a pair gives no sample in mode `natural`; a row in `rejects`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NoSample {
    /// The versions are equal, or differ in white space or comments alone.
    #[error("the versions of the pair have no code difference ({})", .0.as_str())]
    NoCodeDifference(
        /// What they differ in; never [`CodeDifference::Code`].
        CodeDifference,
    ),
    /// The vulnerable version has no text, so there is no step to label.
    #[error("the vulnerable version of the pair is empty")]
    EmptyVersion,
}

/// Labels a pair of two texts of which nothing else is known: [`CodePair::label`] of [`CodePair::new`].
///
/// # Errors
///
/// As [`CodePair::label`].
pub fn label_pair<'a>(
    vulnerable: &'a str,
    fixed: &'a str,
    language: Language,
    mode: LabelMode,
    options: &LabelOptions,
) -> Result<PairLabels<'a>, NoSample> {
    CodePair::new(vulnerable, fixed, language).label(mode, options)
}
