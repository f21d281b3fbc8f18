//! Opens a source file for blocking reads, and hashes what it holds.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use secprm_storage::{Location, SourceFile};
use tokio::runtime::Handle;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::compression::Decompressed;
use super::random_access::{RandomAccess, ReadAt};
use super::reader::{Access, RawInput};
use crate::error::{Result, StageError};

/// Bytes read from the store at once, at most.
const READ_BUFFER: usize = 1 << 20;

/// A reader that hashes every byte it hands out.
pub struct Hashed<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The raw bytes of a file, from first to last.
pub type RawStream = BufReader<Hashed<Box<dyn Read + Send>>>;

/// A source file, open for reading in bounded memory.
pub enum Opened {
    /// From first to last; hashed on the way.
    Stream(Decompressed<RawStream>),
    /// At any place; the stream beside it is read for the hash.
    Random(RandomAccess, RawStream),
}

impl Opened {
    /// What a reader reads.
    pub fn input(&mut self) -> RawInput<'_> {
        match self {
            Opened::Stream(stream) => RawInput::Stream(stream.reader()),
            Opened::Random(file, _) => RawInput::Random(file),
        }
    }

    /// Reads what is left of the file and returns the hash of its raw bytes as 64 hexadecimal digits.
    pub fn finish(self) -> io::Result<String> {
        finish_hash(match self {
            Opened::Stream(stream) => stream.into_inner(),
            Opened::Random(_, stream) => stream,
        })
    }
}

/// Opens a file of a source: a local file directly, any other through its object store, bridged to blocking reads.
///
/// Call it inside of a Tokio runtime and read on a blocking thread.
pub async fn open(location: &Location, file: &SourceFile, access: Access) -> Result<Opened> {
    let raw = open_raw(location, file).await?;
    Ok(match access {
        Access::Stream => {
            let unreadable = |source| StageError::Read { file: location.display(file), source };
            Opened::Stream(Decompressed::new(&file.name, raw).map_err(unreadable)?)
        }
        Access::Random => Opened::Random(open_random(location, file).await?, raw),
    })
}

/// Returns the hash of a file's raw bytes as 64 hexadecimal digits.
pub async fn hash_of(location: &Location, file: &SourceFile) -> Result<String> {
    let raw = open_raw(location, file).await?;
    let name = location.display(file);
    tokio::task::spawn_blocking(move || finish_hash(raw).map_err(|source| StageError::Read { file: name, source }))
        .await?
}

/// A file in a store that has ranges instead of places.
struct Ranges {
    store: Arc<dyn ObjectStore>,
    path: Path,
    runtime: Handle,
}

impl ReadAt for Ranges {
    fn read_at(&self, start: u64, length: u64) -> io::Result<Bytes> {
        self.runtime.block_on(self.store.get_range(&self.path, start..start + length)).map_err(io::Error::other)
    }
}

async fn open_random(location: &Location, file: &SourceFile) -> Result<RandomAccess> {
    let unreadable = |error| StageError::Read { file: location.display(file), source: io::Error::other(error) };
    let found = location.store().get(&file.path).await.map_err(unreadable)?;
    let bytes = found.meta.size;
    let place: Arc<dyn ReadAt> = match found.payload {
        GetResultPayload::File(open, _) => Arc::new(Mutex::new(open)),
        GetResultPayload::Stream(_) => {
            Arc::new(Ranges { store: location.store().clone(), path: file.path.clone(), runtime: Handle::current() })
        }
    };
    Ok(RandomAccess::new(bytes, place))
}

async fn open_raw(location: &Location, file: &SourceFile) -> Result<RawStream> {
    let found = location
        .store()
        .get(&file.path)
        .await
        .map_err(|error| StageError::Read { file: location.display(file), source: io::Error::other(error) })?;
    let inner: Box<dyn Read + Send> = match found.payload {
        GetResultPayload::File(open, _) => Box::new(open),
        GetResultPayload::Stream(chunks) => {
            use futures::TryStreamExt;
            Box::new(SyncIoBridge::new(StreamReader::new(chunks.map_err(io::Error::other))))
        }
    };
    let hashed = Hashed { inner, hasher: blake3::Hasher::new() };
    // Datasets of small files have tens of thousands of them.
    let buffer = usize::try_from(file.size).unwrap_or(READ_BUFFER).clamp(4 << 10, READ_BUFFER);
    Ok(BufReader::with_capacity(buffer, hashed))
}

fn finish_hash(mut raw: RawStream) -> io::Result<String> {
    io::copy(&mut raw, &mut io::sink())?;
    Ok(raw.into_inner().hasher.finalize().to_hex().to_string())
}
