//! MinHash: a short signature of a set of shingles, by which the similarity of two sets is estimated.
//!
//! One permutation hashing: each shingle is hashed once and falls into one of `HASHES` bins, and a bin keeps its smallest hash. An
//! empty bin borrows from another that its number alone points to (optimal densification: Shrivastava, 2017), so that short code can be
//! compared too. The cost is that of one hash a shingle, whatever the number of bins.

use super::shingles::{LEAST_TOKENS, SHINGLE_TOKENS, Shingles, mix};

/// Values in a signature: 20 bands of 6 (`near.rs`). The estimate's standard error at a similarity of 0.8 is about 0.04.
pub const HASHES: usize = 120;

/// Sums up a set of shingles; 16 bits of a hash are enough to tell two of them apart in 65,535 of 65,536 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u16; HASHES]);

impl Signature {
    /// Signs normal code; `None` if it has fewer than `LEAST_TOKENS` tokens.
    pub fn of(code: &[u8]) -> Option<Signature> {
        let mut bins = [None; HASHES];
        let mut shingles = 0;
        for shingle in Shingles::of(code) {
            shingles += 1;
            if let Some(bin) = bins.get_mut(bin_of(shingle)) {
                *bin = Some(bin.map_or(shingle, |least: u64| least.min(shingle)));
            }
        }
        if shingles + SHINGLE_TOKENS <= LEAST_TOKENS {
            return None;
        }
        let mut values = [0; HASHES];
        for (index, value) in values.iter_mut().enumerate() {
            *value = (mix(filled(&bins, index)?) >> 48) as u16;
        }
        Some(Signature(values))
    }

    /// Estimates the Jaccard similarity of two sets of shingles, from 0 to 1.
    pub fn similarity(&self, other: &Signature) -> f64 {
        let equal = self.0.iter().zip(&other.0).filter(|(own, others)| own == others).count();
        equal as f64 / HASHES as f64
    }

    /// Returns a band of `rows` values as one number.
    pub(super) fn band(&self, band: usize, rows: usize) -> u128 {
        let values = self.0.iter().skip(band * rows).take(rows);
        values.fold(0, |number, value| (number << 16) | u128::from(*value))
    }

    /// Returns the values as tables hold them: two bytes each, the lower first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Reads what [`Signature::to_bytes`] wrote; `None` for another number of bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Signature> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let values: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        rest.is_empty().then_some(())?;
        values.try_into().ok().map(Signature)
    }
}

/// Returns a bin's hash, or that of the bin it borrows from; `None` if all bins are empty.
fn filled(bins: &[Option<u64>; HASHES], index: usize) -> Option<u64> {
    if bins.iter().all(Option::is_none) {
        return None;
    }
    let own = bins.get(index).copied().flatten();
    own.or_else(|| (0..).find_map(|attempt| bins.get(bin_of(mix(((index as u64) << 32) | attempt)))?.as_ref().copied()))
}

fn bin_of(hash: u64) -> usize {
    ((u128::from(hash) * HASHES as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn code(words: &[u32]) -> Vec<u8> {
        words.iter().map(|word| format!("w{word} ")).collect::<String>().into_bytes()
    }

    fn jaccard(first: &[u8], second: &[u8]) -> f64 {
        let [first, second] = [first, second].map(|code| Shingles::of(code).collect::<BTreeSet<_>>());
        first.intersection(&second).count() as f64 / first.union(&second).count() as f64
    }

    #[test]
    fn short_code_has_no_signature() {
        let words: Vec<u32> = (0..LEAST_TOKENS as u32).collect();
        assert_eq!(Signature::of(&code(&words[1..])), None);
        assert!(Signature::of(&code(&words)).is_some());
    }

    #[test]
    fn bytes_read_back_as_the_signature() {
        let signature = Signature::of(&code(&(0..60).collect::<Vec<_>>())).unwrap();
        assert_eq!(Signature::from_bytes(&signature.to_bytes()), Some(signature));
        assert_eq!(Signature::from_bytes(&[0; 2 * HASHES + 1]), None);
        assert_eq!(Signature::from_bytes(b""), None);
    }

    #[test]
    fn estimates_are_near_the_jaccard_similarity_and_not_off_to_one_side() {
        let mut errors = Vec::new();
        for length in [60, 100, 300, 2000] {
            for changed in 0..40_u32 {
                let words: Vec<u32> = (0..length).map(|word| word + changed * 10_000).collect();
                let mut other = words.clone();
                (0..changed % 8).for_each(|change| other[(change * 7 + 3) as usize] = 9_999_999 - change);
                let [first, second] = [&words, &other].map(|words| code(words));
                let estimate = Signature::of(&first).unwrap().similarity(&Signature::of(&second).unwrap());
                errors.push(estimate - jaccard(&first, &second));
            }
        }
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let worst = errors.iter().fold(0.0_f64, |worst, error| worst.max(error.abs()));
        assert!(mean.abs() < 0.01 && worst < 0.2, "mean {mean}, worst {worst}");
    }

    proptest! {
        #[test]
        fn the_order_and_number_of_repeats_do_not_change_a_signature(
            words in prop::collection::vec(0u32..1000, 60..200),
            repeats in 2usize..4,
        ) {
            // Repeated behind itself, code has the shingles across its seams besides; twice and more times is the same set.
            let twice = code(&words.repeat(2));
            let often = code(&words.repeat(repeats));
            prop_assert_eq!(Signature::of(&twice), Signature::of(&often));
        }
    }
}
