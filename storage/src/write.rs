//! Record batches in, Parquet parts out; nothing is visible before a commit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::Add;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::batches::batch_bytes;
use crate::cause::Cause;
use crate::encode::{Encoder, Files};
use crate::error::{Result, StorageError};
use crate::spec::TableSpec;
use crate::split::{PartitionValues, partition_folder, split_by_partition};
use crate::types::conform;
use crate::warehouse::{Warehouse, below};

/// Partitions that are written at a time. Each may hold a row group of 64 MB.
const OPEN_PARTITIONS: usize = 8;
/// Files that are being ended while the next rows come. Each still holds what it has encoded.
const CLOSING_PARTITIONS: usize = 4;
/// Rows of a partition wait for each other until they are so many bytes, since encoding a few rows
/// costs as much as encoding many.
const READY_BYTES: usize = 1 << 20;
/// Rows of all partitions that may wait. Those of 10 GB arrive in 256 slices, one after the other in
/// no order; past this size the partition with the most of them gets a file, and closes another's.
const WAITING_BYTES: usize = 192 << 20;
/// A partition that got no rows from so many batches has had its last, as a rule.
const IDLE_BATCHES: u64 = 64;
/// And one that got none from so many is ended: the last rows of each of 256 slices would otherwise wait
/// until all are there. Where slices take turns it must be longer than a turn, or each turn makes a file.
const ENDED_BATCHES: u64 = 512;

/// One Parquet file that a commit can make part of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Part {
    pub(crate) add: Add,
    rows: u64,
}

impl Part {
    /// The path below the table's folder.
    pub fn path(&self) -> &str {
        &self.add.path
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The size in bytes.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.add.size).unwrap_or_default()
    }

    /// The value of a partition column; none if the table is not partitioned by it.
    pub fn partition_value(&self, column: &str) -> Option<&str> {
        self.add.partition_values.get(column)?.as_deref()
    }
}

/// Writes the parts of one table: rows are cast to its schema, split by partition, and encoded by
/// one task per partition.
///
/// Memory is bounded by the open row groups and the rows that wait for more of their partition,
/// whatever the number of rows. A writer that is dropped leaves files behind which belong to no table;
/// they do no harm and are cleaned later.
#[derive(Debug)]
pub struct PartWriter {
    table: String,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    /// The columns within the files.
    file_schema: SchemaRef,
    partition_columns: Vec<String>,
    open: BTreeMap<PartitionValues, OpenPartition>,
    closing: VecDeque<(PartitionValues, Files)>,
    waiting: BTreeMap<PartitionValues, Waiting>,
    waiting_bytes: usize,
    /// Counts batches, to find the partition that has got no rows for longest.
    clock: u64,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct OpenPartition {
    encoder: Encoder,
    last_write: u64,
}

/// Rows of a partition on their way to its encoder.
#[derive(Debug, Default)]
struct Waiting {
    pieces: Vec<RecordBatch>,
    bytes: usize,
    last_write: u64,
}

impl Warehouse {
    /// Starts writing parts of a table, which need not exist yet.
    ///
    /// # Errors
    /// [`StorageError::Schema`] if the declaration holds a type that cannot be stored.
    pub fn part_writer(&self, spec: &TableSpec) -> Result<PartWriter> {
        self.table_url(&spec.name)?;
        let schema = spec.stored_schema()?;
        let kept: Vec<_> =
            schema.fields().iter().filter(|field| !spec.partition_columns.contains(field.name())).cloned().collect();
        Ok(PartWriter {
            table: spec.name.clone(),
            store: self.table_store(&spec.name),
            schema,
            file_schema: Arc::new(Schema::new(kept)),
            partition_columns: spec.partition_columns.clone(),
            open: BTreeMap::new(),
            closing: VecDeque::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            clock: 0,
            parts: Vec::new(),
        })
    }

