//! What two versions of one code differ in.

use super::lexer::{Sink, scan_complete};
use super::lines::NormalText;
use crate::language::Language;

/// Version of [`code_difference`]; it grows with every change that can alter its answer.
pub const DIFFERENCE_VERSION: u32 = 2;

/// Names the strongest difference between the versions of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeDifference {
    /// The texts are equal, byte for byte.
    None,
    /// Only white space differs that means nothing in the language (line ends included).
    Whitespace,
    /// Only comments differ, and perhaps white space.
    Comment,
    /// The code differs.
    Code,
}

impl CodeDifference {
    /// Returns the name that tables hold.
    pub fn as_str(self) -> &'static str {
        match self {
            CodeDifference::None => "none",
            CodeDifference::Whitespace => "whitespace",
            CodeDifference::Comment => "comment",
            CodeDifference::Code => "code",
        }
    }
}

/// Compares two versions of one code.
///
/// White space counts where it separates words, within literals, and before a logical line of Python; a line end counts
/// after a logical line of Python and around a preprocessor line.
pub fn code_difference(vulnerable: &str, fixed: &str, language: Language) -> CodeDifference {
    if vulnerable == fixed {
        return CodeDifference::None;
    }
    let normal = [NormalText::of(vulnerable, language), NormalText::of(fixed, language)];
    difference_of(vulnerable, fixed, language, &normal[0], &normal[1])
}

/// Compares two versions whose normal texts are known already.
pub(super) fn difference_of(
    vulnerable: &str,
    fixed: &str,
    language: Language,
    normal_vulnerable: &NormalText,
    normal_fixed: &NormalText,
) -> CodeDifference {
    if vulnerable == fixed {
        CodeDifference::None
    } else if !same_code(normal_vulnerable, normal_fixed) {
        CodeDifference::Code
    } else if comments(vulnerable, language) == comments(fixed, language) {
        CodeDifference::Whitespace
    } else {
        CodeDifference::Comment
    }
}

/// Versions whose lines are all equal have no hunk to label by, so they count as the same code even where comments hide
/// a difference between the streams.
fn same_code(first: &NormalText, second: &NormalText) -> bool {
    first.stream == second.stream || (first.lines.len() == second.lines.len() && first.forms().eq(second.forms()))
}

/// Returns the comments of a text without white space.
fn comments(text: &str, language: Language) -> Vec<u8> {
    let mut comments = Comments { text: text.as_bytes(), visible: Vec::new() };
    scan_complete(text, language, &mut comments);
    comments.visible
}

struct Comments<'t> {
    text: &'t [u8],
    visible: Vec<u8>,
}

impl Sink for Comments<'_> {
    fn comment(&mut self, start: usize, end: usize) {
        if let Some(comment) = self.text.get(start..end) {
            let visible = comment.iter().filter(|byte| !byte.is_ascii_whitespace());
            self.visible.extend(visible);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_difference_is_named() {
        use CodeDifference::{Code, Comment, None, Whitespace};
        let cases = [
            ("int a;", "int a;", None),
            ("int a;\n", "int  a ;\r\n\r\n", Whitespace),
            ("int a; // x\n", "int a; /* y */", Comment),
            ("inta;", "int a;", Code),
            ("f(a, b);", "f(a,\n  b);", Whitespace),
            ("x = \"a b\";", "x = \"a  b\";", Code),
            ("a\n#define B 1\nc", "a\n#define B 1 c", Code),
            ("a = b + +c;", "a = b ++c;", Code),
        ];
        for (first, second, expected) in cases {
            assert_eq!(code_difference(first, second, Language::C), expected, "{first:?} {second:?}");
        }
    }

    #[test]
    fn python_indentation_is_code_but_not_in_brackets() {
        let python = |first, second| code_difference(first, second, Language::Python);
        assert_eq!(python("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"), CodeDifference::Code);
        assert_eq!(python("f(a,\n  b)\n", "f(a,\n      b)  \n"), CodeDifference::Whitespace);
        assert_eq!(python("a()\n", "# new\na() # old\n"), CodeDifference::Comment);
        assert_eq!(python("\ta()\n", "        a()\n"), CodeDifference::Whitespace);
    }
}
