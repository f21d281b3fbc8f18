//! What is wrong with steps and labels, counted: the label-quality report of LABELS.md, mode by mode.
//!
//! In mode `natural` all counts but that of repeated texts are zero by construction. Mode `paper` shows what the published
//! procedure does to the same pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::lexer::{LineEnd, Role, Sink, StatementKind, scan_complete};
use super::{CodePair, Label, LabelMode, LabelOptions, Sources, VersionLabels, label_unpaired};
use crate::language::Language;

/// Adds up the defects of pairs in one label mode.
///
/// Files of a pair are not told apart: it is meant for pairs of one text each. Memory grows with the distinct step texts.
#[derive(Debug, Default)]
pub struct Defects {
    /// Pairs that gave samples.
    pub pairs: usize,
    /// Edges between steps of the vulnerable versions; in mode `paper`, those between segments.
    pub edges: usize,
    /// Edges that are there only because of the other version: the text alone is not cut there.
    pub dependent_edges: usize,
    /// Pairs with such an edge.
    pub pairs_with_dependent_edges: usize,
    /// Edges that are there only because of the other version and lie within a statement.
    pub cut_statements: usize,
    /// Pairs whose vulnerable steps have no text.
    pub only_empty_zeros: usize,
    /// Pairs whose last step is vulnerable only because none else is.
    pub forced_zeros: usize,
    /// Steps that are missing because a blank line holds white space or ends in CR.
    pub missed_steps: usize,
    /// Which labels each step text has: secure, vulnerable.
    texts: BTreeMap<String, [bool; 2]>,
}

impl Defects {
    /// Labels a pair and counts what is wrong; a pair that gives no sample counts for nothing.
    pub fn add(&mut self, pair: &CodePair<'_>, mode: LabelMode, options: &LabelOptions) {
        let Ok(labels) = pair.label(mode, options) else { return };
        let version = &labels.vulnerable;
        self.pairs += 1;
        let alone = label_unpaired(pair.vulnerable, true, pair.language, mode, options);
        let edges = match mode {
            LabelMode::Paper => segment_edges(version),
            _ => step_edges(version, &alone),
        };
        let dependent: Vec<usize> = edges.iter().filter(|edge| edge.is_dependent).map(|edge| edge.byte).collect();
        self.edges += edges.len();
        self.dependent_edges += dependent.len();
        self.pairs_with_dependent_edges += usize::from(!dependent.is_empty());
        self.cut_statements += within_statements(&version.text, pair.language, &dependent);
        self.only_empty_zeros += usize::from(vulnerable_texts(version).all(|text| text.trim().is_empty()));
        self.forced_zeros += usize::from(version.sources.iter().any(|sources| sources.contains(Sources::FORCED)));
        let even = with_empty_blank_lines(pair.vulnerable);
        let steps_when_even = label_unpaired(&even, true, pair.language, mode, options).steps.len();
        self.missed_steps += steps_when_even.saturating_sub(alone.steps.len());
        for version in [version, &labels.fixed] {
            for (text, label) in version.texts().zip(&version.labels).filter(|(text, _)| !text.trim().is_empty()) {
                let seen = self.texts.entry(text.to_owned()).or_default();
                seen[usize::from(*label == Label::Vulnerable)] = true;
            }
        }
    }

    /// Counts the step texts that are labelled secure in one place and vulnerable in another.
    pub fn texts_with_both_labels(&self) -> usize {
        self.texts.values().filter(|seen| seen.iter().all(|seen| *seen)).count()
    }
}

fn vulnerable_texts<'v>(version: &'v VersionLabels<'_>) -> impl Iterator<Item = &'v str> {
    version.texts().zip(&version.labels).filter(|(_, label)| **label == Label::Vulnerable).map(|(text, _)| text)
}

/// An edge between two steps.
struct Edge {
    /// Where the second one starts.
    byte: usize,
    is_dependent: bool,
}

/// The edges between all steps: dependent where the text alone has no step that starts there.
fn step_edges(version: &VersionLabels<'_>, alone: &VersionLabels<'_>) -> Vec<Edge> {
    let starts: BTreeSet<usize> = alone.steps.iter().map(|step| step.bytes.start).collect();
    let edges = version.steps.iter().skip(1).map(|step| step.bytes.start);
    edges.map(|byte| Edge { byte, is_dependent: !starts.contains(&byte) }).collect()
}

