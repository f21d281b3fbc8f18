//! Ingest: raw datasets into `pairs`, `provenance`, `ingest_rejects` and `sources`.
//!
//! A [`DatasetReader`] turns one raw file into pairs and rejects, record by record; everything else (identifiers, slices, batches,
//! tables) is the same for all datasets.

mod columns;
mod identity;
mod jsonl;
mod listing;
mod open;
mod read;
mod reader;
mod record;
mod run;
mod sven;
mod tables;

pub use identity::slice_count;
pub use listing::{KnownFile, KnownFiles, Listing, dataset_fingerprint, list_dataset};
pub use reader::{DatasetKind, DatasetReader, FileContext, Sink, reader_for};
pub use record::{Granularity, Located, Pair, Reject, RejectReason, Subset};
pub use run::{IngestOptions, Ingested, ingest_dataset, remove_dataset};
pub use tables::{INGEST_REJECTS, PAIRS, PROVENANCE, SOURCES, ingest_tables};
