//! Gestalt pattern matching (Ratcliff and Obershelp) over line numbers, as Python's `difflib` does it.
//!
//! The longest matching block is taken first, the earliest in the first and then in the second sequence among equals, and
//! the parts left and right of it are matched the same way. Cost grows with the square of repeated lines, so a budget
//! counts elementary comparisons (never the clock: the same input always takes the same path) and past it the alignment
//! is done over by `similar`'s histogram diff, which the result says.

use similar::{Algorithm, DiffOp};

/// Places one run of equal lines in both sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Block {
    /// Where the run starts in the first sequence.
    pub a: usize,
    /// Where the run starts in the second sequence.
    pub b: usize,
    /// How many lines the run has.
    pub len: usize,
}

/// Says whether frequent lines of the second sequence may start a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Popularity {
    /// Every line counts.
    Keep,
    /// `difflib`'s heuristic: in a second sequence of n ≥ 200 lines, a line found more than n / 100 + 1 times starts no match
    /// (it still extends one).
    DropPopular,
}

/// Says which algorithm aligned a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlignmentKind {
    /// Gestalt pattern matching, within its budget.
    Gestalt,
    /// The histogram diff, because the budget was used up.
    Histogram,
}

impl AlignmentKind {
    /// Returns the name that tables hold.
    pub fn as_str(self) -> &'static str {
        match self {
            AlignmentKind::Gestalt => "gestalt",
            AlignmentKind::Histogram => "histogram",
        }
    }
}

/// Returns the blocks that `difflib.SequenceMatcher(None, a, b, autojunk).get_matching_blocks()` returns, without its
/// closing empty one: in order, not overlapping, adjacent ones merged.
///
/// Numbers should be dense (as from interning): memory grows with the largest one in `b`.
pub fn matching_blocks(a: &[u32], b: &[u32], popularity: Popularity) -> Vec<Block> {
    Matcher::new(a, b, popularity, u64::MAX).run().unwrap_or_default()
}

/// Aligns within a budget of elementary comparisons; past it the histogram diff decides.
pub fn align(a: &[u32], b: &[u32], popularity: Popularity, budget: u64) -> (Vec<Block>, AlignmentKind) {
    match Matcher::new(a, b, popularity, budget).run() {
        Some(blocks) => (blocks, AlignmentKind::Gestalt),
        None => (histogram_blocks(a, b), AlignmentKind::Histogram),
    }
}

fn histogram_blocks(a: &[u32], b: &[u32]) -> Vec<Block> {
    let equal_runs =
        similar::capture_diff_slices(Algorithm::Histogram, a, b).into_iter().filter_map(|operation| match operation {
            DiffOp::Equal { old_index, new_index, len } => Some(Block { a: old_index, b: new_index, len }),
            _ => None,
        });
    merge_adjacent(equal_runs)
}

fn merge_adjacent(blocks: impl IntoIterator<Item = Block>) -> Vec<Block> {
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

/// A part of both sequences that is still to be matched.
#[derive(Clone, Copy)]
struct Part {
    a: (usize, usize),
    b: (usize, usize),
}

/// Length of the match that ends at one position of `b`, valid in the row that wrote it and read by the next.
#[derive(Clone, Copy, Default)]
struct Run {
    row: u32,
    len: u32,
}

struct Matcher<'s> {
    a: &'s [u32],
    b: &'s [u32],
    /// Where each number's positions in `b` start within `positions`; one entry more than there are numbers.
    starts: Vec<u32>,
    /// Positions in `b`, ascending, number by number; a popular number has none.
    positions: Vec<u32>,
    /// One run per position of `b`, shifted by one so that position 0 has a predecessor.
    runs: Vec<Run>,
    row: u32,
    budget: u64,
}

