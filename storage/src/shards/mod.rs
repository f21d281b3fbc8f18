//! Rows of a table's version in any order, streamed from wherever the warehouse lies.
//!
//! Training shuffles a whole table, so it reads single rows at random, each perhaps several times. The way of a row:
//!
//! 1. [`ShardSet`] counts the rows of a version: its live files by path, then rows as they lie in them. The order in which rows are
//!    read is the caller's, as [`RowAddress`]es of this count; so is the share of each rank, which is just a sub-sequence.
//! 2. [`ShardReader::scan`] reads narrow columns of all rows, to choose by: names, splits, lengths.
//! 3. [`ShardReader::read`] takes the order in runs (`window.rs`), sorts each by file, row group and page (`plan.rs`, `layout.rs`),
//!    fetches the pages that hold its rows (`source.rs`, `piece.rs`), decodes those rows, and hands them out in the order asked for.
//! 4. [`ShardCache`] brings whole files of remote stores to the local disk meanwhile.
//!
//! Nothing but the addresses decides which rows come: not memory, nor cache, nor retries, nor how far is read ahead.

mod address;
mod budget;
mod cache;
mod files;
mod footer;
mod layout;
mod piece;
mod plan;
mod projection;
mod reader;
mod settings;
mod source;
mod window;

pub use address::{RowAddress, ShardFile, ShardSet};
pub use budget::ReadStats;
pub use cache::ShardCache;
pub use reader::{ScannedRows, ShardReader};
pub use settings::{ReadSettings, RetryPolicy};
