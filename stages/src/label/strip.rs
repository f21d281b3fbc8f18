//! Takes comments out of a text.

use std::borrow::Cow;
use std::ops::Range;

use super::Comments;
use super::lexer::{LineEnd, Role, Sink, scan_complete};
use crate::language::Language;

/// A text that steps are cut from, and what of the original it lacks.
pub(super) struct Prepared<'t> {
    pub(super) text: Cow<'t, str>,
    /// The lines of the original, from 1 and ascending, that went whole.
    pub(super) dropped_lines: Vec<u32>,
}

/// Returns the text without comments: a line that has nothing else goes whole, so that it never becomes a blank line that
/// would separate steps; elsewhere the comment goes with the white space before it, and one space stays between words.
///
/// The text is returned as it is where it has no comment.
pub fn strip_comments(text: &str, language: Language) -> Cow<'_, str> {
    stripped(text, language).text
}

fn stripped(text: &str, language: Language) -> Prepared<'_> {
    let mut stripper = Stripper {
        text,
        comments: Vec::new(),
        has_code: false,
        line_start: 0,
        line: 1,
        kept: String::new(),
        copied: 0,
        dropped_lines: Vec::new(),
    };
    scan_complete(text, language, &mut stripper);
    let dropped_lines = std::mem::take(&mut stripper.dropped_lines);
    if stripper.copied == 0 {
        return Prepared { text: Cow::Borrowed(text), dropped_lines };
    }
    stripper.keep_until(text.len());
    Prepared { text: Cow::Owned(stripper.kept), dropped_lines }
}

/// Returns the text that steps are cut from.
pub(super) fn prepared(text: &str, language: Language, comments: Comments) -> Prepared<'_> {
    match comments {
        Comments::Keep => Prepared { text: Cow::Borrowed(text), dropped_lines: Vec::new() },
        Comments::Strip => stripped(text, language),
    }
}

struct Stripper<'t> {
    text: &'t str,
    /// The comments of the line being read.
    comments: Vec<Range<usize>>,
    has_code: bool,
    line_start: usize,
    /// The number of the line being read, from 1.
    line: u32,
    kept: String,
    /// Everything before this byte is in `kept`, or was taken out.
    copied: usize,
    dropped_lines: Vec<u32>,
}

impl Stripper<'_> {
    fn keep_until(&mut self, end: usize) {
        if let Some(part) = self.text.get(self.copied..end) {
            self.kept.push_str(part);
        }
    }

    fn take_out(&mut self, comment: Range<usize>) {
        let code = self.text.get(self.copied..comment.start).unwrap_or("");
        let code = match self.copied >= self.line_start {
            true => code,
            false => self.text.get(self.line_start..comment.start).unwrap_or(""),
        };
        let visible = comment.start - (code.len() - code.trim_end().len());
        let next = self.text.get(comment.end..).and_then(|rest| rest.chars().next());
        // At the end of the text too, where the comment told that the word before it is complete, and behind a backslash,
        // which must not come to continue the line.
        let needs_space = next.is_none_or(|next| !next.is_whitespace()) || code.ends_with('\\');
        if code.trim_end().is_empty() {
            // The indentation stays for the code after the comment.
            self.keep_until(comment.start);
        } else {
            self.keep_until(visible);
            if needs_space {
                self.kept.push(' ');
            }
        }
        self.copied = comment.end;
    }
}

impl Sink for Stripper<'_> {
    fn code(&mut self, _start: usize, _end: usize, _role: Role) {
        self.has_code = true;
    }

    fn literal_start(&mut self, _start: usize, _role: Role) {
        self.has_code = true;
    }

    fn literal(&mut self, _start: usize, _end: usize) {
        self.has_code = true;
    }

    fn comment(&mut self, start: usize, end: usize) {
        self.comments.push(start..end);
    }

    fn line(&mut self, line: LineEnd) {
        let mut comments = std::mem::take(&mut self.comments);
        if !comments.is_empty() && !self.has_code {
            self.keep_until(self.line_start);
            self.copied = line.end;
            self.dropped_lines.push(self.line);
        } else {
            for comment in comments.drain(..) {
                self.take_out(comment);
            }
        }
        comments.clear();
        self.comments = comments;
        self.has_code = false;
        self.line_start = line.end;
        self.line += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_of_comments_go_whole() {
        let text = "/* a\n   b */\nint x; // c\n\n  /* d */ int/* e */y; /* f\n g */ z();\n# end";
        assert_eq!(strip_comments(text, Language::C), "int x;\n\n   int y;\n z();\n# end");
        assert_eq!(strip_comments("# a\nx = '# b' # c\n", Language::Python), "x = '# b'\n");
    }

    #[test]
    fn a_text_without_comments_is_not_copied() {
        assert!(matches!(strip_comments("a / b\n", Language::C), Cow::Borrowed(_)));
    }
}
