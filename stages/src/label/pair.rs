//! Labels both versions of a pair at once.

use super::align::AlignmentKind;
use super::difference::CodeDifference;
use super::{Comments, LabelMode, SegmentOptions, VersionLabels, cleaned, natural, paper};
use crate::language::Language;

/// Shapes the labels of pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelOptions {
    /// Shapes the steps of mode `natural`.
    pub segment: SegmentOptions,
    /// What happens to comments before anything else, in mode `natural`.
    pub comments: Comments,
    /// Elementary comparisons that Gestalt pattern matching may take before the histogram diff replaces it.
    pub alignment_budget: u64,
}

impl Default for LabelOptions {
    /// The budget is a few tenths of a second; no pair of SVEN needs a hundredth of it.
    fn default() -> LabelOptions {
        LabelOptions { segment: SegmentOptions::default(), comments: Comments::Keep, alignment_budget: 100_000_000 }
    }
}

/// Holds everything that labelling says about a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairLabels<'a> {
    /// The vulnerable version.
    pub vulnerable: VersionLabels<'a>,
    /// The fixed version; all its labels are secure.
    pub fixed: VersionLabels<'a>,
    /// Which algorithm aligned the versions' lines.
    pub alignment: AlignmentKind,
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

/// Splits both versions of a pair into steps and labels them.
///
/// Steps are byte ranges of the given texts (of [`VersionLabels::text`], which is another text only where comments are
/// taken out). Mode `natural` gives every vulnerable version at least one step labelled 0. Modes `paper` and
/// `paper_cleaned` reject nothing. Deterministic; linear but for the alignment, which has a budget.
///
/// # Errors
///
/// In mode `natural`, a pair without a code difference, or whose vulnerable version is empty.
pub fn label_pair<'a>(
    vulnerable: &'a str,
    fixed: &'a str,
    language: Language,
    mode: LabelMode,
    options: &LabelOptions,
) -> Result<PairLabels<'a>, NoSample> {
    match mode {
        LabelMode::Natural => natural::label(vulnerable, fixed, language, options),
        LabelMode::Paper => Ok(paper::label(vulnerable, fixed, options)),
        LabelMode::PaperCleaned => {
            let mut labels = paper::label(vulnerable, fixed, options);
            cleaned::clean(&mut labels.vulnerable, language);
            cleaned::clean(&mut labels.fixed, language);
            Ok(labels)
        }
    }
}
