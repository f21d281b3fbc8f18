//! Examples that are read from the files of `train_shards` while training asks for them.
//!
//! What is known of every example (its key, length, labels) is read once; ids are read ahead of training, in its order, within the bounds of
//! [`ReadSettings`]. Which examples come in which order does not depend on how they are read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use secprm_model::{Example, ExampleSource, Listed, ModelError, Reading};
use secprm_storage::{ReadSettings, RowAddress, ShardCache, ShardReader, ShardSet, Table};
use tokio::runtime::Handle;

use super::examples::{keys_of, labels_of_windows, windows_of};
use crate::error::Result;

/// What training needs of a row, beside its key.
const WIDE: [&str; 4] = ["input_ids", "step_positions", "step_labels", "step_supervised"];
/// What is known of a row before it is read.
const NARROW: [&str; 5] = ["sample_id", "window_index", "n_tokens", "step_labels", "step_supervised"];

/// The examples of a version of `train_shards` that are trained on.
pub struct StreamedExamples {
    listed: Vec<Listed>,
    addresses: Vec<RowAddress>,
    reader: ShardReader,
    runtime: Handle,
}

impl StreamedExamples {
    /// Lists the rows whose key is in `repeats`, with how often an epoch sees them; keys are `SAMPLE:WINDOW`.
    ///
    /// `cache` is where files of a remote warehouse are kept on the local disk.
    ///
    /// # Errors
    /// A file is gone, damaged, or lacks a column.
    pub async fn list(
        table: &Table,
        repeats: &HashMap<String, u32>,
        cache: Option<Arc<ShardCache>>,
        settings: ReadSettings,
    ) -> Result<Self> {
        let set = ShardSet::of(table)?;
        let mut scan = ShardReader::new(&set, &NARROW, settings.clone(), None)?.scan();
        let (mut listed, mut addresses) = (Vec::new(), Vec::new());
        while let Some(scanned) = scan.next().await.transpose()? {
            let lengths = super::examples::int32(&scanned.rows, "n_tokens")?;
            let labels = labels_of_windows(&scanned.rows)?;
            for (row, (key, supervised)) in keys_of(&scanned.rows)?.into_iter().zip(labels).enumerate() {
                if let Some(repeats) = repeats.get(&key) {
                    let tokens = u32::try_from(lengths.value(row)).unwrap_or(0);
                    listed.push(Listed { key, repeats: *repeats, tokens, supervised });
                    addresses.push(RowAddress { file: scanned.first.file, row: scanned.first.row + row as u32 });
                }
            }
        }
        let reader = ShardReader::new(&set, &WIDE, settings, cache)?;
        Ok(StreamedExamples { listed, addresses, reader, runtime: Handle::current() })
    }
}

impl ExampleSource for StreamedExamples {
    fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn read(&self, order: Vec<usize>) -> Reading<'_> {
        let addresses: Vec<RowAddress> = order.iter().map(|index| self.addresses[*index]).collect();
        // Reading ahead goes on as tasks of the runtime while this thread computes.
        let _within = self.runtime.enter();
        let batches = self.reader.read(addresses);
        Box::new(InOrder { source: self, order: order.into(), batches, ready: VecDeque::new() })
    }
}

/// Rows as they come, each with the key of the example that was asked for.
struct InOrder<'a> {
    source: &'a StreamedExamples,
    order: VecDeque<usize>,
    batches: BoxStream<'static, secprm_storage::Result<arrow::array::RecordBatch>>,
    ready: VecDeque<Example>,
}

impl InOrder<'_> {
    fn fill(&mut self) -> Result<()> {
        if let Some(batch) = self.source.runtime.block_on(self.batches.next()) {
            for mut example in windows_of(&batch?)? {
                if let Some(index) = self.order.pop_front() {
                    example.key.clone_from(&self.source.listed[index].key);
                    self.ready.push_back(example);
                }
            }
        }
        Ok(())
    }
}

impl Iterator for InOrder<'_> {
    type Item = secprm_model::Result<Example>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && let Err(error) = self.fill()
        {
            return Some(Err(ModelError::Source(Box::new(error))));
        }
        self.ready.pop_front().map(Ok)
    }
}

/// The keys of rows of the view `training_shards` and their repeats.
///
/// # Errors
/// A column is missing or of another type.
pub fn repeats_of(batches: &[arrow::array::RecordBatch]) -> Result<HashMap<String, u32>> {
    let mut repeats = HashMap::new();
    for batch in batches {
        let counts = super::examples::int32(batch, "repeats")?;
        for (row, key) in keys_of(batch)?.into_iter().enumerate() {
            repeats.insert(key, u32::try_from(counts.value(row)).unwrap_or(0));
        }
    }
    repeats.retain(|_, repeats| *repeats > 0);
    Ok(repeats)
}
