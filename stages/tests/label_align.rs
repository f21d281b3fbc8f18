//! The aligner equals a slow, direct reading of `difflib.SequenceMatcher`, with and without its popularity heuristic.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use secprm_stages::label::{Block, Popularity, matching_blocks};

/// `difflib.SequenceMatcher(None, a, b, autojunk)`, read from its documentation and source, with maps and recursion.
struct Reference<'s> {
    a: &'s [u32],
    b: &'s [u32],
    b2j: BTreeMap<u32, Vec<usize>>,
}

impl<'s> Reference<'s> {
    fn new(a: &'s [u32], b: &'s [u32], autojunk: bool) -> Self {
        let mut b2j: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (j, line) in b.iter().enumerate() {
            b2j.entry(*line).or_default().push(j);
        }
        if autojunk && b.len() >= 200 {
            let most = b.len() / 100 + 1;
            b2j.retain(|_, places| places.len() <= most);
        }
        Reference { a, b, b2j }
    }

    fn find_longest_match(&self, alo: usize, ahi: usize, blo: usize, bhi: usize) -> Block {
        let (mut besti, mut bestj, mut bestsize) = (alo, blo, 0);
        let mut j2len: BTreeMap<usize, usize> = BTreeMap::new();
        for i in alo..ahi {
            let mut newj2len = BTreeMap::new();
            for &j in self.b2j.get(&self.a[i]).into_iter().flatten() {
                if j < blo {
                    continue;
                }
                if j >= bhi {
                    break;
                }
                let before = j.checked_sub(1).and_then(|j| j2len.get(&j));
                let k = before.unwrap_or(&0) + 1;
                newj2len.insert(j, k);
                if k > bestsize {
                    (besti, bestj, bestsize) = (i + 1 - k, j + 1 - k, k);
                }
            }
            j2len = newj2len;
        }
        while besti > alo && bestj > blo && self.a[besti - 1] == self.b[bestj - 1] {
            (besti, bestj, bestsize) = (besti - 1, bestj - 1, bestsize + 1);
        }
        while besti + bestsize < ahi && bestj + bestsize < bhi && self.a[besti + bestsize] == self.b[bestj + bestsize] {
            bestsize += 1;
        }
        Block { a: besti, b: bestj, len: bestsize }
    }

    fn collect(&self, alo: usize, ahi: usize, blo: usize, bhi: usize, blocks: &mut Vec<Block>) {
        let found = self.find_longest_match(alo, ahi, blo, bhi);
        if found.len == 0 {
            return;
        }
        if alo < found.a && blo < found.b {
            self.collect(alo, found.a, blo, found.b, blocks);
        }
        blocks.push(found);
        let (a, b) = (found.a + found.len, found.b + found.len);
        if a < ahi && b < bhi {
            self.collect(a, ahi, b, bhi, blocks);
        }
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        self.collect(0, self.a.len(), 0, self.b.len(), &mut blocks);
        let mut merged: Vec<Block> = Vec::new();
        for block in blocks {
            match merged.last_mut() {
                Some(last) if last.a + last.len == block.a && last.b + last.len == block.b => {
                    last.len += block.len;
                }
                _ => merged.push(block),
            }
        }
        merged
    }
}

/// Lines of a file: mostly rare ones, some frequent, changed here and there for the second version.
fn versions() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
    let line = prop_oneof![3 => 0u32..4, 2 => 0u32..20, 4 => 20u32..400];
    let edits = proptest::collection::vec((0usize..700, 0u32..3, 0u32..30), 0..40);
    (proptest::collection::vec(line, 0..600), edits).prop_map(|(first, edits)| {
        let mut second = first.clone();
        for (place, kind, line) in edits {
            let place = place % (second.len() + 1);
            match kind {
                0 => second.insert(place, line),
                1 if place < second.len() => {
                    second.remove(place);
                }
                _ if place < second.len() => second[place] = line,
                _ => {}
            }
        }
        (first, second)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn blocks_of_edited_files_equal_the_reference((a, b) in versions()) {
        for (popularity, autojunk) in [(Popularity::Keep, false), (Popularity::DropPopular, true)] {
            prop_assert_eq!(
                matching_blocks(&a, &b, popularity),
                Reference::new(&a, &b, autojunk).blocks()
            );
        }
    }

    #[test]
    fn blocks_of_unrelated_lines_equal_the_reference(
        a in proptest::collection::vec(0u32..6, 0..80),
        b in proptest::collection::vec(0u32..6, 0..260),
    ) {
        for (popularity, autojunk) in [(Popularity::Keep, false), (Popularity::DropPopular, true)] {
            prop_assert_eq!(
                matching_blocks(&a, &b, popularity),
                Reference::new(&a, &b, autojunk).blocks()
            );
        }
    }
}
