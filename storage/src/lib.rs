//! Object stores, Delta tables and the files of a release.
//!
//! The way of the data through this crate:
//!
//! - [`Location`] turns a path or URL into an object store and lists the raw files below it;
//! - [`Warehouse`] is the folder that holds every table, opens their heads and versions
//!   ([`Table`]) and admits one writer at a time ([`WarehouseLock`]);
//! - [`PartWriter`] casts record batches to a table's schema and writes Parquet [`Part`]s;
//! - [`Warehouse::commit`] makes parts visible, all at once, together with the fingerprints of
//!   what they were computed from;
//! - [`ShardReader`] reads rows of a version in any order, as training wants them, from any store,
//!   with a [`ShardCache`] where that is far away;
//! - [`session_context`] reads tables in SQL within a memory limit; [`export_parquet`] writes
//!   plain files for tools that know no Delta.

mod batches;
mod blobs;
mod cause;
mod commit;
mod encode;
mod error;
mod export;
mod fingerprint;
mod glob;
mod location;
mod lock;
mod new_folder;
mod plan;
mod provider;
mod session;
mod shards;
mod spec;
mod split;
mod table;
mod transactions;
mod types;
mod warehouse;
mod write;

pub use batches::{DEFAULT_BATCH_BYTES, batch_bytes, rechunk, split_batch};
pub use cause::{Cause, redact};
pub use commit::{CommitMode, CommitNote, SliceCommit};
pub use error::{ErrorKind, Result, StorageError};
pub use export::{Exported, export_parquet};
pub use fingerprint::{Fingerprint, slice_key, slice_values};
pub use location::{Location, SourceFile};
pub use lock::WarehouseLock;
pub use new_folder::NewFolder;
pub use session::{BATCH_ROWS, BATCH_ROWS_OF_CODE, Grain, session_context, session_state_builder};
pub use shards::{
    ReadSettings, ReadStats, RetryPolicy, RowAddress, ScannedRows, ShardCache, ShardFile, ShardReader, ShardSet,
};
pub use spec::TableSpec;
pub use table::{LiveFile, Table};
pub use types::conform;
pub use warehouse::Warehouse;
pub use write::{Part, PartWriter};
