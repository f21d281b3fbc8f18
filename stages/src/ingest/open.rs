//! Opens a source file as a blocking reader that hashes what passes through it.

use std::io::{self, BufReader, Read};

use object_store::{GetResultPayload, ObjectStoreExt};
use secprm_storage::{Location, SourceFile};
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::error::{Result, StageError};

/// Bytes read from the store at once.
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

/// A source file, open for reading in bounded memory.
pub type OpenFile = BufReader<Hashed<Box<dyn Read + Send>>>;

/// Opens a file of a source: a local file directly, any other as a stream bridged to blocking reads.
///
/// Call it inside of a Tokio runtime and read it on a blocking thread.
pub async fn open(location: &Location, file: &SourceFile) -> Result<OpenFile> {
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
    Ok(BufReader::with_capacity(READ_BUFFER, hashed))
}

/// Reads what is left of a file and returns the hash of the whole as 64 hexadecimal digits.
pub fn finish_hash(mut file: OpenFile) -> io::Result<String> {
    io::copy(&mut file, &mut io::sink())?;
    Ok(file.into_inner().hasher.finalize().to_hex().to_string())
}
