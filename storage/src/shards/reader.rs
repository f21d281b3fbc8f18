//! Rows in the caller's order, read ahead.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::address::{RowAddress, ShardSet};
use super::budget::{ReadStats, add};
use super::cache::ShardCache;
use super::files::Files;
use super::settings::ReadSettings;
use super::window::{Window, drive, joined};
use crate::error::Result;

/// Runs of the order that may be started and not yet handed out: memory is limited by bytes and rows, this is for runs of no size.
const STARTED_AT_MOST: usize = 64;
/// Files that are read at a time by [`ShardReader::scan`].
const SCANNED_AT_A_TIME: usize = 4;

/// Reads columns of a [`ShardSet`]: all rows in order, or any rows in any order.
///
/// Cloning is cheap; clones share footers, the limits of requests and of fetched pages, and [`ReadStats`]; each stream has a limit of
/// decoded rows of its own. Read-ahead runs as tasks of the Tokio runtime that the
/// stream was made in, which needs a thread of its own to go on while the caller computes.
#[derive(Clone)]
pub struct ShardReader {
    files: Arc<Files>,
}

impl fmt::Debug for ShardReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardReader").field("set", &self.files.set).finish_non_exhaustive()
    }
}

/// A row group's rows, as [`ShardReader::scan`] hands them out.
#[derive(Debug, Clone)]
pub struct ScannedRows {
    /// The address of the first row; the others follow it in the same file.
    pub first: RowAddress,
    /// The rows, with the reader's columns.
    pub rows: RecordBatch,
}

impl ShardReader {
    /// Prepares to read the named columns, in that order; partition columns may be among them.
    ///
    /// Ask for what is needed only: each column costs pages of its own. Narrow columns that name rows are better read once with
    /// [`ShardReader::scan`] and kept: pages of texts come with a dictionary, which is fetched with every row that is read alone.
    /// A cache is used where [`ShardSet::is_remote`].
    ///
    /// # Errors
    /// [`StorageError::Schema`](crate::StorageError::Schema) for a column that the table does not have or that is named twice.
    pub fn new(
        set: &ShardSet,
        columns: &[&str],
        settings: ReadSettings,
        cache: Option<Arc<ShardCache>>,
    ) -> Result<Self> {
        Ok(Self { files: Arc::new(Files::new(set.clone(), columns, settings, cache)?) })
    }

    /// The columns of every batch that is handed out.
    pub fn schema(&self) -> &SchemaRef {
        self.files.projection.schema()
    }

    /// What was done and is held, over all clones and streams.
    pub fn stats(&self) -> ReadStats {
        self.files.stats()
    }

    /// Reads all rows in the order of their addresses, a row group at a time: the index of the set.
    ///
    /// Memory is four row groups of the reader's columns. An error ends the stream; errors are those of [`ShardReader::read`].
    pub fn scan(&self) -> BoxStream<'static, Result<ScannedRows>> {
        let numbers = (0_u32..).zip(self.files.set.files()).filter(|(_, file)| file.rows > 0).map(|(number, _)| number);
        let files = Arc::clone(&self.files);
        let layouts = stream::iter(numbers.collect::<Vec<_>>()).map(move |number| {
            let files = Arc::clone(&files);
            async move { Ok((number, files.layout(number).await?)) }
        });
        let groups = layouts.buffered(SCANNED_AT_A_TIME).map_ok(|(number, layout)| {
            let firsts: Vec<u32> = layout.row_groups.iter().map(|group| group.rows.start).collect();
            stream::iter(firsts.into_iter().enumerate().map(move |(group, first)| Ok((number, group, first))))
        });
        let files = Arc::clone(&self.files);
        let rows = groups.try_flatten().map_ok(move |(number, group, first)| {
            let files = Arc::clone(&files);
            async move {
                let files_of_task = Arc::clone(&files);
                let task = SpawnedTask::spawn(async move { files_of_task.row_group(number, group).await });
                let rows = joined(&files, task).await?;
                Ok(ScannedRows { first: RowAddress { file: number, row: first }, rows })
            }
        });
        ended_by_errors(rows.try_buffered(SCANNED_AT_A_TIME).boxed())
    }

    /// Reads rows, any row any number of times, and hands them out in exactly the given order, in batches of
    /// [`ReadSettings::batch_rows`] but for some smaller ones.
    ///
    /// Which rows come depends on the addresses alone: reading a part of an order gives exactly that part, so ranks that share an order
    /// each read their own sub-sequence of it. Settings, cache and retries change how fast rows come, and nothing else. The addresses
    /// are taken as they are needed; they may be endless. Dropping the stream ends all its tasks.
    ///
    /// # Errors
    /// The stream ends with its first error; rows shortly before the one that it is about may be missing then.
    /// [`StorageError::LiveFile`](crate::StorageError::LiveFile) for a file that is gone or is not the one of the log,
    /// [`StorageError::Row`](crate::StorageError::Row) with file and row for one that could not be read after all attempts or is damaged,
    /// [`StorageError::Misuse`](crate::StorageError::Misuse) for an address outside of the set.
    pub fn read<I>(&self, addresses: I) -> BoxStream<'static, Result<RecordBatch>>
    where
        I: IntoIterator<Item = RowAddress>,
        I::IntoIter: Send + 'static,
    {
        let (sender, windows) = mpsc::channel(STARTED_AT_MOST);
        let driver = SpawnedTask::spawn(drive(Arc::clone(&self.files), addresses.into_iter(), sender));
        let state = Reading { files: Arc::clone(&self.files), windows, driver: Some(driver), current: None };
        let batches = stream::unfold(state, |mut state| async move {
            let batch = state.next().await?;
            Some((batch, state))
        });
        ended_by_errors(batches.boxed())
    }
}

/// Lets nothing follow an error.
fn ended_by_errors<T: Send + 'static>(input: BoxStream<'static, Result<T>>) -> BoxStream<'static, Result<T>> {
    let state = Some(input);
    stream::unfold(state, |state| async move {
        let mut input = state?;
        let item = input.next().await?;
        let rest = item.is_ok().then_some(input);
        Some((item, rest))
    })
    .boxed()
}

struct Reading {
    files: Arc<Files>,
    windows: mpsc::Receiver<Result<SpawnedTask<Result<Window>>>>,
    /// Ends with the stream.
    driver: Option<SpawnedTask<()>>,
    current: Option<Window>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if let Some(window) = &mut self.current {
                let rows = (window.places.len() - window.done).min(self.files.settings.batch_rows.max(1));
                if rows > 0 {
                    let places = &window.places[window.done..window.done + rows];
                    let batches: Vec<&RecordBatch> = window.batches.iter().collect();
                    let batch = interleave_record_batch(&batches, places);
                    window.done += rows;
                    add(&self.files.counters.rows, rows);
                    return Some(batch.map_err(|error| self.files.broke_down(error)));
                }
                self.current = None;
            }
            let window = match self.windows.recv().await {
                Some(Ok(task)) => joined(&self.files, task).await,
                Some(Err(error)) => Err(error),
                // The order is at its end, unless whoever reads it broke down.
                None => match self.driver.take()?.join().await {
                    Ok(()) => return None,
                    Err(error) => Err(self.files.broke_down(error)),
                },
            };
            match window {
                Ok(window) => self.current = Some(window),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
