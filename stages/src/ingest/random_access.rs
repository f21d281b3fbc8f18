//! A source file that is read at any place, for formats whose table of contents is at the end: Parquet and zip.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Bytes that a cursor fetches at once.
const FETCH_BYTES: usize = 1 << 20;

/// A file of known length.
#[derive(Clone)]
pub struct RandomAccess {
    bytes: u64,
    place: Arc<dyn ReadAt>,
}

/// Something that is read at any place; reads may block.
pub trait ReadAt: Send + Sync {
    /// Returns the bytes from `start` on, exactly `length` of them, all within the file.
    fn read_at(&self, start: u64, length: u64) -> io::Result<Bytes>;
}

impl ReadAt for Mutex<File> {
    fn read_at(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let mut file = self.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&mut *file).take(length).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl ReadAt for Bytes {
    fn read_at(&self, start: u64, length: u64) -> io::Result<Bytes> {
        Ok(self.slice(start as usize..(start + length) as usize))
    }
}

impl RandomAccess {
    /// Wraps a file of `bytes` bytes.
    pub fn new(bytes: u64, place: Arc<dyn ReadAt>) -> RandomAccess {
        RandomAccess { bytes, place }
    }

    /// Wraps bytes in memory.
    pub fn in_memory(bytes: Bytes) -> RandomAccess {
        RandomAccess::new(bytes.len() as u64, Arc::new(bytes))
    }

    /// Returns the bytes from `start` on, `length` of them, or fewer where the file ends.
    pub fn read_at(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let start = start.min(self.bytes);
        self.place.read_at(start, (length as u64).min(self.bytes - start))
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
            self.fetched = self.file.read_at(self.position, FETCH_BYTES)?;
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