    /// Deletes the file of a part that will not be committed; one that is gone already is no error.
    ///
    /// A part must never be discarded after a commit that held it: its table would lose the rows.
    ///
    /// # Errors
    /// [`StorageError::Store`] if the file cannot be deleted.
    pub async fn discard(&self, spec: &TableSpec, part: &Part) -> Result<()> {
        let failed = |error| StorageError::store("delete", part.path(), error);
        let path = Path::parse(part.path()).map_err(|error| failed(error.into()))?;
        match self.table_store(&spec.name).delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

impl PartWriter {
    /// Takes a batch, which holds all declared columns in any order; waits while encoders are busy.
    ///
    /// # Errors
    /// [`StorageError::Schema`] if the batch does not fit the table (see [`conform`]) or a partition
    /// value is null or empty; [`StorageError::Delta`] if an earlier batch could not be written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = conform(&self.table, &self.schema, batch)?;
        let pieces = split_by_partition(&batch, &self.partition_columns)
            .map_err(|problem| StorageError::schema(&self.table, problem))?;
        self.clock += 1;
        for (values, piece) in pieces {
            let bytes = batch_bytes(&piece);
            let waiting = self.waiting.entry(values.clone()).or_default();
            waiting.pieces.push(piece);
            waiting.bytes += bytes;
            waiting.last_write = self.clock;
            self.waiting_bytes += bytes;
            if let Some(open) = self.open.get_mut(&values) {
                open.last_write = self.clock;
            }
            if waiting.bytes >= READY_BYTES && self.has_place(&values) {
                self.write_waiting(&values).await?;
            }
        }
        while self.waiting_bytes > WAITING_BYTES {
            let most = self.waiting.iter().max_by_key(|(_, waiting)| waiting.bytes);
            let Some(values) = most.map(|(values, _)| values.clone()) else { break };
            self.write_waiting(&values).await?;
        }
        self.end_idle().await
    }

    /// Ends the files of partitions that have had their last rows.
    async fn end_idle(&mut self) -> Result<()> {
        let is_ended = |last_write: u64| self.clock - last_write > ENDED_BATCHES;
        let open = self.open.iter().filter(|(_, open)| is_ended(open.last_write)).map(|(values, _)| values);
        let waiting = self.waiting.iter().filter(|(_, waiting)| is_ended(waiting.last_write)).map(|(values, _)| values);
        let ended: BTreeSet<PartitionValues> = open.chain(waiting).cloned().collect();
        for values in ended {
            if self.has_place(&values) {
                self.write_waiting(&values).await?;
                self.close(&values).await?;
            }
        }
        Ok(())
    }

    /// Whether a partition is open, or can be without closing one that still gets rows.
    fn has_place(&self, values: &PartitionValues) -> bool {
        let is_idle = |open: &OpenPartition| self.clock - open.last_write > IDLE_BATCHES;
        self.open.len() < OPEN_PARTITIONS || self.open.contains_key(values) || self.open.values().any(is_idle)
    }

    /// Hands the rows of a partition that wait to its encoder.
    async fn write_waiting(&mut self, values: &PartitionValues) -> Result<()> {
        let Some(Waiting { pieces, bytes, .. }) = self.waiting.remove(values) else { return Ok(()) };
        self.waiting_bytes -= bytes;
        if !self.open.contains_key(values) && self.open.len() >= OPEN_PARTITIONS {
            let idle = self.open.iter().min_by_key(|(_, open)| open.last_write);
            if let Some(idle) = idle.map(|(values, _)| values.clone()) {
                self.close(&idle).await?;
            }
        }
        let open = self.open.entry(values.clone()).or_insert_with(|| {
            let folder = Path::from(partition_folder(&self.partition_columns, values));
            let encoder = Encoder::start(below(&self.store, &folder), Arc::clone(&self.file_schema));
            OpenPartition { encoder, last_write: self.clock }
        });
        let rows = match pieces.as_slice() {
            [piece] => Ok(piece.clone()),
            _ => concat_batches(&self.file_schema, &pieces),
        };
        let rows = rows.map_err(|error| StorageError::schema(&self.table, error.to_string()))?;
        if !open.encoder.write(rows).await {
            // Only a failed encoder stops listening; its end tells why.
            self.close(values).await?;
            self.wait_for_closing(0).await?;
            return Err(self.failed(Cause::new(crate::ErrorKind::Internal, "an encoder stopped")));
        }
        Ok(())
    }

    /// Ends a partition's file, which need not be complete when this returns.
    async fn close(&mut self, values: &PartitionValues) -> Result<()> {
        if let Some(open) = self.open.remove(values) {
            self.closing.push_back((values.clone(), open.encoder.end()));
        }
        self.wait_for_closing(CLOSING_PARTITIONS).await
    }

    /// Waits until no more files than so many are being ended.
    async fn wait_for_closing(&mut self, most: usize) -> Result<()> {
        while self.closing.len() > most {
            let Some((values, task)) = self.closing.pop_front() else { break };
            let adds = task.await.map_err(Cause::from).flatten().map_err(|cause| self.failed(cause))?;
            self.keep(adds, &values)?;
        }
        Ok(())
    }

    fn keep(&mut self, adds: Vec<Add>, values: &PartitionValues) -> Result<()> {
        for add in adds {
            let part = self.part(add, values).map_err(|cause| self.failed(cause))?;
            self.parts.push(part);
        }
        Ok(())
    }

    fn part(&self, mut add: Add, values: &PartitionValues) -> Result<Part, Cause> {
        let folder = partition_folder(&self.partition_columns, values);
        if !folder.is_empty() {
            add.path = format!("{folder}/{}", add.path);
        }
        add.partition_values = self.partition_columns.iter().cloned().zip(values.iter().cloned().map(Some)).collect();
        let rows = rows_of(&add)?;
        Ok(Part { add, rows })
    }

    /// Waits for all files and returns them, sorted by partition values, in the order of their rows.
    ///
    /// # Errors
    /// [`StorageError::Delta`] if a file could not be written; the parts are lost then.
    pub async fn finish(mut self) -> Result<Vec<Part>> {
        // Those that are open first: they need no other's place.
        let is_open = |values: &PartitionValues| self.open.contains_key(values);
        let (open, closed): (Vec<_>, Vec<_>) = self.waiting.keys().cloned().partition(is_open);
        for values in open.iter().chain(&closed) {
            self.write_waiting(values).await?;
        }
        let open = std::mem::take(&mut self.open).into_iter();
        self.closing.extend(open.map(|(values, open)| (values, open.encoder.end())));
        self.wait_for_closing(0).await?;
        let columns = std::mem::take(&mut self.partition_columns);
        let mut parts = std::mem::take(&mut self.parts);
        let key = |part: &Part| -> Vec<Option<String>> {
            columns.iter().map(|c| part.partition_value(c).map(str::to_owned)).collect()
        };
        parts.sort_by_cached_key(key);
        Ok(parts)
    }

    /// Gives up: stops the encoders. Files already complete stay behind until they are cleaned.
    pub fn abort(mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            open.encoder.abort();
        }
        self.closing.iter().for_each(|(_, task)| task.abort());
    }

    fn failed(&self, cause: Cause) -> StorageError {
        StorageError::delta("write", &self.table, cause)
    }
}

fn rows_of(add: &Add) -> Result<u64, Cause> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Stats {
        num_records: u64,
    }
    let stats = add.stats.as_deref().unwrap_or_default();
    let stats: Stats =
        serde_json::from_str(stats).map_err(|error| Cause::new(crate::ErrorKind::Internal, error.to_string()))?;
    Ok(stats.num_records)
}
