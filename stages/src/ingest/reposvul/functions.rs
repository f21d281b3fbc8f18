//! Which definition after the commit is the one before it (LABELS.md, rule 12): never the one at the same place of the list.
//!
//! Four passes, each over what the ones before left: equal text; equal name and parameters; equal name; any name, by similarity of at
//! least `LEAST_SIMILARITY`. Where a pass finds several candidates, the most similar two go together first, and among equals the
//! earlier. Functions that are not vulnerable take part, so that none of them is left to pair a vulnerable one with.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::signature::{Signature, signature};
use crate::label::{Popularity, align};
use crate::language::Language;

/// How similar two definitions of different names must be: half of their lines that are not blank lie in aligned blocks.
const LEAST_SIMILARITY: f64 = 0.5;

/// Bytes that may be compared for one file, per byte of its definitions; past it, what has no counterpart by text or name has none. So
/// the work grows with the record and not with its square.
const COMPARED_PER_BYTE: usize = 64;

/// Bytes that may be compared for one file however small it is.
const COMPARED_AT_LEAST: usize = 1 << 20;

/// Bytes that a comparison costs beside those of the texts.
const COMPARISON_BYTES: usize = 256;

/// Elementary comparisons of one alignment, per line.
const ALIGNMENT_PER_LINE: u64 = 200;

/// A definition before the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counterpart {
    /// Its name, where it could be told.
    pub name: Option<String>,
    /// Which definition after the commit it is; `None` where it was deleted.
    pub after: Option<usize>,
}

/// Finds the counterpart of each definition of `before` among those of `after`; no two have the same.
pub fn counterparts(before: &[&str], after: &[&str], language: Language) -> Vec<Counterpart> {
    let bytes: usize = before.iter().chain(after).map(|text| text.len()).sum();
    let before = Side::new(before, language);
    let after = Side::new(after, language);
    let mut matching = Matching {
        found: vec![None; before.texts.len()],
        taken: vec![false; after.texts.len()],
        before,
        after,
        bytes_left: bytes.saturating_mul(COMPARED_PER_BYTE).max(COMPARED_AT_LEAST),
    };
    matching.by_text();
    matching.by_key(Signature::clone);
    matching.by_key(|signature| signature.name.clone());
    matching.by_similarity();
    let Matching { before, found, .. } = matching;
    let names = before.signatures.into_iter().map(|signature| signature.map(|signature| signature.name));
    names.zip(found).map(|(name, after)| Counterpart { name, after }).collect()
}

struct Side<'texts> {
    texts: &'texts [&'texts str],
    signatures: Vec<Option<Signature>>,
}

impl<'texts> Side<'texts> {
    fn new(texts: &'texts [&'texts str], language: Language) -> Self {
        Side { texts, signatures: texts.iter().map(|text| signature(text, language)).collect() }
    }
}

struct Matching<'texts> {
    before: Side<'texts>,
    after: Side<'texts>,
    found: Vec<Option<usize>>,
    taken: Vec<bool>,
    bytes_left: usize,
}

/// The candidates that share a key.
#[derive(Default)]
struct Candidates {
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Matching<'_> {
    fn free_before(&self) -> Vec<usize> {
        self.found.iter().enumerate().filter(|(_, found)| found.is_none()).map(|(index, _)| index).collect()
    }

    fn free_after(&self) -> Vec<usize> {
        self.taken.iter().enumerate().filter(|(_, taken)| !**taken).map(|(index, _)| index).collect()
    }

    fn pair(&mut self, before: usize, after: usize) {
        let (Some(found), Some(taken)) = (self.found.get_mut(before), self.taken.get_mut(after)) else { return };
        if found.is_none() && !*taken {
            *found = Some(after);
            *taken = true;
        }
    }

    fn by_text(&mut self) {
        let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
        for (index, text) in self.after.texts.iter().enumerate() {
            places.entry(text).or_default().push_back(index);
        }
        let same: Vec<(usize, usize)> = (self.before.texts.iter().enumerate())
            .filter_map(|(index, text)| Some((index, places.get_mut(text)?.pop_front()?)))
            .collect();
        same.into_iter().for_each(|(before, after)| self.pair(before, after));
    }

    fn by_key<K: Ord>(&mut self, key: impl Fn(&Signature) -> K) {
        let mut keys: BTreeMap<K, Candidates> = BTreeMap::new();
        let key_at = |side: &Side<'_>, index: usize| side.signatures.get(index)?.as_ref().map(&key);
        for index in self.free_before() {
            if let Some(key) = key_at(&self.before, index) {
                keys.entry(key).or_default().before.push(index);
            }
        }
        for index in self.free_after() {
            if let Some(key) = key_at(&self.after, index) {
                keys.entry(key).or_default().after.push(index);
            }
        }
        for candidates in keys.values() {
            match (candidates.before.as_slice(), candidates.after.as_slice()) {
                ([before], [after]) => self.pair(*before, *after),
                _ => self.most_similar_first(candidates, 0.0),
            }
        }
    }

    fn by_similarity(&mut self) {
        let candidates = Candidates { before: self.free_before(), after: self.free_after() };
        self.most_similar_first(&candidates, LEAST_SIMILARITY);
    }

