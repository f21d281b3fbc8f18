//! The files that a pair's versions are made of, one behind the other.

use super::{CodePair, Step};
use crate::language::Language;

/// Says where one file of a pair ends in both versions; it begins where the file before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEnds {
    /// The file's language.
    pub language: Language,
    /// The byte of the vulnerable version behind the file.
    pub vulnerable: usize,
    /// The byte of the fixed version behind the file.
    pub fixed: usize,
}

/// Places what a static analyser found in the vulnerable version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's position in the pair, from 0.
    pub file: usize,
    /// First line within the file, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// The analyser, its rule and the level, in words.
    pub rule: Option<String>,
}

/// Both versions of one file.
pub(super) struct FilePair<'a> {
    pub(super) language: Language,
    pub(super) vulnerable: &'a str,
    pub(super) fixed: &'a str,
}

/// Takes a pair apart into its files; a pair without files, or with ends that fit no text, is one.
pub(super) fn files_of<'a>(pair: &CodePair<'a>) -> Vec<FilePair<'a>> {
    match cut(pair) {
        Some(files) if !files.is_empty() => files,
        _ => vec![FilePair { language: pair.language, vulnerable: pair.vulnerable, fixed: pair.fixed }],
    }
}

fn cut<'a>(pair: &CodePair<'a>) -> Option<Vec<FilePair<'a>>> {
    let mut files = Vec::with_capacity(pair.files.len());
    let (mut vulnerable, mut fixed) = (0, 0);
    for file in pair.files {
        files.push(FilePair {
            language: file.language,
            vulnerable: pair.vulnerable.get(vulnerable..file.vulnerable)?,
            fixed: pair.fixed.get(fixed..file.fixed)?,
        });
        (vulnerable, fixed) = (file.vulnerable, file.fixed);
    }
    (vulnerable == pair.vulnerable.len() && fixed == pair.fixed.len()).then_some(files)
}

/// Moves a file's steps to where the file begins in the whole text.
pub(super) fn shift(steps: &mut [Step], bytes_before: usize, lines_before: u32) {
    for step in steps {
        step.bytes = step.bytes.start + bytes_before..step.bytes.end + bytes_before;
        step.lines = (step.lines.0 + lines_before, step.lines.1 + lines_before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(vulnerable: &str, fixed: &str, ends: &[(usize, usize)]) -> Vec<(String, String)> {
        let ends = ends.iter().map(|(vulnerable, fixed)| FileEnds {
            language: Language::C,
            vulnerable: *vulnerable,
            fixed: *fixed,
        });
        let files: Vec<FileEnds> = ends.collect();
        let pair = CodePair { files: &files, ..CodePair::new(vulnerable, fixed, Language::Python) };
        files_of(&pair).into_iter().map(|file| (file.vulnerable.to_owned(), file.fixed.to_owned())).collect()
    }

    #[test]
    fn a_file_begins_where_the_one_before_ended() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(texts("abc", "xy", &[(1, 0), (3, 2)]), [pair("a", ""), pair("bc", "xy")]);
    }

    #[test]
    fn ends_that_fit_no_text_make_one_file() {
        let whole = [("aéc".to_owned(), "xyz".to_owned())];
        for ends in [&[][..], &[(2, 1), (4, 3)], &[(3, 1), (1, 2), (4, 3)], &[(1, 1)], &[(9, 9)]] {
            assert_eq!(texts("aéc", "xyz", ends), whole, "{ends:?}");
        }
    }
}
