//! Near-duplicates: pairs whose code has similar signatures, found without comparing all with all.
//!
//! Locality-sensitive hashing: a signature is cut into bands, and only pairs that agree in all of some band are compared. With 20 bands of
//! 6 values two codes of Jaccard similarity s are compared with probability 1 - (1 - s^6)^20: 0.27 at 0.5, 0.92 at 0.7, 0.998 at 0.8.

use super::minhash::{HASHES, Signature};
use super::pair::SplitPair;
use super::union_find::UnionFind;

/// The estimated similarity of shingles from which on two codes are near-duplicates. Two tokens changed in a hundred come out at 0.81.
pub const SAME_FROM: f64 = 0.8;

const BANDS: usize = 20;
const ROWS: usize = HASHES / BANDS;

/// A signature is compared with so many others at most of those that agree in a band, so that one pattern shared by very many
/// pairs costs time in proportion to their number. What is passed over may still meet in another band.
const COMPARED: usize = 256;

/// Two pairs that have nearly equal code, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NearEdge {
    pub(super) first: u32,
    pub(super) second: u32,
    /// The estimated similarity of the code that joins them.
    pub(super) similarity: f64,
}

/// Joins near-duplicates in `sets` and returns the edges that joined two sets. What is joined already is not compared.
///
/// Signatures are looked at in the order of their own values, so that neither the edges nor the sets depend on the order of other data.
pub(super) fn join_near(pairs: &[SplitPair], sets: &mut UnionFind) -> Vec<NearEdge> {
    let numbered = (0_u32..).zip(pairs);
    let mut signed: Vec<(&Signature, u32)> =
        numbered.flat_map(|(number, pair)| pair.signatures.iter().map(move |signature| (signature, number))).collect();
    signed.sort_unstable();
    let mut edges = Vec::new();
    // Of equal signatures one stands for all; otherwise a thousand copies would fill every band.
    signed.dedup_by(|later, first| {
        let is_equal = later.0 == first.0;
        if is_equal && sets.union(later.1, first.1) {
            edges.push(NearEdge { first: first.1, second: later.1, similarity: 1.0 });
        }
        is_equal
    });
    for band in 0..BANDS {
        let mut keys: Vec<(u128, u32)> =
            (0_u32..).zip(&signed).map(|(at, (signature, _))| (signature.band(band, ROWS), at)).collect();
        keys.sort_unstable();
        for run in keys.chunk_by(|(first, _), (next, _)| first == next) {
            join_run(run, &signed, sets, &mut edges);
        }
    }
    edges
}

/// Compares the signatures that agree in one band.
fn join_run(run: &[(u128, u32)], signed: &[(&Signature, u32)], sets: &mut UnionFind, edges: &mut Vec<NearEdge>) {
    let members: Vec<(&Signature, u32)> = run.iter().filter_map(|(_, at)| signed.get(*at as usize).copied()).collect();
    let Some((_, first)) = members.first() else { return };
    let joined = sets.find(*first);
    if members.iter().all(|(_, number)| sets.find(*number) == joined) {
        return;
    }
    for (index, (signature, number)) in members.iter().enumerate() {
        for (other, other_number) in members.iter().take(index).rev().take(COMPARED) {
            let is_joined = sets.find(*number) == sets.find(*other_number);
            if is_joined {
                continue;
            }
            let similarity = signature.similarity(other);
            if similarity >= SAME_FROM {
                sets.union(*number, *other_number);
                edges.push(NearEdge { first: *other_number, second: *number, similarity });
            }
        }
    }
}
