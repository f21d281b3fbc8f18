//! Both versions of each file of a pair, cut into steps and read line by line.

use std::borrow::Cow;

use super::difference::{CodeDifference, difference_of};
use super::files::{FilePair, files_of, shift};
use super::lines::NormalText;
use super::pair::LabelOptions;
use super::segment::segment_and_read;
use super::strip::{Prepared, prepared};
use super::{CodePair, Sources, Step, VersionLabels};
use crate::language::Language;

/// Both versions of one file.
pub(super) struct FileVersions<'a> {
    pub(super) language: Language,
    pub(super) vulnerable: FileVersion<'a>,
    pub(super) fixed: FileVersion<'a>,
    /// What both versions differ in.
    difference: CodeDifference,
}

/// One version of one file.
pub(super) struct FileVersion<'a> {
    /// The text that the steps are cut from.
    pub(super) text: Cow<'a, str>,
    pub(super) normal: NormalText,
    /// Lines of the version in the files before.
    pub(super) lines_before: u32,
    /// Lines of the file's text.
    line_count: u32,
    /// The lines of the original that the text lacks.
    dropped_lines: Vec<u32>,
    /// Places within the file, until the files are joined.
    steps: Vec<Step>,
}

impl<'a> FileVersions<'a> {
    /// Cuts and reads all files of a pair.
    pub(super) fn read(pair: &CodePair<'a>, options: &LabelOptions) -> Vec<FileVersions<'a>> {
        let mut files = Vec::new();
        let mut lines_before = [0, 0];
        for file in files_of(pair) {
            let read = FileVersions::read_one(&file, lines_before, options);
            lines_before[0] += read.vulnerable.line_count;
            lines_before[1] += read.fixed.line_count;
            files.push(read);
        }
        files
    }

    fn read_one(file: &FilePair<'a>, lines_before: [u32; 2], options: &LabelOptions) -> FileVersions<'a> {
        let language = file.language;
        let vulnerable = FileVersion::read(file.vulnerable, language, lines_before[0], options);
        let fixed = FileVersion::read(file.fixed, language, lines_before[1], options);
        let difference = difference_of(file.vulnerable, file.fixed, language, &vulnerable.normal, &fixed.normal);
        FileVersions { language, vulnerable, fixed, difference }
    }

    pub(super) fn difference(&self) -> CodeDifference {
        self.difference
    }
}

impl<'a> FileVersion<'a> {
    fn read(text: &'a str, language: Language, lines_before: u32, options: &LabelOptions) -> FileVersion<'a> {
        let Prepared { text, dropped_lines } = prepared(text, language, options.comments);
        let (steps, normal) = segment_and_read(&text, language, &options.segment);
        let line_count = steps.last().map_or(0, |step| step.lines.1);
        FileVersion { text, normal, lines_before, line_count, dropped_lines, steps }
    }

    /// Yields the numbers of the lines that have code, counted over all files.
    pub(super) fn code_lines(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.normal.lines.iter().map(|line| line.number + self.lines_before)
    }

    /// Returns how many lines the original of this file had.
    pub(super) fn original_lines(&self) -> u32 {
        self.line_count + self.dropped_lines.len() as u32
    }

    /// Yields the lines of code, counted over all files, among some lines of the original file.
    pub(super) fn code_lines_of_original(&self, first: u32, last: u32) -> impl Iterator<Item = u32> {
        let gone_before = self.dropped_lines.partition_point(|line| *line < first) as u32;
        let gone_until = self.dropped_lines.partition_point(|line| *line <= last) as u32;
        let lines = self.normal.lines_between(first.saturating_sub(gone_before), last.saturating_sub(gone_until));
        lines.iter().map(|line| line.number + self.lines_before)
    }
}

/// Puts the steps of all files together, the vulnerable version first; every label is secure so far.
pub(super) fn join_versions<'a>(pair: &CodePair<'a>, files: &mut [FileVersions<'a>]) -> [VersionLabels<'a>; 2] {
    let vulnerable = files.iter_mut().map(|file| &mut file.vulnerable);
    let vulnerable = joined(pair.vulnerable, vulnerable, Sources::UNCHANGED);
    let fixed = files.iter_mut().map(|file| &mut file.fixed);
    [vulnerable, joined(pair.fixed, fixed, Sources::FIXED)]
}

fn joined<'v, 'a: 'v>(
    whole: &'a str,
    files: impl Iterator<Item = &'v mut FileVersion<'a>>,
    source: Sources,
) -> VersionLabels<'a> {
    let mut text = String::new();
    let mut steps = Vec::new();
    let mut indices = Vec::new();
    let mut is_whole = true;
    let mut bytes_before = 0;
    for (index, file) in files.enumerate() {
        let mut of_file = std::mem::take(&mut file.steps);
        shift(&mut of_file, bytes_before, file.lines_before);
        indices.resize(indices.len() + of_file.len(), index as u32);
        match steps.is_empty() {
            true => steps = of_file,
            false => steps.append(&mut of_file),
        }
        if is_whole && matches!(file.text, Cow::Owned(_)) {
            is_whole = false;
            text.push_str(whole.get(..bytes_before).unwrap_or(""));
        }
        if !is_whole {
            text.push_str(&file.text);
        }
        bytes_before += file.text.len();
    }
    let text = match is_whole {
        true => Cow::Borrowed(whole),
        false => Cow::Owned(text),
    };
    let mut version = VersionLabels::all_secure(text, steps, source);
    version.files = indices;
    version
}
