//! CWE identifiers in the texts that datasets have for them.

/// Digits that a CWE number has at most; more are no number.
const MAX_DIGITS: usize = 6;

/// Reads a text that is one identifier, `cwe-089` or `CWE-89`, as `CWE-89`; `None` for anything else, NVD's `NVD-CWE-noinfo` and
/// `NVD-CWE-Other` included.
pub fn parse_cwe(text: &str) -> Option<String> {
    identifier(text.trim().to_ascii_lowercase().strip_prefix("cwe-")?)
}

/// Returns the CWE identifiers that a text names among others, as `CWE-79`, each once, in order of appearance.
///
/// `cwe-079` counts; `NVD-CWE-noinfo` names none.
pub fn cwe_identifiers(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lower = text.to_ascii_lowercase();
    for rest in lower.split("cwe-").skip(1) {
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or("");
        found.extend(identifier(digits).filter(|identifier| !found.contains(identifier)));
    }
    found
}

fn identifier(digits: &str) -> Option<String> {
    let is_number = digits.len() <= MAX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u32>().ok().filter(|_| is_number).map(|number| format!("CWE-{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cwe_has_one_spelling() {
        assert_eq!(parse_cwe(" cwe-089"), Some("CWE-89".to_owned()));
        for text in ["NVD-CWE-noinfo", "CWE-", "CWE-79x", "79", "CWE-0000001"] {
            assert_eq!(parse_cwe(text), None, "{text}");
        }
    }

    #[test]
    fn every_identifier_is_found_once_and_in_order() {
        assert_eq!(cwe_identifiers("CWE-787"), ["CWE-787"]);
        assert_eq!(cwe_identifiers("cwe-079, CWE-20;CWE-79"), ["CWE-79", "CWE-20"]);
        for text in ["", "None", "NVD-CWE-noinfo", "NVD-CWE-Other", "CWE-", "CWE-99999999999"] {
            assert!(cwe_identifiers(text).is_empty(), "{text}");
        }
    }
}
