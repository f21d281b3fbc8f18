//! Eight bytes of a text looked at together. Most words and runs of spaces are shorter, and where they end a loop over their bytes could not
//! be foreseen by the processor.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
/// The golden ratio, as hashes by multiplication take it.
pub(crate) const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Returns the eight bytes from a position on, the first of them lowest; zeros behind the end.
#[inline]
pub(crate) fn eight(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => rest.iter().rev().fold(0, |bytes, byte| (bytes << 8) | u64::from(*byte)),
    }
}

/// Takes eight bytes into a hash, by multiplication as rustc's FxHash does.
#[inline]
pub(crate) fn fold(hash: u64, bytes: u64) -> u64 {
    (hash.rotate_left(5) ^ bytes).wrapping_mul(FACTOR)
}

/// How many of eight bytes, from the first, are letters and digits of ASCII or `_`.
#[inline]
pub(crate) fn word_length(bytes: u64) -> usize {
    leading(words(bytes) & !bytes)
}

/// How many of eight bytes, from the first, are those of [`word_length`] or no ASCII.
#[inline]
pub(crate) fn word_or_wide_length(bytes: u64) -> usize {
    leading(words(bytes) | bytes)
}

/// How many of eight bytes, from the first, are spaces.
#[inline]
pub(crate) fn space_length(bytes: u64) -> usize {
    ((bytes ^ (0x20 * ONES)).trailing_zeros() / 8) as usize
}

/// Counts the bytes, from the first, whose highest bit is set.
fn leading(marks: u64) -> usize {
    ((!marks & HIGH).trailing_zeros() / 8) as usize
}

/// Sets the highest bit of each byte that is part of a word; what it says of bytes beyond ASCII means nothing.
fn words(bytes: u64) -> u64 {
    let low = bytes & !HIGH;
    // A byte of seven bits that is added to 128 - n has the highest bit from n on.
    let from = |values: u64, least: u8| values + ONES * u64::from(0x80 - least);
    let between = |values: u64, least: u8, most: u8| from(values, least) & !from(values, most + 1);
    between(low, b'0', b'9') | between(low | (0x20 * ONES), b'a', b'z') | between(low, b'_', b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_end_at_the_first_byte_that_is_none() {
        for byte in 0..=u8::MAX {
            let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
            for length in 0..8 {
                let behind = |filler: u64| {
                    (0..length).fold(u64::from(byte) << (8 * length), |all, at| all | (filler << (8 * at)))
                };
                let expected = |counts: bool| length + usize::from(counts);
                assert_eq!(word_length(behind(0x61)), expected(is_word), "{byte:#x} behind {length}");
                assert_eq!(
                    word_or_wide_length(behind(0x61)),
                    expected(is_word || byte >= 0x80),
                    "{byte:#x} behind {length}"
                );
                assert_eq!(space_length(behind(0x20)), expected(byte == b' '), "{byte:#x} behind {length}");
            }
        }
        assert_eq!(
            [word_length(u64::from_le_bytes(*b"aZ_09zzz")), space_length(u64::from_le_bytes([b' '; 8]))],
            [8, 8]
        );
    }

    #[test]
    fn what_lies_behind_the_end_is_zero() {
        let of = |at| eight(b"abcdefghij", at).to_le_bytes();
        assert_eq!([of(2), of(8), of(10), of(99)], [*b"cdefghij", *b"ij\0\0\0\0\0\0", [0; 8], [0; 8]]);
    }
}