impl<'s> Matcher<'s> {
    fn new(a: &'s [u32], b: &'s [u32], popularity: Popularity, budget: u64) -> Matcher<'s> {
        let numbers = b.iter().max().map_or(0, |largest| *largest as usize + 1);
        let mut starts = vec![0u32; numbers + 1];
        for number in b {
            starts[*number as usize + 1] += 1;
        }
        let most = match popularity {
            Popularity::DropPopular if b.len() >= 200 => (b.len() / 100 + 1) as u32,
            _ => u32::MAX,
        };
        for count in &mut starts[1..] {
            if *count > most {
                *count = 0;
            }
        }
        for number in 0..numbers {
            starts[number + 1] += starts[number];
        }
        let mut next = starts.clone();
        let mut positions = vec![0u32; starts[numbers] as usize];
        for (position, number) in b.iter().enumerate() {
            let number = *number as usize;
            if starts[number] < starts[number + 1] {
                positions[next[number] as usize] = position as u32;
                next[number] += 1;
            }
        }
        Matcher { a, b, starts, positions, runs: vec![Run::default(); b.len() + 1], row: 0, budget }
    }

    /// Matches all parts with a stack of its own, or gives up when the budget is spent.
    fn run(mut self) -> Option<Vec<Block>> {
        let mut blocks = Vec::new();
        let mut parts = vec![Part { a: (0, self.a.len()), b: (0, self.b.len()) }];
        while let Some(part) = parts.pop() {
            let block = self.longest_match(part)?;
            if block.len == 0 {
                continue;
            }
            blocks.push(block);
            if part.a.0 < block.a && part.b.0 < block.b {
                parts.push(Part { a: (part.a.0, block.a), b: (part.b.0, block.b) });
            }
            let (a_end, b_end) = (block.a + block.len, block.b + block.len);
            if a_end < part.a.1 && b_end < part.b.1 {
                parts.push(Part { a: (a_end, part.a.1), b: (b_end, part.b.1) });
            }
        }
        blocks.sort_unstable_by_key(|block| block.a);
        Some(merge_adjacent(blocks))
    }

    fn positions_of(&self, number: u32) -> (usize, usize) {
        let number = number as usize;
        match self.starts.get(number + 1) {
            Some(end) => (self.starts[number] as usize, *end as usize),
            None => (0, 0),
        }
    }

    /// Finds the longest block of a part: the one that starts first in `a`, then in `b`, among equals.
    fn longest_match(&mut self, part: Part) -> Option<Block> {
        let mut best = Block { a: part.a.0, b: part.b.0, len: 0 };
        let mut best_row = usize::MAX;
        self.start_rows(part.a.1 - part.a.0);
        for row in part.a.0..part.a.1 {
            self.row += 1;
            let (first, last) = self.positions_of(self.a[row]);
            let mut compared = 1;
            // From the right, so that the run to the left is still that of the row before.
            for slot in (first..last).rev() {
                let position = self.positions[slot] as usize;
                if position >= part.b.1 {
                    compared += 1;
                    continue;
                }
                if position < part.b.0 {
                    break;
                }
                compared += 1;
                let before = self.runs[position];
                let len = if before.row + 1 == self.row { before.len + 1 } else { 1 };
                self.runs[position + 1] = Run { row: self.row, len };
                let len = len as usize;
                if len > best.len || (len == best.len && row == best_row) {
                    best = Block { a: row + 1 - len, b: position + 1 - len, len };
                    best_row = row;
                }
            }
            self.budget = self.budget.checked_sub(compared)?;
        }
        Some(self.extended(best, part))
    }

    /// Leaves one row number out, so that nothing an earlier part wrote is taken for the row before, and clears all runs
    /// where the numbers would not last for this part.
    fn start_rows(&mut self, rows: usize) {
        let left = (u32::MAX - self.row) as usize;
        if left <= rows.saturating_add(2) {
            self.runs.fill(Run::default());
            self.row = 0;
        }
        self.row += 1;
    }

    /// Lengthens a block by equal lines on both sides, which only popular lines can still be.
    fn extended(&self, mut block: Block, part: Part) -> Block {
        while block.a > part.a.0 && block.b > part.b.0 && self.a[block.a - 1] == self.b[block.b - 1] {
            block.a -= 1;
            block.b -= 1;
            block.len += 1;
        }
        while block.a + block.len < part.a.1
            && block.b + block.len < part.b.1
            && self.a[block.a + block.len] == self.b[block.b + block.len]
        {
            block.len += 1;
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_block_wins_and_the_earliest_among_equals() {
        let blocks = matching_blocks(&[0, 1, 2, 9, 0, 1], &[0, 1, 7, 0, 1, 2], Popularity::Keep);
        assert_eq!(blocks, [Block { a: 0, b: 3, len: 3 }]);
        let blocks = matching_blocks(&[5], &[5, 5], Popularity::Keep);
        assert_eq!(blocks, [Block { a: 0, b: 0, len: 1 }]);
    }

    #[test]
    fn a_popular_line_extends_a_match_but_starts_none() {
        let mut b = vec![0; 300];
        b[150] = 1;
        let a = [2, 0, 0, 1, 0];
        assert_eq!(matching_blocks(&a, &b, Popularity::DropPopular), [Block { a: 1, b: 148, len: 4 }]);
    }

    #[test]
    fn a_spent_budget_falls_back_and_says_so() {
        let lines = vec![0; 1000];
        let (blocks, kind) = align(&lines, &lines, Popularity::Keep, 10_000);
        assert_eq!(kind, AlignmentKind::Histogram);
        assert_eq!(blocks.iter().map(|block| block.len).sum::<usize>(), 1000);
        let (_, kind) = align(&lines, &lines, Popularity::Keep, 10_000_000);
        assert_eq!(kind, AlignmentKind::Gestalt);
    }
}
