//! One partition's rows as Parquet files.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use deltalake::datafile::writer::{DeltaWriter, WriterConfig};
use deltalake::kernel::Add;
use deltalake::operations::get_num_idx_cols_and_stats_columns;
use deltalake::parquet::basic::{Compression, Encoding, ZstdLevel};
use deltalake::parquet::file::properties::{EnabledStatistics, WriterProperties};
use deltalake::parquet::schema::types::ColumnPath;
use object_store::ObjectStore;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::batches::batch_bytes;
use crate::cause::Cause;

/// A row group is closed at this encoded size.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// A file is closed at about this size.
const FILE_BYTES: u64 = 128 * 1024 * 1024;
/// Pages of lists of integers, the tokens of shards among them, are closed at this size: their rows are read one by one in random order,
/// and for each a whole page is fetched and decoded.
const LIST_PAGE_BYTES: usize = 16 * 1024;
/// No page of a table with such lists has more rows, so that the short lists beside the tokens take little decoding as well.
const LIST_PAGE_ROWS: usize = 1024;
/// Texts longer than this on average are code: they hardly repeat, and nobody filters by their order.
const WIDE_VALUE_BYTES: usize = 256;
/// Fewer bytes of rows than this stay uncompressed. A reader prepares zstd anew for each column of each file, which for tables of many
/// small files (a few rows a slice) takes a quarter of a query, and their footers are larger than what compression saves.
const COMPRESSED_BYTES: usize = 128 * 1024;
/// Batches that wait for a partition's encoder, so that whoever feeds several need not wait for the slowest.
const QUEUED_BATCHES: usize = 4;

/// The files of one partition, with paths below the store's root, once they are complete.
pub(crate) type Files = JoinHandle<Result<Vec<Add>, Cause>>;

/// The encoder of one partition, which runs as a task of its own.
#[derive(Debug)]
pub(crate) struct Encoder {
    queue: mpsc::Sender<RecordBatch>,
    task: Files,
}

impl Encoder {
    /// Starts an encoder that writes below the given store's root.
    pub(crate) fn start(store: Arc<dyn ObjectStore>, schema: SchemaRef) -> Self {
        let (queue, batches) = mpsc::channel(QUEUED_BATCHES);
        let task = tokio::spawn(encode(store, schema, batches));
        Self { queue, task }
    }

    /// Hands a batch over; false if the encoder has failed, which [`Encoder::finish`] explains.
    pub(crate) async fn write(&self, batch: RecordBatch) -> bool {
        self.queue.send(batch).await.is_ok()
    }

    /// Ends the rows.
    pub(crate) fn end(self) -> Files {
        self.task
    }

    /// Stops without waiting; complete files stay behind until they are cleaned.
    pub(crate) fn abort(self) {
        self.task.abort();
    }
}

async fn encode(
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    mut batches: mpsc::Receiver<RecordBatch>,
) -> Result<Vec<Add>, Cause> {
    let Some(first) = batches.recv().await else {
        return Ok(Vec::new());
    };
    let mut writer = DeltaWriter::new(store, writer_config(schema, &first));
    let mut next = Some(first);
    while let Some(batch) = next {
        if let Err(error) = writer.write(&batch).await {
            if let Err(second) = writer.abort().await {
                tracing::warn!("an unfinished upload stays behind: {}", Cause::from(second));
            }
            return Err(error.into());
        }
        next = batches.recv().await;
    }
    Ok(writer.close().await?)
}

fn writer_config(schema: SchemaRef, first: &RecordBatch) -> WriterConfig {
    // Of few rows the first batch is all there are.
    let compression = match batch_bytes(first) < COMPRESSED_BYTES {
        true => Compression::UNCOMPRESSED,
        false => Compression::ZSTD(ZstdLevel::default()),
    };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("secprm ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    let mut narrow = Vec::new();
    for (field, column) in schema.fields().iter().zip(first.columns()) {
        let is_wide = is_wide(column);
        if is_list_of_integers(field.data_type()) {
            // Bytes and lines of steps, tokens: they grow from one to the next and hardly repeat.
            for path in leaf_paths(field.name(), field.data_type()) {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_data_page_size_limit(path.clone(), LIST_PAGE_BYTES)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
            properties = properties.set_data_page_row_count_limit(LIST_PAGE_ROWS);
        } else if is_wide {
            for path in leaf_paths(field.name(), field.data_type()) {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::Chunk);
            }
        } else if is_ordered(field.data_type()) {
            narrow.push(quoted(field.name()));
        }
    }
    let (num_indexed_columns, _) = get_num_idx_cols_and_stats_columns(None, HashMap::new());
    WriterConfig::new(
        schema,
        Vec::new(),
        Some(properties.build()),
        NonZeroU64::new(FILE_BYTES),
        None,
        num_indexed_columns,
        Some(narrow),
    )
}

/// Tells whether a column's texts are long, from its first rows.
fn is_wide(column: &ArrayRef) -> bool {
    let texts = match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (Some(first), Some(last)) = (list.offsets().first(), list.offsets().last()) else {
                return false;
            };
            list.values().slice(*first as usize, (last - first) as usize)
        }
        _ => Arc::clone(column),
    };
    let bytes = match texts.data_type() {
        DataType::Utf8 => value_bytes(texts.as_string::<i32>().offsets()),
        DataType::Binary => value_bytes(texts.as_binary::<i32>().offsets()),
        _ => return false,
    };
    bytes > WIDE_VALUE_BYTES * texts.len()
}

fn is_list_of_integers(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(item) if item.data_type().is_integer())
}

fn value_bytes(offsets: &[i32]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (last - first) as usize,
        _ => 0,
    }
}

fn leaf_paths(name: &str, data_type: &DataType) -> Vec<ColumnPath> {
    match data_type {
        DataType::List(item) => vec![ColumnPath::from(vec![name.to_owned(), "list".to_owned(), item.name().clone()])],
        _ => vec![ColumnPath::from(vec![name.to_owned()])],
    }
}

/// Types whose smallest and largest value help to leave files unread.
fn is_ordered(data_type: &DataType) -> bool {
    data_type.is_primitive() || matches!(data_type, DataType::Utf8 | DataType::Boolean)
}

/// A column name as the statistics' reader of SQL identifiers wants it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
