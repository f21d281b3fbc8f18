//! Plain Parquet files in a local folder, for tools that know no Delta.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::fs::File;

use crate::error::{Result, StorageError};
use crate::new_folder::NewFolder;
use crate::types::{conform, stored_schema};

/// A row group is closed at this encoded size.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;
/// A file is closed at about this size.
const FILE_BYTES: usize = 128 * 1024 * 1024;

/// What an export has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// The number of files.
    pub files: u64,
    /// The number of rows.
    pub rows: u64,
    /// The size of the files in bytes.
    pub bytes: u64,
}

/// Writes rows to `folder` as `part-00000.parquet` and so on, in the order of the stream.
///
/// Every column is in the files, as a type that any reader knows. The folder appears when all is
/// written, or not at all. No rows give one file with the columns alone.
///
/// # Errors
/// [`StorageError::Invalid`] if the folder holds anything; [`StorageError::Store`] if it cannot be
/// written, or the rows cannot be computed.
pub async fn export_parquet(rows: SendableRecordBatchStream, folder: &Path) -> Result<Exported> {
    let begun = NewFolder::begin(folder)?;
    let exported = write_folder(rows, begun.path(), &folder.to_string_lossy()).await?;
    begun.finish()?;
    Ok(exported)
}

async fn write_folder(mut rows: SendableRecordBatchStream, folder: &Path, name: &str) -> Result<Exported> {
    let schema = stored_schema(&rows.schema()).map_err(|problem| StorageError::schema(name, problem))?;
    let mut exported = Exported::default();
    let mut open = Some(OutputFile::create(folder, 0, &schema).await?);
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| StorageError::store("export", name, error))?;
        let batch = conform(name, &schema, &batch)?;
        let mut file = match open.take() {
            Some(file) => file,
            None => OutputFile::create(folder, exported.files, &schema).await?,
        };
        file.write(&batch).await?;
        if file.size() >= FILE_BYTES {
            file.finish(&mut exported).await?;
        } else {
            open = Some(file);
        }
    }
    if let Some(file) = open {
        file.finish(&mut exported).await?;
    }
    Ok(exported)
}

struct OutputFile {
    path: PathBuf,
    writer: AsyncArrowWriter<File>,
    rows: u64,
}

impl OutputFile {
    async fn create(folder: &Path, number: u64, schema: &SchemaRef) -> Result<Self> {
        let path = folder.join(format!("part-{number:05}.parquet"));
        let file = File::create(&path).await.map_err(|error| StorageError::store("create", path.display(), error))?;
        let properties = WriterProperties::builder()
            .set_created_by(concat!("secprm ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .build();
        let writer = AsyncArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| StorageError::store("write", path.display(), error))?;
        Ok(Self { path, writer, rows: 0 })
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).await.map_err(|error| StorageError::store("write", self.path.display(), error))
    }

    fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    async fn finish(mut self, exported: &mut Exported) -> Result<()> {
        self.writer.finish().await.map_err(|error| StorageError::store("write", self.path.display(), error))?;
        exported.files += 1;
        exported.rows += self.rows;
        exported.bytes += self.writer.bytes_written() as u64;
        Ok(())
    }
}