    fn most_similar_first(&mut self, candidates: &Candidates, least: f64) {
        let mut ranked = Vec::new();
        'all: for before in &candidates.before {
            for after in &candidates.after {
                let (Some(left), Some(right)) = (self.before.texts.get(*before), self.after.texts.get(*after)) else {
                    continue;
                };
                let bytes = left.len() + right.len() + COMPARISON_BYTES;
                let Some(bytes_left) = self.bytes_left.checked_sub(bytes) else { break 'all };
                self.bytes_left = bytes_left;
                let similarity = similarity(left, right);
                if similarity >= least {
                    ranked.push((similarity, *before, *after));
                }
            }
        }
        ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then((left.1, left.2).cmp(&(right.1, right.2))));
        ranked.into_iter().for_each(|(_, before, after)| self.pair(before, after));
    }
}

/// The share of both texts' lines that is in aligned blocks: 1 where all is the same but for indentation and blank lines.
fn similarity(left: &str, right: &str) -> f64 {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let left = numbered_lines(left, &mut numbers);
    let right = numbered_lines(right, &mut numbers);
    let lines = left.len() + right.len();
    if lines == 0 {
        return 1.0;
    }
    let (blocks, _) = align(&left, &right, Popularity::Keep, lines as u64 * ALIGNMENT_PER_LINE);
    let aligned: usize = blocks.iter().map(|block| block.len).sum();
    2.0 * aligned as f64 / lines as f64
}

fn numbered_lines<'text>(text: &'text str, numbers: &mut HashMap<&'text str, u32>) -> Vec<u32> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let next = numbers.len() as u32;
            *numbers.entry(line).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn after_of(before: &[&str], after: &[&str], language: Language) -> Vec<Option<usize>> {
        counterparts(before, after, language).into_iter().map(|found| found.after).collect()
    }

    #[test]
    fn a_function_is_found_by_name_wherever_it_stands() {
        let before = ["def a():\n    x()\n", "def b():\n    y()\n"];
        let after = ["def new():\n    y()\n", "def b(z):\n    w()\n", "def a():\n    x(1)\n"];
        assert_eq!(after_of(&before, &after, Language::Python), [Some(2), Some(1)]);
    }

    #[test]
    fn parameters_tell_overloads_apart() {
        let before = ["void f(int a) { g(a); }", "void f(String s) { h(s); }"];
        let after = ["void f(String s) { h(s, 1); }", "void f(int  a) { g(a, 1); }"];
        assert_eq!(after_of(&before, &after, Language::Java), [Some(1), Some(0)]);
    }

    #[test]
    fn among_overloads_whose_parameters_changed_the_most_similar_go_together() {
        let before =
            ["int f(int a) {\n one();\n two();\n three();\n}", "int f(char *b) {\n four();\n five();\n six();\n}"];
        let after = [
            "int f(char *b, int n) {\n four();\n five();\n six();\n}",
            "int f(long a) {\n one();\n two();\n three();\n}",
        ];
        assert_eq!(after_of(&before, &after, Language::Cpp), [Some(1), Some(0)]);
    }

    #[test]
    fn a_renamed_function_is_found_by_what_it_does_and_a_deleted_one_is_not_found() {
        let before = ["def old(x):\n    a()\n    b()\n    c()\n", "def gone(y):\n    one()\n    two()\n"];
        let after = ["def stays():\n    pass\n", "def renamed(x):\n    a()\n    b()\n    d()\n    c()\n"];
        assert_eq!(after_of(&before, &after, Language::Python), [Some(1), None]);
    }

    #[test]
    fn an_untouched_twin_is_not_given_away() {
        let twin = "static int same(void) { return 1; }";
        assert_eq!(after_of(&["#error", twin], &[twin], Language::C), [None, Some(0)]);
        assert_eq!(after_of(&[twin, twin], &[twin, twin], Language::C), [Some(0), Some(1)]);
    }

    #[test]
    fn many_definitions_without_names_are_given_up_and_not_compared_for_ever() {
        let before: Vec<String> = (0..3000).map(|index| format!("b{index}")).collect();
        let after: Vec<String> = (0..3000).map(|index| format!("a{index}")).collect();
        let (before, after): (Vec<&str>, Vec<&str>) =
            (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
        assert!(counterparts(&before, &after, Language::Python).iter().all(|found| found.after.is_none()));
    }

    proptest! {
        #[test]
        fn counterparts_are_never_shared(before in prop::collection::vec("(def [ab]\\(x?\\):\n)?( [xyz]\n){0,3}", 0..6), after in prop::collection::vec("(def [ab]\\(x?\\):\n)?( [xyz]\n){0,3}", 0..6)) {
            let (before, after): (Vec<&str>, Vec<&str>) =
                (before.iter().map(String::as_str).collect(), after.iter().map(String::as_str).collect());
            let found = counterparts(&before, &after, Language::Python);
            prop_assert_eq!(found.len(), before.len());
            let mut taken: Vec<usize> = found.iter().filter_map(|found| found.after).collect();
            prop_assert!(taken.iter().all(|index| *index < after.len()));
            taken.sort_unstable();
            let count = taken.len();
            taken.dedup();
            prop_assert_eq!(taken.len(), count);
        }
    }
}
