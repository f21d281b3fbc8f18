//! Labels of mode `natural`: rules 5 to 8, 10 and 11.

use super::align::{AlignmentKind, Block, Popularity, align};
use super::callers::{self, Propagation};
use super::difference::CodeDifference;
use super::evidence::{Operation, Reason};
use super::hunks::{Judgement, judge};
use super::intern::number_lines;
use super::lines::NormalText;
use super::pair::{LabelOptions, NoSample, PairLabels};
use super::version::{FileVersions, join_versions};
use super::{CodePair, Sources, given};

/// A line of the vulnerable version, counted over all its files, and why its step is vulnerable.
pub(super) type Mark = (u32, Reason);

pub(super) fn label<'a>(pair: &CodePair<'a>, options: &LabelOptions) -> Result<PairLabels<'a>, NoSample> {
    let mut files = FileVersions::read(pair, options);
    let difference = files.iter().map(FileVersions::difference).max().unwrap_or(CodeDifference::None);
    if difference != CodeDifference::Code {
        return Err(NoSample::NoCodeDifference(difference));
    }
    let [vulnerable, fixed] = join_versions(pair, &mut files);
    if vulnerable.steps.is_empty() {
        return Err(NoSample::EmptyVersion);
    }
    let mut labels =
        PairLabels { vulnerable, fixed, alignment: AlignmentKind::Gestalt, propagation: Propagation::NONE };
    let (mut marks, alignment) = marked_lines(&files, options.alignment_budget);
    labels.alignment = alignment;
    marks.extend(given::marks(pair, &files, options));
    let marked: Vec<u32> = marks.iter().map(|(line, _)| *line).collect();
    for (line, reason) in marks {
        let step = labels.vulnerable.step_of_line(line);
        labels.vulnerable.mark(step, reason);
    }
    labels.propagation = callers::propagate(&files, &marked, &mut labels.vulnerable, options);
    labels.vulnerable.order_evidence();
    withhold_unlearnable(&mut labels);
    Ok(labels)
}

/// Returns the lines whose steps are vulnerable: what the strongest kind of evidence in the pair says.
fn marked_lines(files: &[FileVersions<'_>], budget: u64) -> (Vec<Mark>, AlignmentKind) {
    let mut found = Vec::new();
    let mut kind = AlignmentKind::Gestalt;
    for (index, file) in files.iter().enumerate() {
        let (vulnerable, fixed) = (&file.vulnerable, &file.fixed);
        if vulnerable.text.is_empty() {
            if !fixed.normal.lines.is_empty() {
                found.push(added_file(files, index));
            }
            continue;
        }
        let (blocks, used) = aligned_lines(&vulnerable.normal, &fixed.normal, budget);
        if used == AlignmentKind::Histogram {
            kind = used;
        }
        let (before, fixed_before) = (vulnerable.lines_before, fixed.lines_before);
        let of_file = judge(&vulnerable.normal, &fixed.normal, &blocks).into_iter().map(|hunk| Judgement {
            line: hunk.line + before,
            reason: hunk.reason.moved(before, fixed_before),
            ..hunk
        });
        found.extend(of_file);
    }
    // Code that changed or was inserted speaks for itself; inserted declarations count only where there is nothing else,
    // closing braces where there is not even that, and added files where they are all that differs.
    let strongest = found.iter().map(|hunk| hunk.strength).min().unwrap_or(Judgement::CODE);
    found.retain(|hunk| hunk.strength == strongest);
    (found.into_iter().map(|hunk| (hunk.line, hunk.reason)).collect(), kind)
}

/// A file that the fix adds, which has no line of its own in the vulnerable version.
fn added_file(files: &[FileVersions<'_>], index: usize) -> Judgement {
    let line = line_beside(files, index);
    let mut lines = files[index].fixed.code_lines();
    let first = lines.next();
    let reason = Reason {
        source: Sources::INSERTION,
        lines: (line, line),
        operation: Some(Operation::Insert),
        fixed_lines: first.map(|first| (first, lines.next_back().unwrap_or(first))),
        detail: Some("a file that the fix adds".to_owned()),
    };
    Judgement { line, reason, strength: Judgement::ADDED_FILE }
}

/// Returns the line that stands for an added file: the next line of code in a later file, or the last one in an earlier.
fn line_beside(files: &[FileVersions<'_>], index: usize) -> u32 {
    let (earlier, later) = files.split_at(index);
    let next = later.iter().find_map(|file| file.vulnerable.code_lines().next());
    next.or_else(|| earlier.iter().rev().find_map(|file| file.vulnerable.code_lines().next_back())).unwrap_or(1)
}

fn aligned_lines(vulnerable: &NormalText, fixed: &NormalText, budget: u64) -> (Vec<Block>, AlignmentKind) {
    let [vulnerable, fixed] = [vulnerable, fixed].map(|text| text.forms().collect::<Vec<_>>());
    let [vulnerable, fixed] = number_lines(&vulnerable, &fixed);
    align(&vulnerable, &fixed, Popularity::Keep, budget)
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
