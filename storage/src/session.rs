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

/// Prepares a session's state, to which functions, planners and catalogs may be added.
///
/// Operators share `memory_limit` bytes fairly and spill to `spill_dir`, or to the system's folder
/// for temporary files; spilled files vanish with the session. `batch_rows` lies between
/// [`BATCH_ROWS_OF_CODE`] and [`BATCH_ROWS`]. Strings are plain rather than views, as tables hold them, so that
/// functions meet one type alone.
///
/// # Errors
/// [`StorageError::Session`] if the folder cannot be used.
pub fn session_state_builder(
    memory_limit: usize,
    target_partitions: usize,
    batch_rows: usize,
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
    let mut config = SessionConfig::new().with_target_partitions(target_partitions.max(1)).with_batch_size(batch_rows);
    let options = config.options_mut();
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
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
pub fn session_context(
    memory_limit: usize,
    target_partitions: usize,
    spill_dir: Option<&Path>,
) -> Result<SessionContext> {
    let builder = session_state_builder(memory_limit, target_partitions, BATCH_ROWS, spill_dir)?;
    Ok(SessionContext::new_with_state(builder.build()))
}
