//! Findings of static analysers, as labels (LABELS.md, rule 10): SARIF 2.1.0 into `findings`, `finding_rejects` and `analyses`.
//!
//! [`write_code`] lays out the vulnerable versions as a tree of files that an analyser reads; the place of each file in it names its
//! pair, so that [`read_analyses`] finds the pair again in what the analyser writes.

mod code_names;
mod code_tree;
mod dialects;
mod finding;
mod listing;
mod pairs;
mod read;
mod results;
mod run;
mod sarif;
#[cfg(test)]
mod sarif_tests;
mod tables;

pub use code_tree::{CODE_COLUMNS, WrittenCode, write_code};
pub use finding::{FindingRejectReason, Level};
pub use listing::{Analysis, AnalysisListing, analyses_fingerprint, list_analyses, unread_analyses_fingerprint};
pub use pairs::{KNOWN_PAIR_COLUMNS, KnownPairs};
pub use run::{FINDINGS_VERSION, FindingOptions, read_analyses};
pub use tables::{ANALYSES, FINDING_REJECTS, FINDINGS, finding_tables};
