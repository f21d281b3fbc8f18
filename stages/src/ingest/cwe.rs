//! CWE identifiers in the texts that datasets have for them.

/// Digits that a CWE number has at most; more are no number.
const MAX_DIGITS: usize = 6;

/// Returns the CWE identifiers a text names, as `CWE-79`, each once, in order of appearance.
///
/// `cwe-079` counts; `NVD-CWE-noinfo` names none.
pub fn cwe_identifiers(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let lower = text.to_ascii_lowercase();
    for rest in lower.split("cwe-").skip(1) {
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or("");
        let number = digits.parse::<u32>().ok().filter(|_| digits.len() <= MAX_DIGITS);
        let identifier = number.map(|number| format!("CWE-{number}"));
        found.extend(identifier.filter(|identifier| !found.contains(identifier)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::cwe_identifiers;

    #[test]
    fn every_identifier_is_found_once_and_in_order() {
        assert_eq!(cwe_identifiers("CWE-787"), ["CWE-787"]);
        assert_eq!(cwe_identifiers("cwe-079, CWE-20;CWE-79"), ["CWE-79", "CWE-20"]);
        for text in ["", "None", "NVD-CWE-noinfo", "NVD-CWE-Other", "CWE-", "CWE-99999999999"] {
            assert!(cwe_identifiers(text).is_empty(), "{text}");
        }
    }
}
