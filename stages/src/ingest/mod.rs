//! Ingest: raw datasets into `pairs`, `provenance`, `ingest_rejects` and `sources`.
//!
//! A [`DatasetReader`] turns one raw file into pairs and rejects, record by record; everything else (identifiers, slices, batches,
//! tables) is the same for all datasets.

mod bigvul;
mod columns;
mod commit;
mod compression;
mod cwe;
mod dates;
mod expert_lines;
mod flaw;
mod identity;
mod json_records;
mod jsonl;
mod links;
mod listing;
mod open;
mod precisebugs;
mod primevul;
mod random_access;
mod read;
mod reader;
mod record;
mod reposvul;
mod run;
mod sven;
mod tables;
mod text_fields;

pub(crate) use flaw::shown;
pub use identity::slice_count;
pub(crate) use identity::{RecordSum, id_text};
pub use listing::{KnownFile, KnownFiles, Listing, Source, dataset_fingerprint, list_dataset, unread_fingerprint};
pub(crate) use listing::{ListedFile, Sought, add_unread, hashes_of_known, list_sought};
pub(crate) use open::open;
pub use random_access::RandomAccess;
pub(crate) use read::send;
pub use reader::{Access, DatasetKind, DatasetReader, FileContext, RawInput, Sink, reader_for};
pub use record::{Granularity, Located, Pair, PairFile, Reject, RejectReason, Subset};
pub use run::{IngestOptions, Ingested, ingest_dataset, remove_dataset};
pub use tables::{INGEST_REJECTS, PAIRS, PROVENANCE, SOURCES, ingest_tables};
