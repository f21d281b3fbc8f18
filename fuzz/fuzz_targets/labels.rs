#![no_main]

use libfuzzer_sys::fuzz_target;
use secprm_stages::label::{LabelMode, LabelOptions, label_pair};
use secprm_stages::language::Language;

// The first byte is the language, a zero byte lies between the versions. Every mode takes every text; in `natural` every byte of a version
// is in one step, and a pair that gives a sample has a vulnerable step.
fuzz_target!(|bytes: &[u8]| {
    let Some((language, bytes)) = bytes.split_first() else { return };
    let language = Language::ALL[*language as usize % Language::ALL.len()];
    let texts = String::from_utf8_lossy(bytes);
    let (vulnerable, fixed) = texts.split_once('\0').unwrap_or((&texts, ""));
    for mode in LabelMode::ALL {
        let Ok(pair) = label_pair(vulnerable, fixed, language, mode, &LabelOptions::default()) else { continue };
        if mode == LabelMode::Natural {
            assert_eq!(pair.vulnerable.texts().collect::<String>(), vulnerable);
            assert_eq!(pair.fixed.texts().collect::<String>(), fixed);
            assert!(pair.vulnerable.vulnerable_steps() > 0, "a vulnerable version without a vulnerable step");
        }
    }
});
