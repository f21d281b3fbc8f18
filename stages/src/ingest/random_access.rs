//! A source file that is read at any place, for formats whose table of contents is at the end: Parquet and zip.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use secprm_storage::{Location, SourceFile};
use tokio::runtime::Handle;

use crate::error::{Result, StageError};

/// Bytes that a cursor fetches at once.
const FETCH_BYTES: u64 = 1 << 20;

/// A file of known length. Use it on a blocking thread.
#[derive(Debug, Clone)]
pub struct RandomAccess {
    bytes: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Local(Arc<Mutex<File>>),
    Store { store: Arc<dyn ObjectStore>, path: Path, runtime: Handle },
    Memory(Bytes),
}

impl RandomAccess {
    /// Opens a file of a source; call it inside of a Tokio runtime.
    pub(super) async fn open(location: &Location, file: &SourceFile) -> Result<RandomAccess> {
        let unreadable = |error| StageError::Read { file: location.display(file), source: io::Error::other(error) };
        let found = location.store().get(&file.path).await.map_err(unreadable)?;
        let bytes = found.meta.size;
        let place = match found.payload {
            GetResultPayload::File(open, _) => Place::Local(Arc::new(Mutex::new(open))),
            GetResultPayload::Stream(_) => {
                Place::Store { store: location.store().clone(), path: file.path.clone(), runtime: Handle::current() }
            }
        };
        Ok(RandomAccess { bytes, place })
    }

    /// Wraps bytes in memory, for tests.
    pub fn in_memory(bytes: Bytes) -> RandomAccess {
        RandomAccess { bytes: bytes.len() as u64, place: Place::Memory(bytes) }
    }

    /// Returns the bytes from `start` on, `length` of them, or fewer where the file ends.
    pub fn read_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let start = start.min(self.bytes);
        let length = (length as u64).min(self.bytes - start);
        match &self.place {
            Place::Local(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = Vec::with_capacity(length as usize);
                (&mut *file).take(length).read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
            Place::Store { store, path, runtime } => {
                runtime.block_on(store.get_range(path, start..start + length)).map_err(io::Error::other)
            }
            Place::Memory(bytes) => Ok(bytes.slice(start as usize..(start + length) as usize)),
        }
    }

    /// Returns a reader that seeks.
    pub fn cursor(&self) -> Cursor {
        Cursor { file: self.clone(), position: 0, fetched: Bytes::new(), fetched_at: 0 }
    }
}

impl Length for RandomAccess {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for RandomAccess {
    type T = Cursor;

    fn get_read(&self, start: u64) -> Result<Cursor, ParquetError> {
        Ok(Cursor { position: start, ..self.cursor() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let bytes = self.read_at(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} reach past the end of the file")));
        }
        Ok(bytes)
    }
}

/// A place in a file; fetches a stretch at once.
pub struct Cursor {
    file: RandomAccess,
    position: u64,
    fetched: Bytes,
    fetched_at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fetched_end = self.fetched_at + self.fetched.len() as u64;
        if !(self.fetched_at..fetched_end).contains(&self.position) {
            self.fetched = self.file.read_at(self.position, FETCH_BYTES as usize)?;
            self.fetched_at = self.position;
        }
        let from = (self.position - self.fetched_at) as usize;
        let available = self.fetched.get(from..).unwrap_or(&[]);
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.file.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a seek before the start"))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_cursor_reads_from_where_it_was_sent() {
        let file = RandomAccess::in_memory(Bytes::from_static(b"0123456789"));
        let mut cursor = file.cursor();
        let mut two = [0; 2];
        cursor.seek(SeekFrom::End(-3)).unwrap();
        cursor.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"78");
        cursor.seek(SeekFrom::Current(-6)).unwrap();
        cursor.read_exact(&mut two).unwrap();
        assert_eq!(&two, b"34");
        assert!(cursor.seek(SeekFrom::Current(-6)).is_err());
        cursor.seek(SeekFrom::Start(99)).unwrap();
        assert_eq!(cursor.read(&mut two).unwrap(), 0);
        assert!(file.get_bytes(8, 3).is_err());
    }
}
