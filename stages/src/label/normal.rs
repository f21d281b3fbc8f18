//! The code of a text alone, for whoever asks whether two texts hold the same code.

use super::lines::NormalText;
use crate::language::Language;

/// Returns a text's code without comments and without white space that means nothing in the language.
///
/// Two texts that differ in comments and layout alone have the same normal code; literals stay as they are, and Python keeps the column
/// in which a logical line begins. Its rules are those of `super::code_difference`, and so is their version,
/// `super::DIFFERENCE_VERSION`.
pub fn normal_code(text: &str, language: Language) -> Vec<u8> {
    NormalText::of(text, language).stream
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_and_comments_do_not_count_but_code_does() {
        let normal = |text| normal_code(text, Language::C);
        assert_eq!(normal("int f(void)\n{\n    return 1; // one\n}\n"), normal("int f(void){return 1;}"));
        assert_ne!(normal("return 1;"), normal("return 2;"));
        assert_eq!(normal("/* nothing */\n\n"), b"");
    }
}
