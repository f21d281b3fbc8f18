//! What the texts and links of datasets say.

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

/// Says whether a text has nothing but white space.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_project_and_commit_whatever_hangs_on_it() {
        let both = (Some("o/r".to_owned()), Some("ab12".to_owned()));
        assert_eq!(parse_commit_link("github.com/o/r/commit/ab12?w=1#diff-3"), both);
        assert_eq!(parse_commit_link("https://github.com/o/r/commit/ab12/"), both);
        assert_eq!(parse_commit_link("https://github.com/o/r"), (Some("o/r".to_owned()), None));
        assert_eq!(parse_commit_link(""), (None, None));
    }
}
