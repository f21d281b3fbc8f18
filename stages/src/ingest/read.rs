//! Reads source files on blocking threads, several at once, and hands their rows on in file order.

use std::sync::Arc;

use secprm_storage::{Location, SourceFile};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::compression::logical_name;
use super::identity::{CodeHash, ContentKey};
use super::open::open;
use super::reader::{DatasetReader, FileContext};
use super::record::{Granularity, Located, Pair, Reject};
use crate::error::{Result, StageError};

/// A chunk of rows is handed on when its text has grown past this.
const CHUNK_BYTES: usize = 4 << 20;

/// A pair with what only its own content decides.
pub struct ReadPair {
    /// The pair.
    pub pair: Box<Pair>,
    /// Hash of all it tells.
    pub key: ContentKey,
    /// Hash of both versions' text.
    pub code_hash: CodeHash,
}

/// One raw record, read.
pub struct ReadRow {
    /// The (first) record in the file, from 0.
    pub row: u64,
    /// How many records, `row` the first of them.
    pub records: u32,
    /// The byte at which it starts.
    pub byte_offset: u64,
    /// What became of it.
    pub outcome: Result<ReadPair, Reject>,
}

/// What is known once a file was read to its end.
pub struct FileEnd {
    /// Raw records, as the reader counted them.
    pub records: u64,
    /// BLAKE3 of the file.
    pub hash: String,
}

/// A file being read.
pub struct Reading {
    /// Its rows, chunk by chunk, in file order.
    pub rows: mpsc::Receiver<Vec<ReadRow>>,
    /// Its end, once the rows are through.
    pub end: JoinHandle<Result<FileEnd>>,
}

/// Starts reading a file; at most three chunks are held in memory.
pub async fn start_reading(
    reader: Arc<dyn DatasetReader>,
    location: Location,
    file: SourceFile,
    max_record_bytes: usize,
    granularities: Vec<Granularity>,
) -> Result<Reading> {
    let mut opened = open(&location, &file, reader.access(logical_name(&file.name))).await?;
    let (sender, rows) = mpsc::channel(2);
    let context = FileContext { path: logical_name(&file.name).to_owned(), max_record_bytes, granularities };
    let end = tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::new();
        let mut chunk_bytes = 0;
        let records = reader.read(&context, opened.input(), &mut |located| {
            let (row, bytes) = read_row(located);
            chunk.push(row);
            chunk_bytes += bytes;
            if chunk_bytes >= CHUNK_BYTES {
                chunk_bytes = 0;
                send(&sender, std::mem::take(&mut chunk), &context.path)?;
            }
            Ok(())
        })?;
        send(&sender, chunk, &context.path)?;
        let hash = opened.finish().map_err(|source| StageError::Read { file: context.path, source })?;
        Ok(FileEnd { records, hash })
    });
    Ok(Reading { rows, end })
}

/// Hands a chunk of rows on. A closed channel means that the other side failed and will say why; the reader only has to stop.
pub fn send<T>(sender: &mpsc::Sender<Vec<T>>, chunk: Vec<T>, file: &str) -> Result<()> {
    sender.blocking_send(chunk).map_err(|_| StageError::Read {
        file: file.to_owned(),
        source: std::io::Error::other("the rows were no longer wanted"),
    })
}

fn read_row(located: Located) -> (ReadRow, usize) {
    let Located { row, records, byte_offset, outcome } = located;
    let mut bytes = 64;
    let outcome = match outcome {
        Ok(pair) => {
            let code_hash = CodeHash::of(&pair);
            let key = ContentKey::of(&pair, &code_hash);
            bytes += [&pair.vulnerable_code, &pair.secure_code].into_iter().flatten().map(String::len).sum::<usize>();
            Ok(ReadPair { pair, key, code_hash })
        }
        Err(reject) => {
            bytes += reject.raw.as_ref().map_or(0, String::len);
            Err(reject)
        }
    };
    (ReadRow { row, records, byte_offset, outcome }, bytes)
}
