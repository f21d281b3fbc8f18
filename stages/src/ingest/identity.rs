//! Identifiers, slices and fingerprints: all are hashes of content, so that order and number of runs do not matter.

use std::collections::HashMap;
use std::fmt;

use secprm_storage::Fingerprint;

use super::record::Pair;

/// The identity of a record's content: 128 bits of BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentKey(u128);

impl ContentKey {
    /// Hashes all that a pair tells, its code by the code's hash; two pairs that tell the same have the same key.
    pub fn of(pair: &Pair, code: &CodeHash) -> ContentKey {
        let mut hasher = blake3::Hasher::new();
        let mut text = |value: Option<&str>| match value {
            Some(value) => {
                hasher.update(&(value.len() as u64 + 1).to_le_bytes());
                hasher.update(value.as_bytes());
            }
            None => {
                hasher.update(&0u64.to_le_bytes());
            }
        };
        text(Some(pair.subset.as_str()));
        text(pair.upstream_split.as_deref());
        text(Some(pair.granularity.as_str()));
        text(Some(pair.language.as_str()));
        for cwe in &pair.cwe {
            text(Some(cwe));
        }
        text(pair.cve.as_deref());
        text(pair.project.as_deref());
        text(pair.commit_id.as_deref());
        text(pair.committed_at.map(|time| time.to_string()).as_deref());
        text(pair.file_path.as_deref());
        text(pair.function_name.as_deref());
        text(Some(&code.to_string()));
        text(pair.published_at.map(|time| time.to_string()).as_deref());
        for file in &pair.files {
            text(Some(&format!("{} {} {}", file.path, file.vulnerable_end, file.secure_end)));
        }
        for line in &pair.expert_lines {
            text(Some(&line.to_string()));
        }
        ContentKey(first_128(&hasher))
    }
}

/// The hash of both versions' text alone, an absent one unlike an empty one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeHash(u128);

impl CodeHash {
    /// Hashes a pair's code.
    pub fn of(pair: &Pair) -> CodeHash {
        let mut hasher = blake3::Hasher::new();
        for code in [&pair.vulnerable_code, &pair.secure_code] {
            let length = code.as_ref().map_or(0, |code| code.len() as u64 + 1);
            hasher.update(&length.to_le_bytes());
            hasher.update(code.as_deref().unwrap_or("").as_bytes());
        }
        CodeHash(first_128(&hasher))
    }
}

impl fmt::Display for CodeHash {
    /// As tables hold it (column `content_hash`): 32 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&id_text(self.0))
    }
}

fn first_128(hasher: &blake3::Hasher) -> u128 {
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_be_bytes(bytes)
}

/// Gives pairs their identifiers.
///
/// Two records with the same content are two pairs: the n-th of them gets an identifier of (content, n), whichever comes first.
#[derive(Debug, Default)]
pub struct PairIds {
    seen: HashMap<ContentKey, u32>,
}

impl PairIds {
    /// Returns the identifier of the next pair with this content.
    pub fn next_id(&mut self, dataset: &str, key: ContentKey) -> u128 {
        let count = self.seen.entry(key).or_insert(0);
        let mut hasher = blake3::Hasher::new();
        hasher.update(dataset.as_bytes());
        hasher.update(&key.0.to_be_bytes());
        hasher.update(&count.to_be_bytes());
        *count += 1;
        first_128(&hasher)
    }
}

/// Writes an identifier as tables hold it: 32 hexadecimal digits.
pub fn id_text(id: u128) -> String {
    format!("{id:032x}")
}

/// Returns the slice an identifier belongs to.
pub fn slice_of(id: u128, slices: u32) -> i32 {
    ((id >> 64) as u64 % u64::from(slices.max(1))) as i32
}

/// Number of slices for a dataset of `bytes` raw bytes when a slice aims at `slice_bytes`: a power of two, so that growth moves
/// pairs rarely.
pub fn slice_count(bytes: u64, slice_bytes: u64) -> u32 {
    let wanted = bytes.div_ceil(slice_bytes.max(1)).clamp(1, 4096);
    (wanted as u32).next_power_of_two()
}

/// An order-independent sum over the hashes of a set of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordSum(u64);

impl RecordSum {
    /// Starts from what else the rows depend on: versions, options.
    pub fn seeded(parts: &[&str]) -> RecordSum {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        RecordSum(first_64(&hasher))
    }

    /// Adds a record by the hash of its bytes; the order of additions does not matter.
    pub fn add(&mut self, bytes: &[u8]) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes);
        self.0 = self.0.wrapping_add(first_64(&hasher));
    }

    /// Returns the sum as the fingerprint of a slice.
    pub fn fingerprint(self) -> Fingerprint {
        Fingerprint::new(self.0)
    }
}

fn first_64(hasher: &blake3::Hasher) -> u64 {
    (first_128(hasher) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_records_get_different_ids_that_do_not_depend_on_order() {
        let (first, second) = (ContentKey(1), ContentKey(2));
        let mut forward = PairIds::default();
        let mut ids_forward = [first, first, second].map(|key| forward.next_id("sven", key)).to_vec();
        let mut backward = PairIds::default();
        let mut ids_backward = [second, first, first].map(|key| backward.next_id("sven", key)).to_vec();
        ids_forward.sort();
        ids_backward.sort();
        assert_eq!(ids_forward, ids_backward);
        ids_forward.dedup();
        assert_eq!(ids_forward.len(), 3);
    }

    #[test]
    fn slices_grow_in_powers_of_two() {
        assert_eq!([0, 1, 64, 65, 200].map(|mib| slice_count(mib << 20, 64 << 20)), [1, 1, 1, 2, 4]);
    }

    #[test]
    fn a_record_sum_does_not_depend_on_order_but_on_every_record() {
        let of = |records: &[&[u8]]| {
            let mut sum = RecordSum::seeded(&["v1"]);
            records.iter().for_each(|record| sum.add(record));
            sum.fingerprint()
        };
        assert_eq!(of(&[b"a", b"b"]), of(&[b"b", b"a"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"a"]));
        assert_ne!(of(&[b"a", b"a"]), of(&[b"a"]));
    }
}
