//! Labels of mode `natural`: rules 5 to 7 and 11.

use super::align::{Block, Popularity, align};
use super::difference::{CodeDifference, difference_of};
use super::hunks::{Evidence, evidence};
use super::intern::Interner;
use super::lines::NormalText;
use super::pair::{LabelOptions, NoSample, PairLabels};
use super::segment::segment_and_read;
use super::strip::prepared;
use super::{AlignmentKind, Sources, VersionLabels};
use crate::language::Language;

pub(super) fn label<'a>(
    vulnerable: &'a str,
    fixed: &'a str,
    language: Language,
    options: &LabelOptions,
) -> Result<PairLabels<'a>, NoSample> {
    let versions = [vulnerable, fixed].map(|text| prepared(text, language, options.comments));
    let [(steps, normal), (fixed_steps, normal_fixed)] =
        [&versions[0], &versions[1]].map(|text| segment_and_read(text, language, &options.segment));
    let difference = difference_of(vulnerable, fixed, language, &normal, &normal_fixed);
    if difference != CodeDifference::Code {
        return Err(NoSample::NoCodeDifference(difference));
    }
    if steps.is_empty() {
        return Err(NoSample::EmptyVersion);
    }
    let (blocks, alignment) = aligned_lines(&normal, &normal_fixed, options.alignment_budget);
    let [text, fixed_text] = versions;
    let mut labels = PairLabels {
        vulnerable: VersionLabels::all_secure(text, steps, Sources::UNCHANGED),
        fixed: VersionLabels::all_secure(fixed_text, fixed_steps, Sources::FIXED),
        alignment,
    };
    for (line, source) in marked_lines(&normal, &normal_fixed, &blocks) {
        let step = step_of_line(&labels.vulnerable, line);
        labels.vulnerable.mark(step, source);
    }
    withhold_unlearnable(&mut labels);
    Ok(labels)
}

fn aligned_lines(vulnerable: &NormalText, fixed: &NormalText, budget: u64) -> (Vec<Block>, AlignmentKind) {
    let mut interner = Interner::with_capacity(vulnerable.lines.len() + 8);
    // The second sequence first: its numbers should be the small ones.
    let fixed: Vec<u32> = fixed.forms().map(|line| interner.intern(line)).collect();
    let vulnerable: Vec<u32> = vulnerable.forms().map(|line| interner.intern(line)).collect();
    align(&vulnerable, &fixed, Popularity::Keep, budget)
}

/// Returns the lines whose steps are vulnerable: what the strongest kind of evidence in the pair says.
fn marked_lines(vulnerable: &NormalText, fixed: &NormalText, blocks: &[Block]) -> Vec<(u32, Sources)> {
    let found = evidence(vulnerable, fixed, blocks);
    // Code that changed or was inserted speaks for itself; inserted declarations count only where there is nothing else,
    // and closing braces where there is not even that.
    let strongest = found.iter().map(|hunk| hunk.strength).min().unwrap_or(Evidence::CODE);
    found.into_iter().filter(|hunk| hunk.strength == strongest).map(|hunk| (hunk.line, hunk.source)).collect()
}

/// Returns the step that holds a line.
fn step_of_line(version: &VersionLabels<'_>, line: u32) -> usize {
    version.steps.partition_point(|step| step.lines.1 < line).min(version.steps.len().saturating_sub(1))
}

/// Rule 7: a step that is the same in both versions, with the same text before it, but labelled differently, cannot be
/// learned by a model that reads from left to right.
fn withhold_unlearnable(labels: &mut PairLabels<'_>) {
    let (vulnerable, fixed) = (&mut labels.vulnerable, &mut labels.fixed);
    let shared = shared_prefix(vulnerable.text.as_bytes(), fixed.text.as_bytes());
    let both = vulnerable.steps.iter().zip(&fixed.steps);
    let unlearnable: Vec<usize> = both
        .enumerate()
        .take_while(|(_, (first, second))| first.bytes == second.bytes && first.bytes.end <= shared)
        .map(|(step, _)| step)
        .filter(|step| vulnerable.labels[*step] != fixed.labels[*step])
        .collect();
    for step in unlearnable {
        vulnerable.supervised[step] = false;
        fixed.supervised[step] = false;
    }
}

fn shared_prefix(first: &[u8], second: &[u8]) -> usize {
    const WIDTH: usize = 32;
    let mut shared = 0;
    for (a, b) in first.chunks_exact(WIDTH).zip(second.chunks_exact(WIDTH)) {
        if a != b {
            break;
        }
        shared += WIDTH;
    }
    let rest = first[shared..].iter().zip(&second[shared..]);
    shared + rest.take_while(|(a, b)| a == b).count()
}
