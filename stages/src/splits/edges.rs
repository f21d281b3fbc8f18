//! What joins pairs for certain: one commit, one CVE, equal code, and one project where that is asked for.

use std::borrow::Cow;
use std::fmt;

use super::pair::SplitPair;
use super::union_find::UnionFind;

/// Fewest hexadecimal digits that a commit hash is abbreviated to; git itself writes no fewer than seven.
const LEAST_HASH_DIGITS: usize = 7;

/// The kinds of key that a pair shares with another pair of its group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct JoinedBy(u8);

impl JoinedBy {
    /// The commit.
    pub const COMMIT: JoinedBy = JoinedBy(1);
    /// The CVE.
    pub const CVE: JoinedBy = JoinedBy(2);
    /// Equal code, in either role.
    pub const CODE: JoinedBy = JoinedBy(4);
    /// Nearly equal code.
    pub const NEAR_CODE: JoinedBy = JoinedBy(8);
    /// The project.
    pub const PROJECT: JoinedBy = JoinedBy(16);

    const NAMES: [(JoinedBy, &'static str); 5] = [
        (JoinedBy::COMMIT, "commit"),
        (JoinedBy::CVE, "cve"),
        (JoinedBy::CODE, "code"),
        (JoinedBy::NEAR_CODE, "near_code"),
        (JoinedBy::PROJECT, "project"),
    ];

    /// Adds a kind.
    pub fn add(&mut self, kind: JoinedBy) {
        self.0 |= kind.0;
    }

    /// Whether nothing joins the pair with another.
    pub fn is_alone(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for JoinedBy {
    /// The kinds' names, joined by `+`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = JoinedBy::NAMES.iter().filter(|(kind, _)| self.0 & kind.0 != 0).map(|(_, name)| *name);
        formatter.write_str(&kinds.collect::<Vec<_>>().join("+"))
    }
}

/// Joins pairs that share a commit, a CVE, code or, with `by_project`, a project, and marks each with what it shares.
pub(super) fn join_equal(pairs: &[SplitPair], by_project: bool, sets: &mut UnionFind, joined: &mut [JoinedBy]) {
    let numbered = || (0_u32..).zip(pairs);
    let commits = numbered().filter_map(|(number, pair)| Some((commit_key(pair)?, number)));
    join(commits.collect(), |first, next| is_same_commit(first, next), JoinedBy::COMMIT, sets, joined);
    let cves = numbered().filter_map(|(number, pair)| Some((cve_key(pair)?, number)));
    join(cves.collect(), |first, next| first == next, JoinedBy::CVE, sets, joined);
    let hashes = numbered().flat_map(|(number, pair)| pair.code_hashes.iter().map(move |hash| (*hash, number)));
    join(hashes.collect(), |first, next| first == next, JoinedBy::CODE, sets, joined);
    if by_project {
        let projects = numbered().filter_map(|(number, pair)| Some((project_key(pair)?, number)));
        join(projects.collect(), |first, next| first == next, JoinedBy::PROJECT, sets, joined);
    }
}

/// Joins the pairs in each run of keys that are the same as the run's first.
fn join<K: Ord>(
    mut keys: Vec<(K, u32)>,
    is_same: impl Fn(&K, &K) -> bool,
    kind: JoinedBy,
    sets: &mut UnionFind,
    joined: &mut [JoinedBy],
) {
    keys.sort_unstable();
    let mut rest = keys.as_slice();
    while let Some((key, first)) = rest.first() {
        let length = rest.iter().take_while(|(next, _)| is_same(key, next)).count();
        let (run, behind) = rest.split_at(length.max(1));
        rest = behind;
        if run.iter().all(|(_, number)| number == first) {
            continue;
        }
        for (_, number) in run {
            sets.union(*first, *number);
            if let Some(joined) = joined.get_mut(*number as usize) {
                joined.add(kind);
            }
        }
    }
}

/// A commit is its hash, in whatever repository and dataset; what is no hash counts within its project only.
fn commit_key(pair: &SplitPair) -> Option<Cow<'_, str>> {
    let commit = pair.commit_id.as_deref()?.trim();
    if commit.is_empty() {
        return None;
    }
    if is_hash(commit) {
        return Some(lower_case(commit));
    }
    Some(Cow::Owned(format!("{} {commit}", pair.project.as_deref().unwrap_or_default())))
}

fn is_hash(commit: &str) -> bool {
    commit.len() >= LEAST_HASH_DIGITS && commit.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// An abbreviated hash, which sorts before all it may stand for, is each of them.
fn is_same_commit(first: &str, next: &str) -> bool {
    first == next || (is_hash(first) && is_hash(next) && next.starts_with(first))
}

fn cve_key(pair: &SplitPair) -> Option<Cow<'_, str>> {
    let cve = pair.cve.as_deref()?.trim();
    let is_cve = cve.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("CVE-"));
    is_cve.then(|| lower_case(cve))
}

/// Some datasets write owner/repository, some the repository's name alone: the name is what they share.
fn project_key(pair: &SplitPair) -> Option<Cow<'_, str>> {
    let name = pair.project.as_deref()?.trim().trim_end_matches('/').rsplit('/').next()?;
    (!name.is_empty()).then(|| lower_case(name))
}

fn lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}
