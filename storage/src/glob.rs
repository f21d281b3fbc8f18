//! Patterns over the paths of an object store: `*` and `?` within a segment, `**` across segments.

/// Tells whether a text is a pattern rather than a plain path.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Splits a pattern after its last plain folder: `a/b/*.json` becomes `a/b` and `*.json`.
pub(crate) fn split_pattern(text: &str) -> (&str, &str) {
    let first = text.find(['*', '?']).unwrap_or(text.len());
    match text[..first].rfind('/') {
        Some(0) => ("/", &text[1..]),
        Some(slash) => (&text[..slash], &text[slash + 1..]),
        None => ("", text),
    }
}

/// Tells whether a path matches a pattern, segment by segment.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|s| !s.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    match_list(&pattern, &path, |p| *p == "**", |p, s| segment_matches(p, s))
}

fn segment_matches(pattern: &str, segment: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let segment: Vec<char> = segment.chars().collect();
    match_list(&pattern, &segment, |p| *p == '*', |p, c| *p == '?' || p == c)
}

/// Matches a list against a pattern whose wildcards take any number of items.
///
/// Going back to the last wildcard alone keeps this quadratic at worst, for any input.
fn match_list<P, T>(
    pattern: &[P],
    items: &[T],
    is_wildcard: impl Fn(&P) -> bool,
    is_match: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut p, mut i) = (0, 0);
    let mut restart: Option<(usize, usize)> = None;
    while i < items.len() {
        if p < pattern.len() && is_wildcard(&pattern[p]) {
            restart = Some((p, i));
            p += 1;
        } else if p < pattern.len() && is_match(&pattern[p], &items[i]) {
            p += 1;
            i += 1;
        } else if let Some((wildcard, taken)) = restart {
            restart = Some((wildcard, taken + 1));
            p = wildcard + 1;
            i = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(is_wildcard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_segment_and_double_stars_cross_them() {
        let cases = [
            ("*.json", "a.json", true),
            ("*.json", "b/a.json", false),
            ("**/*.json", "a.json", true),
            ("**/*.json", "b/c/a.json", true),
            ("train/**", "train/x/y.jsonl", true),
            ("train/**", "val/x.jsonl", false),
            ("**/train/*.json*", "a/train/b/train/c.jsonl", true),
            ("cwe-0??.jsonl", "cwe-022.jsonl", true),
            ("cwe-0??.jsonl", "cwe-0222.jsonl", false),
            ("a*b*c", "aXXbYYbZc", true),
            ("a*b*c", "aXXbYYbZ", false),
            ("é*", "été", true),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_pattern_is_split_after_its_last_plain_folder() {
        assert_eq!(split_pattern("a/b/*.json"), ("a/b", "*.json"));
        assert_eq!(split_pattern("*.json"), ("", "*.json"));
        assert_eq!(split_pattern("/*.json"), ("/", "*.json"));
        assert_eq!(split_pattern("/a/x?/b"), ("/a", "x?/b"));
        assert!(is_pattern("a/**") && !is_pattern("a/b"));
    }
}
