//! The code of a text alone, for whoever asks whether two texts hold the same code.

use super::difference::{CodeDifference, difference_of};
use super::lines::NormalText;
use crate::language::Language;

/// A text's code without comments and without white space that means nothing in the language.
///
/// Two texts that differ in comments and layout alone have the same normal code; literals stay as they are, and Python keeps the column
/// in which a logical line begins. Its rules are those of `super::code_difference`, and so is their version,
/// `super::DIFFERENCE_VERSION`.
pub struct NormalCode<'text> {
    text: &'text str,
    language: Language,
    normal: NormalText,
}

impl<'text> NormalCode<'text> {
    /// Reads a text.
    pub fn of(text: &'text str, language: Language) -> Self {
        NormalCode { text, language, normal: NormalText::of(text, language) }
    }

    /// Returns the code.
    pub fn bytes(&self) -> &[u8] {
        &self.normal.stream
    }

    /// Whether there is no code.
    pub fn is_blank(&self) -> bool {
        self.bytes().trim_ascii().is_empty()
    }

    /// Says what this version and the fixed one, of the same language, differ in.
    pub fn difference(&self, fixed: &NormalCode<'_>) -> CodeDifference {
        difference_of(self.text, fixed.text, self.language, &self.normal, &fixed.normal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_and_comments_do_not_count_but_code_does() {
        let normal = |text| NormalCode::of(text, Language::C).bytes().to_vec();
        assert_eq!(normal("int f(void)\n{\n    return 1; // one\n}\n"), normal("int f(void){return 1;}"));
        assert_ne!(normal("return 1;"), normal("return 2;"));
        assert_eq!(normal("/* nothing */\n\n"), b"");
    }
}
