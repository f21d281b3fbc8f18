//! Runs of the order: planned, and read ahead within the limits of bytes and rows.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use futures::future::try_join_all;
use tokio::sync::mpsc;

use super::address::RowAddress;
use super::budget::{Held, Pool, Share};
use super::files::Files;
use super::plan::{Plan, plan};
use crate::batches::batch_bytes;
use crate::error::{Result, StorageError};

/// The limits allow so many runs of the order at a time: while one is handed out, the others are fetched.
const WINDOWS: usize = 4;

/// A run of the order, read.
pub(super) struct Window {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) places: Vec<(usize, usize)>,
    /// How many rows were handed out.
    pub(super) done: usize,
    _held: Vec<Held>,
    _shares: (Share, Share),
}

pub(super) async fn joined<T: 'static>(files: &Files, task: SpawnedTask<Result<T>>) -> Result<T> {
    task.join().await.unwrap_or_else(|error| Err(files.broke_down(error)))
}

/// Plans runs of the order and starts reading them, as far ahead as the settings allow.
pub(super) async fn drive(
    files: Arc<Files>,
    mut addresses: impl Iterator<Item = RowAddress> + Send,
    windows: mpsc::Sender<Result<SpawnedTask<Result<Window>>>>,
) {
    let settings = &files.settings;
    let (row_bytes, rows) = (files.row_pool(), Pool::new(settings.prefetch_rows, 1));
    let most_rows = (settings.prefetch_rows / WINDOWS).max(1);
    // The first rows are wanted at once; later ones gain by sharing pages.
    let mut window_rows = settings.batch_rows.clamp(1, most_rows);
    let mut waiting: VecDeque<RowAddress> = VecDeque::new();
    // What rows really took, in percent of what they should take by the averages of their row groups: long ones may come together.
    let percent = Arc::new(AtomicUsize::new(100));
    loop {
        while waiting.len() < window_rows {
            match addresses.next() {
                Some(address) => waiting.push_back(address),
                None => break,
            }
        }
        if waiting.is_empty() {
            return;
        }
        let planned = match plan_window(&files, &mut waiting, window_rows, percent.load(Ordering::Relaxed)).await {
            Ok(planned) => planned,
            Err(error) => {
                // A receiver that is gone wants no error either.
                let _ = windows.send(Err(error)).await;
                return;
            }
        };
        let (plan, average_bytes, bytes) = planned;
        let shares = (rows.take(plan.places.len()).await, row_bytes.take(bytes).await);
        let (files_of_task, percent) = (Arc::clone(&files), Arc::clone(&percent));
        let task = SpawnedTask::spawn(async move {
            let window = read_window(&files_of_task, plan, shares).await?;
            let bytes: usize = window.batches.iter().map(batch_bytes).sum();
            percent.store((bytes.saturating_mul(100) / average_bytes.max(1)).max(100), Ordering::Relaxed);
            Ok(window)
        });
        if windows.send(Ok(task)).await.is_err() {
            return;
        }
        window_rows = (window_rows * 2).min(most_rows);
    }
}

/// Takes the next run of the order. Returns it with the bytes of its rows by the averages of their row groups, and with those to expect,
/// which are `percent` of them.
async fn plan_window(
    files: &Files,
    waiting: &mut VecDeque<RowAddress>,
    rows: usize,
    percent: usize,
) -> Result<(Plan, usize, usize)> {
    let candidates: Vec<RowAddress> = waiting.iter().take(rows).copied().collect();
    if let Some(bad) = candidates.iter().find(|address| files.set.index(**address).is_none()) {
        let problem = format!("row {} of file {} is not in it", bad.row, bad.file);
        return Err(StorageError::misuse(files.set.table(), problem));
    }
    let numbers: BTreeSet<u32> = candidates.iter().map(|address| address.file).collect();
    let loading = numbers.into_iter().map(async |number| Ok::<_, StorageError>((number, files.layout(number).await?)));
    let layouts: Vec<_> = try_join_all(loading).await?;
    let layout_of = |number: u32| {
        let found = layouts.binary_search_by_key(&number, |(number, _)| *number);
        found
            .map(|index| &layouts[index].1)
            .map_err(|_| StorageError::misuse(files.set.table(), "a file without layout"))
    };
    let row_group_of = |number: u32, row: u32| {
        let layout = layout_of(number)?;
        let found = layout.row_group_of(row);
        found.ok_or_else(|| StorageError::misuse(files.set.table(), "a row without row group"))
    };

    let most_bytes = files.settings.prefetch_bytes / 4 * 3 / WINDOWS;
    let expected = |average_bytes: usize| average_bytes.saturating_mul(percent) / 100;
    let (mut taken, mut bytes) = (0, 0);
    for address in &candidates {
        let group = row_group_of(address.file, address.row)?;
        let added = layout_of(address.file)?.row_groups[group].row_bytes;
        if taken > 0 && expected(bytes + added) > most_bytes {
            break;
        }
        taken += 1;
        bytes += added;
    }
    waiting.drain(..taken);

    let cut = |number: u32, rows: &[u32]| {
        let layout = layout_of(number)?;
        let (mut pieces, mut start) = (Vec::new(), 0);
        while start < rows.len() {
            let group = row_group_of(number, rows[start])?;
            let past = layout.row_groups[group].rows.end;
            let end = start + rows[start..].partition_point(|row| *row < past);
            let cuts = layout.cut(group, &rows[start..end], files.piece_bytes());
            pieces.extend(cuts.into_iter().map(|piece| (group, start + piece.start..start + piece.end)));
            start = end;
        }
        Ok::<_, StorageError>(pieces)
    };
    Ok((plan(&candidates[..taken], cut)?, bytes, expected(bytes)))
}

async fn read_window(files: &Arc<Files>, plan: Plan, shares: (Share, Share)) -> Result<Window> {
    let Plan { pieces, places } = plan;
    let reading: Vec<_> = pieces
        .into_iter()
        .map(|piece| {
            let files = Arc::clone(files);
            SpawnedTask::spawn(async move {
                let batch = files.piece(&piece).await?;
                let held = files.counters.hold(batch_bytes(&batch));
                Ok((batch, held))
            })
        })
        .collect();
    let (batches, held): (Vec<_>, Vec<_>) =
        try_join_all(reading.into_iter().map(|task| joined(files, task))).await?.into_iter().unzip();
    Ok(Window { batches, places, done: 0, _held: held, _shares: shares })
}
