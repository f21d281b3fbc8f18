//! Labels of mode `paper`: what the published scripts do, step by step, with every flaw.
//!
//! Both texts are stripped and split at line feeds; the lines are aligned with `difflib`'s popularity heuristic; each run of
//! lines inside of a matching block or between two blocks is a segment, also where it is empty on one side; each
//! segment is split at two line feeds; the parts of changed segments of the vulnerable version get 0, or the last part
//! where nothing changed. Nothing is cleaned and no pair is turned away. All steps are supervised.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr_iter;

use super::align::{AlignmentKind, Block, Popularity, align};
use super::callers::Propagation;
use super::evidence::{LineSpan, Operation, Reason};
use super::files::files_of;
use super::intern::number_lines;
use super::pair::{LabelOptions, PairLabels};
use super::{CodePair, Sources, Step, VersionLabels};
use crate::language::Language;

/// Labels each file by the published procedure, lets `cleaning` change its versions, and puts the files together. Where a
/// pair has several files, an empty side of one has no step.
pub(super) fn label<'a>(
    pair: &CodePair<'a>,
    options: &LabelOptions,
    cleaning: impl Fn(&mut VersionLabels<'a>, Language),
) -> PairLabels<'a> {
    let files = files_of(pair);
    let single = files.len() == 1;
    let mut labels = Vec::with_capacity(files.len());
    for file in files {
        let mut labelled = label_texts(file.vulnerable, file.fixed, options);
        for version in [&mut labelled.vulnerable, &mut labelled.fixed] {
            if version.text.is_empty() && !single {
                *version = VersionLabels::all_secure(Cow::Borrowed(""), Vec::new(), Sources::NONE);
            }
            cleaning(version, file.language);
        }
        labels.push(labelled);
    }
    match labels.pop() {
        Some(only) if single => only,
        last => join(pair, labels.into_iter().chain(last)),
    }
}

fn join<'a>(pair: &CodePair<'a>, files: impl Iterator<Item = PairLabels<'a>>) -> PairLabels<'a> {
    let mut alignment = AlignmentKind::Gestalt;
    let mut versions = [Vec::new(), Vec::new()];
    let mut lines_before = [0, 0];
    for mut file in files {
        if file.alignment == AlignmentKind::Histogram {
            alignment = AlignmentKind::Histogram;
        }
        for one in &mut file.vulnerable.evidence {
            one.reason = one.reason.clone().moved(lines_before[0], lines_before[1]);
        }
        for (side, version) in [file.vulnerable, file.fixed].into_iter().enumerate() {
            let open_line = u32::from(!version.text.is_empty() && !version.text.ends_with('\n'));
            let lines = line_feeds(&version.text) + open_line;
            lines_before[side] += lines;
            versions[side].push((version, lines));
        }
    }
    let [vulnerable, fixed] = versions;
    PairLabels {
        vulnerable: VersionLabels::joined(pair.vulnerable, vulnerable),
        fixed: VersionLabels::joined(pair.fixed, fixed),
        alignment,
        propagation: Propagation::NONE,
    }
}

fn label_texts<'a>(vulnerable: &'a str, fixed: &'a str, options: &LabelOptions) -> PairLabels<'a> {
    let lines = [Lines::of(vulnerable), Lines::of(fixed)];
    let [of_vulnerable, of_fixed] =
        [&lines[0], &lines[1]].map(|lines| (0..lines.count()).map(|line| lines.line(line)).collect::<Vec<_>>());
    let [vulnerable_numbers, fixed_numbers] = number_lines(&of_vulnerable, &of_fixed);
    let (blocks, alignment) =
        align(&vulnerable_numbers, &fixed_numbers, Popularity::DropPopular, options.alignment_budget);
    let end = [lines[0].count(), lines[1].count()];
    let vulnerable_parts = Parts::of(&lines, &blocks, end, 0);
    let fixed_parts = Parts::of(&lines, &blocks, end, 1);
    let mut labels = PairLabels {
        vulnerable: VersionLabels::all_secure(Cow::Borrowed(vulnerable), vulnerable_parts.steps, Sources::UNCHANGED),
        fixed: VersionLabels::all_secure(Cow::Borrowed(fixed), fixed_parts.steps, Sources::FIXED),
        alignment,
        propagation: Propagation::NONE,
    };
    let is_changed = !vulnerable_parts.changed.is_empty();
    for (step, reason) in vulnerable_parts.changed {
        labels.vulnerable.mark(step, reason);
    }
    if !is_changed && let Some(last) = labels.vulnerable.steps.last() {
        let reason = Reason::given(Sources::FORCED, last.lines, Some("the versions are equal".to_owned()));
        labels.vulnerable.mark(labels.vulnerable.steps.len() - 1, reason);
    }
    labels
}

