//! What the identifiers and links of datasets say.

/// Reads `cwe-089` or `CWE-89` as `CWE-89`; `None` for anything else, NVD's `NVD-CWE-noinfo` and `NVD-CWE-Other` included.
pub fn parse_cwe(text: &str) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.strip_prefix("cwe-")?;
    if digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u32>().ok().map(|number| format!("CWE-{number}"))
}

/// Splits `github.com/owner/repository/commit/<hash>?w=1` into project and commit; the link may lack a scheme and have a tail.
pub fn parse_commit_link(link: &str) -> (Option<String>, Option<String>) {
    let plain = link.split(['?', '#']).next().unwrap_or(link);
    let plain = plain.split_once("://").map_or(plain, |(_, rest)| rest);
    let mut parts = plain.split('/').skip(1);
    let project = match (parts.next(), parts.next()) {
        (Some(owner), Some(repository)) if !owner.is_empty() && !repository.is_empty() => {
            Some(format!("{owner}/{repository}"))
        }
        _ => None,
    };
    let commit = plain.rsplit_once("/commit/").map(|(_, commit)| commit.trim_end_matches('/'));
    (project, commit.and_then(non_empty))
}

/// Returns a text that says something.
pub fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
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
    fn a_link_gives_project_and_commit_whatever_hangs_on_it() {
        let both = (Some("o/r".to_owned()), Some("ab12".to_owned()));
        assert_eq!(parse_commit_link("github.com/o/r/commit/ab12?w=1#diff-3"), both);
        assert_eq!(parse_commit_link("https://github.com/o/r/commit/ab12/"), both);
        assert_eq!(parse_commit_link("https://github.com/o/r"), (Some("o/r".to_owned()), None));
        assert_eq!(parse_commit_link(""), (None, None));
    }
}
