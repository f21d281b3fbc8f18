//! `language_of`, `parse_cwe`: what a path or a label of another tool says.

use std::sync::Arc;

use arrow::array::StringBuilder;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::access::Texts;
use super::scalar::RowFunction;
use crate::language::Language;

/// `language_of(path)`: the language by the extension after the last dot of the file's base name; `text` where unknown.
pub fn language_of() -> ScalarUDF {
    RowFunction::udf("language_of", Some(1), DataType::Utf8, |arguments, rows| {
        let paths = Texts::of(&arguments[0], "language_of's argument")?;
        let mut names = StringBuilder::with_capacity(rows, rows * 8);
        (0..rows).for_each(|row| names.append_option(paths.get(row).map(|path| Language::from_path(path).as_str())));
        Ok(Arc::new(names.finish()))
    })
}

/// `parse_cwe(text)`: the first CWE identifier in a text, as `CWE-79`; null where there is none.
pub fn parse_cwe() -> ScalarUDF {
    RowFunction::udf("parse_cwe", Some(1), DataType::Utf8, |arguments, rows| {
        let texts = Texts::of(&arguments[0], "parse_cwe's argument")?;
        let mut names = StringBuilder::with_capacity(rows, rows * 8);
        (0..rows).for_each(|row| names.append_option(texts.get(row).and_then(first_cwe)));
        Ok(Arc::new(names.finish()))
    })
}

fn first_cwe(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("cwe").find_map(|(start, _)| {
        let rest = lower[start + 3..].trim_start_matches(['-', '_', ' ']);
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse::<u32>().ok().map(|number| format!("CWE-{number}"))
    })
}

#[cfg(test)]
mod tests {
    use super::first_cwe;

    #[test]
    fn a_cwe_is_found_in_its_usual_spellings() {
        for text in ["cwe-089", "CWE-89", "external/cwe/cwe-089", "see CWE 89: injection"] {
            assert_eq!(first_cwe(text).as_deref(), Some("CWE-89"), "{text}");
        }
        assert_eq!(first_cwe("NVD-CWE-noinfo"), None);
    }
}
