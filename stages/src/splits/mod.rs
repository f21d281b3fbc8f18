//! Leak-proof splits (LABELS.md, rule 13): which pairs belong together, and which split each group goes to.
//!
//! Along the data:
//!
//! - `keys` sums a pair's code up: `shingles` cuts normal code into runs of tokens, `minhash` makes a signature of them;
//! - `read` takes pairs, their keys and their earlier splits out of tables;
//! - `groups` joins pairs with `union_find`: `edges` by what is equal, `near` by what is nearly equal;
//! - `assign` gives each group its split;
//! - `run` writes the tables that `tables` declares.
//!
//! Everything but `read` and `run` is pure: the same pairs in any order give the same splits.

mod assign;
mod edges;
mod groups;
mod keys;
mod minhash;
mod near;
mod pair;
mod read;
mod run;
mod shingles;
mod split;
mod tables;
mod union_find;

pub use assign::{NearDuplicates, Placed, Placement, place};
pub use edges::JoinedBy;
pub use groups::{Groups, LEAST_LARGEST_GROUP, NearPair, group, largest_group};
pub use keys::{CODE_KEYS_VERSION, CodeKeys, FileVersions};
pub use minhash::{HASHES, Signature};
pub use near::SAME_FROM;
pub use pair::SplitPair;
pub use read::{Names, read_keys, read_pairs};
pub use run::write_splits;
pub use shingles::{LEAST_TOKENS, SHINGLE_TOKENS};
pub(crate) use shingles::{Tokens, mix};
pub use split::{Split, SplitBy, SplitOptions, SplitSource};
pub use tables::{NEAR_DUPLICATES, SPLIT_GROUPS, SPLITS, split_tables};
