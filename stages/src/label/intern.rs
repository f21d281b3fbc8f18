//! Small numbers for equal lines, so that alignment compares integers.

use crate::eight::{FACTOR, eight, fold};

/// Numbers the lines of two texts: equal lines have equal numbers, which count up from 0 through the second text first, since alignment
/// takes memory by the largest number there.
///
/// What both texts begin and end with, which is most of a pair, is compared line by line and not looked for among the others.
pub(super) fn number_lines(first: &[&[u8]], second: &[&[u8]]) -> [Vec<u32>; 2] {
    let mut interner = Interner::with_capacity(second.len() + 8);
    let numbers: Vec<u32> = second.iter().map(|line| interner.intern(line)).collect();
    let start = first.iter().zip(second).take_while(|(line, other)| line == other).count();
    let rests = [&first[start..], &second[start..]];
    let end = rests[0].iter().rev().zip(rests[1].iter().rev()).take_while(|(line, other)| line == other).count();
    let mut of_first = Vec::with_capacity(first.len());
    of_first.extend_from_slice(&numbers[..start]);
    of_first.extend(first[start..first.len() - end].iter().map(|line| interner.intern(line)));
    of_first.extend_from_slice(&numbers[second.len() - end..]);
    [of_first, numbers]
}

/// Hands out one number per distinct line, counting up from 0 in the order of first appearance.
///
/// The hash decides only where a line is looked for, never what is equal, so numbers do not depend on it.
struct Interner<'a> {
    lines: Vec<&'a [u8]>,
    hashes: Vec<u32>,
    /// Open addressing: number + 1 of a line, or 0 where the slot is free. The length is a power of two.
    slots: Vec<u32>,
}

impl<'a> Interner<'a> {
    /// Makes room for about `expected` lines.
    fn with_capacity(expected: usize) -> Interner<'a> {
        let slots = expected.saturating_mul(2).next_power_of_two().max(16);
        Interner { lines: Vec::with_capacity(expected), hashes: Vec::with_capacity(expected), slots: vec![0; slots] }
    }

    /// Returns the number of a line.
    fn intern(&mut self, line: &'a [u8]) -> u32 {
        if self.lines.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(line);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.slots[slot];
            if entry == 0 {
                let number = self.lines.len() as u32;
                self.lines.push(line);
                self.hashes.push(hash);
                self.slots[slot] = number + 1;
                return number;
            }
            let number = entry - 1;
            if self.hashes[number as usize] == hash && self.lines[number as usize] == line {
                return number;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let mask = size - 1;
        let mut slots = vec![0; size];
        for (number, hash) in self.hashes.iter().enumerate() {
            let mut slot = *hash as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number as u32 + 1;
        }
        self.slots = slots;
    }
}

/// Folds eight bytes at a time, and the halves at the end.
fn hash(line: &[u8]) -> u32 {
    let words = (0..line.len()).step_by(8).map(|at| eight(line, at));
    let state = words.fold(line.len() as u64, fold);
    let state = (state ^ (state >> 32)).wrapping_mul(FACTOR);
    (state ^ (state >> 32)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_have_equal_numbers_if_and_only_if_they_are_equal(
            first in prop::collection::vec("[ab]{0,2}", 0..12),
            second in prop::collection::vec("[ab]{0,2}", 0..12),
        ) {
            let texts = [&first, &second].map(|lines| lines.iter().map(String::as_bytes).collect::<Vec<_>>());
            let numbers = number_lines(&texts[0], &texts[1]);
            prop_assert_eq!([numbers[0].len(), numbers[1].len()], [first.len(), second.len()]);
            let (lines, numbers) = (texts.concat(), numbers.concat());
            for (line, number) in lines.iter().zip(&numbers) {
                for (other, other_number) in lines.iter().zip(&numbers) {
                    prop_assert_eq!(line == other, number == other_number);
                }
            }
        }
    }

    #[test]
    fn equal_lines_share_a_number_and_numbers_count_up() {
        let texts: Vec<String> = (0..1000).map(|line| format!("line {line}")).collect();
        let mut interner = Interner::with_capacity(4);
        for round in 0..2 {
            for (index, text) in texts.iter().enumerate() {
                assert_eq!(interner.intern(text.as_bytes()), index as u32, "round {round}");
            }
        }
        assert_eq!(interner.intern(b""), 1000);
    }
}
