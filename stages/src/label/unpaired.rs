//! Rule 9: a row without its counterpart takes the sequence's label on every step.

use super::strip::prepared;
use super::{Label, LabelMode, LabelOptions, Sources, VersionLabels, cleaned, paper, segment};
use crate::language::Language;

/// Splits one code version and labels every step by what the whole is, source `sequence`.
///
/// Mode `natural` splits as it always does, the published modes as they split a text that equals its counterpart: at empty lines.
pub fn label_unpaired<'a>(
    code: &'a str,
    vulnerable: bool,
    language: Language,
    mode: LabelMode,
    options: &LabelOptions,
) -> VersionLabels<'a> {
    let mut version = match mode {
        LabelMode::Natural => {
            let text = prepared(code, language, options.comments).text;
            let steps = segment(&text, language, &options.segment);
            VersionLabels::all_secure(text, steps, Sources::SEQUENCE)
        }
        LabelMode::Paper => paper::split(code),
        LabelMode::PaperCleaned => {
            let mut version = paper::split(code);
            cleaned::clean(&mut version, language, &options.segment);
            version
        }
    };
    let label = if vulnerable { Label::Vulnerable } else { Label::Secure };
    version.labels.fill(label);
    version.sources.fill(Sources::SEQUENCE);
    version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_takes_the_label_of_the_sequence() {
        let code = "int a = f();\n\nint b = g();\n\nh(a, b);\n";
        for mode in [LabelMode::Natural, LabelMode::Paper] {
            for vulnerable in [true, false] {
                let labelled = label_unpaired(code, vulnerable, Language::C, mode, &LabelOptions::default());
                assert_eq!(labelled.steps.len(), 3);
                assert_eq!(labelled.vulnerable_steps(), if vulnerable { 3 } else { 0 });
            }
        }
    }
}
