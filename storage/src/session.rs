//! A query engine within a memory limit.

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::{Result, StorageError};

/// Rows in a batch where a query reads code, at least: a row may hold whole files, which with the engine's own 8,192 rows would make
/// batches of a gigabyte.
pub const BATCH_ROWS_OF_CODE: usize = 64;

/// Rows in a batch where a query reads mostly numbers and names.
pub const BATCH_ROWS: usize = 1024;

/// The share of the memory that the small side of a join may take and be collected. Otherwise, and by the engine's own limit past 1 MiB,
/// the rows of both sides are dealt out to all threads by their hash: all code is copied, and the slices come mixed.
const COLLECTED_SHARE: usize = 8;
/// Bytes of a collected row, where the engine knows their number alone.
const COLLECTED_ROW_BYTES: usize = 256;

/// How a session cuts the tables it reads among its threads.
#[derive(Debug, Clone, Copy)]
pub struct Grain {
    /// How many parts of a query run side by side.
    pub partitions: usize,
    /// Rows in a batch, from [`BATCH_ROWS_OF_CODE`] to [`BATCH_ROWS`].
    pub batch_rows: usize,
    /// A scan of fewer bytes of files is read in one go and its batches are dealt out; one of more is cut by bytes. A range of bytes gets
    /// the row groups that begin in it, and a small file is one: whoever gets it has all the work.
    pub dealt_out_bytes: usize,
}

impl Grain {
    /// For queries, most of whose work is to read.
    pub fn of_queries(threads: usize) -> Grain {
        Grain { partitions: threads, batch_rows: BATCH_ROWS, dealt_out_bytes: 1 << 20 }
    }
}

/// Prepares a session's state, to which functions, planners and catalogs may be added.
///
/// Operators share `memory_limit` bytes fairly and spill to `spill_dir`, or to the system's folder
/// for temporary files; spilled files vanish with the session. Strings are plain rather than views, as tables hold them, so
/// that functions meet one type alone.
///
/// # Errors
/// [`StorageError::Session`] if the folder cannot be used.
pub fn session_state_builder(
    memory_limit: usize,
    grain: Grain,
    spill_dir: Option<&Path>,
) -> Result<SessionStateBuilder> {
    let mode = match spill_dir {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|error| StorageError::store("create spill folder", folder.display(), error))?;
            DiskManagerMode::Directories(vec![folder.to_owned()])
        }
        None => DiskManagerMode::OsTmpDirectory,
    };
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_limit)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
        .build_arc()
        .map_err(|error| StorageError::Session { source: error.into() })?;
    let mut config =
        SessionConfig::new().with_target_partitions(grain.partitions.max(1)).with_batch_size(grain.batch_rows);
    let options = config.options_mut();
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.optimizer.repartition_file_min_size = grain.dealt_out_bytes;
    options.optimizer.hash_join_single_partition_threshold = memory_limit / COLLECTED_SHARE;
    options.optimizer.hash_join_single_partition_threshold_rows = memory_limit / COLLECTED_SHARE / COLLECTED_ROW_BYTES;
    Ok(SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features())
}

/// Creates a session that reads tables through [`Table::provider`](crate::Table::provider).
///
/// See [`session_state_builder`] for the limits.
///
/// # Errors
/// [`StorageError::Session`] if the spill folder cannot be used.
pub fn session_context(memory_limit: usize, threads: usize, spill_dir: Option<&Path>) -> Result<SessionContext> {
    let builder = session_state_builder(memory_limit, Grain::of_queries(threads), spill_dir)?;
    Ok(SessionContext::new_with_state(builder.build()))
}