/// Splits a text that has no counterpart: as both sides of a pair of equal versions, without the forced label.
pub(super) fn split(text: &str) -> VersionLabels<'_> {
    let lines = Lines::of(text);
    let mut parts = Parts::default();
    parts.segment(&lines, 0..lines.count());
    VersionLabels::all_secure(Cow::Borrowed(text), parts.steps, Sources::SEQUENCE)
}

/// The lines of a stripped text; the last one has no line feed.
struct Lines<'t> {
    text: &'t str,
    /// Where each line starts, and where one more would.
    starts: Vec<usize>,
    /// Line feeds before the stripped text.
    lines_before: u32,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Lines<'t> {
        let stripped = text.trim_matches(is_python_space);
        let offset = text.len() - text.trim_start_matches(is_python_space).len();
        let mut starts = Vec::with_capacity(stripped.len() / 24 + 2);
        starts.push(offset);
        starts.extend(memchr_iter(b'\n', stripped.as_bytes()).map(|feed| offset + feed + 1));
        starts.push(offset + stripped.len() + 1);
        Lines { text, starts, lines_before: line_feeds(&text[..offset]) }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn line(&self, line: usize) -> &'t [u8] {
        &self.text.as_bytes()[self.starts[line]..self.starts[line + 1] - 1]
    }

    /// Returns the numbers of some lines in the text as it was before it was stripped.
    fn numbers(&self, lines: Range<usize>) -> LineSpan {
        (self.lines_before + lines.start as u32 + 1, self.lines_before + lines.end as u32)
    }

    /// Returns the bytes of some lines without the last line feed.
    fn bytes(&self, lines: Range<usize>) -> Range<usize> {
        let start = self.starts[lines.start];
        match lines.is_empty() {
            // Past the last line there may be no line feed to stand behind.
            true => start.min(self.text.len())..start.min(self.text.len()),
            false => start..self.starts[lines.end] - 1,
        }
    }
}

fn line_feeds(text: &str) -> u32 {
    memchr_iter(b'\n', text.as_bytes()).count() as u32
}

/// Python's `str.isspace`: Unicode white space and the four ASCII separators.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// What lies between two blocks, by the lines of the vulnerable and of the fixed version.
fn difference([lines, fixed]: [LineSpan; 2]) -> Reason {
    let is_empty = |(first, last): LineSpan| last < first;
    let (source, operation) = match (is_empty(lines), is_empty(fixed)) {
        (true, _) => (Sources::INSERTION, Operation::Insert),
        (false, true) => (Sources::DIFF, Operation::Delete),
        (false, false) => (Sources::DIFF, Operation::Replace),
    };
    let fixed_lines = (!is_empty(fixed)).then_some(fixed);
    Reason { source, lines, operation: Some(operation), fixed_lines, detail: None }
}

/// The steps of one version and which of them come from changed segments.
#[derive(Default)]
struct Parts {
    steps: Vec<Step>,
    changed: Vec<(usize, Reason)>,
}

impl Parts {
    /// Reads one side (0 or 1) of an alignment, segment by segment, up to the ends of both sides.
    fn of(both: &[Lines<'_>; 2], blocks: &[Block], end: [usize; 2], side: usize) -> Parts {
        let lines = &both[side];
        let mut parts = Parts::default();
        let mut done = [0, 0];
        let closing = Block { a: end[0], b: end[1], len: 0 };
        for block in blocks.iter().chain([&closing]) {
            let start = [block.a, block.b];
            if done != start {
                let first = parts.steps.len();
                parts.segment(lines, done[side]..start[side]);
                let reason = difference([0, 1].map(|side| both[side].numbers(done[side]..start[side])));
                let changed = first..parts.steps.len();
                parts.changed.extend(changed.map(|step| (step, reason.clone())));
            }
            if block.len > 0 {
                parts.segment(lines, start[side]..start[side] + block.len);
            }
            done = start.map(|line| line + block.len);
        }
        parts
    }

    /// Splits the text of some lines as Python's `split("\n\n")` does: a line feed, an empty line and its line feed end a part.
    fn segment(&mut self, lines: &Lines<'_>, segment: Range<usize>) {
        let mut start = segment.start;
        let mut line = segment.start;
        while line + 2 < segment.end {
            if lines.line(line + 1).is_empty() {
                self.part(lines, start..line + 1);
                start = line + 2;
                line = start;
            } else {
                line += 1;
            }
        }
        self.part(lines, start..segment.end);
    }

    fn part(&mut self, lines: &Lines<'_>, part: Range<usize>) {
        let bytes = lines.bytes(part.clone());
        let first = lines.lines_before + part.start as u32 + 1;
        let last = match bytes.is_empty() {
            true => first - 1,
            false => lines.lines_before + part.end as u32,
        };
        self.steps.push(Step { bytes, lines: (first, last) });
    }
}