/// The edges between the published procedure's segments: dependent where no empty line lies on either side. Segments whose
/// whole text is an empty step of a change have no edges of their own.
fn segment_edges(version: &VersionLabels<'_>) -> Vec<Edge> {
    let is_empty_change = |segment: &Range<usize>, label: Label| segment.is_empty() && label == Label::Vulnerable;
    let mut segments: Vec<(Range<usize>, Label)> = Vec::new();
    for (step, label) in version.steps.iter().zip(&version.labels) {
        match segments.last_mut() {
            // Within a segment, two line feeds lie between steps.
            Some((last, _)) if step.bytes.start == last.end + 2 => last.end = step.bytes.end,
            _ => segments.push((step.bytes.clone(), *label)),
        }
    }
    segments.retain(|(segment, label)| !is_empty_change(segment, *label));
    let text = |segment: &Range<usize>| version.text.get(segment.clone()).unwrap_or("");
    let pairs = segments.iter().zip(segments.iter().skip(1));
    pairs
        .map(|((before, _), (after, _))| {
            let blank_before = text(before).is_empty() || text(before).ends_with('\n');
            let blank_after = text(after).is_empty() || text(after).starts_with('\n');
            Edge { byte: after.start, is_dependent: !blank_before && !blank_after }
        })
        .collect()
}

/// Counts the places, starts of lines in ascending order, before which a statement has begun and not ended.
fn within_statements(text: &str, language: Language, places: &[usize]) -> usize {
    if places.is_empty() {
        return 0;
    }
    let mut lines = OpenLines::default();
    scan_complete(text, language, &mut lines);
    let is_open = |place: &&usize| {
        let line = lines.ends.partition_point(|(end, _)| end < *place);
        lines.ends.get(line).is_some_and(|(_, is_open)| *is_open)
    };
    places.iter().filter(is_open).count()
}

/// Hears a scan and notes for each line whether a statement is open at its end.
#[derive(Default)]
struct OpenLines {
    is_open: bool,
    ends: Vec<(usize, bool)>,
}

impl Sink for OpenLines {
    fn code(&mut self, _start: usize, _end: usize, role: Role) {
        self.is_open = !matches!(role, Role::Closer | Role::Neutral);
    }

    fn literal_start(&mut self, _start: usize, _role: Role) {
        self.is_open = true;
    }

    fn statement(&mut self, _kind: StatementKind) {
        self.is_open = false;
    }

    fn line(&mut self, line: LineEnd) {
        self.ends.push((line.end, self.is_open));
    }
}

/// Returns the text with LF for every line end and nothing on blank lines.
fn with_empty_blank_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text.split('\n').map(|line| if line.trim().is_empty() { "" } else { line }).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defects(vulnerable: &str, fixed: &str, mode: LabelMode) -> Defects {
        let mut defects = Defects::default();
        defects.add(&CodePair::new(vulnerable, fixed, Language::C), mode, &LabelOptions::default());
        defects
    }

    #[test]
    fn the_published_procedure_cuts_where_the_other_version_differs() {
        let (vulnerable, fixed) = ("a(b,\n  c);\nd();\n \ne();", "a(b,\n  cc);\nd();\n \ne();");
        let paper = defects(vulnerable, fixed, LabelMode::Paper);
        assert_eq!((paper.edges, paper.dependent_edges, paper.cut_statements, paper.missed_steps), (2, 2, 1, 1));
        let natural = defects(vulnerable, fixed, LabelMode::Natural);
        assert_eq!((natural.edges, natural.dependent_edges, natural.missed_steps), (1, 0, 0));
    }

    #[test]
    fn an_insertion_marks_an_empty_step_and_nothing_changed_marks_the_last() {
        assert_eq!(defects("a\nb", "a\nx\nb", LabelMode::Paper).only_empty_zeros, 1);
        assert_eq!(defects("a\nb", "a\nx\nb", LabelMode::Natural).only_empty_zeros, 0);
        assert_eq!(defects("a\nb", "a\nb", LabelMode::Paper).forced_zeros, 1);
    }

    #[test]
    fn a_text_with_both_labels_is_found() {
        assert_eq!(defects("a;\n\nb;\n\nf();", "a;\n\nf();", LabelMode::Paper).texts_with_both_labels(), 0);
        assert_eq!(defects("f();\n\nb;\n\nf();", "f();\n\nb;\n\ng();", LabelMode::Paper).texts_with_both_labels(), 1);
    }
}
