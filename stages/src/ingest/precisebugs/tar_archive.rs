//! The entries of a tar, as a stream: nothing is unpacked, and no more than one entry is held.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::super::flaw::Flaw;
use super::super::reader::FileContext;
use super::archive::{ArchivedEntry, EntrySink, check_path, invalid, is_entry, too_large};
use crate::error::{Result, StageError};

const BLOCK_BYTES: usize = 512;

/// Bytes of a header that gives the next entry a longer name. The crate would read such a header whole, however large it says it is, so
/// these headers are read here.
const MOST_HEADER_BYTES: u64 = 64 << 10;

/// Hands on the `BugEntry.json` files of a tar in their order.
///
/// # Errors
/// [`StageError::Read`] for what is no tar, and for a tar that is cut off; errors of the sink.
pub fn read_tar(context: &FileContext, stream: &mut dyn BufRead, sink: &mut EntrySink<'_>) -> Result<()> {
    let unreadable = |source| StageError::Read { file: context.path.clone(), source };
    let ends_in_zeros = Cell::new(false);
    let mut archive = Archive::new(EndWatch { stream, ends_in_zeros: &ends_in_zeros, block_bytes: 0, is_zero: true });
    // Tars that were appended to each other are read as one.
    archive.set_ignore_zeros(true);
    let mut long_name = None;
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                long_name = read_name(&mut entry, kind).map_err(unreadable)?.or(long_name);
                continue;
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => continue,
            _ => {}
        }
        let name = long_name.take().unwrap_or_else(|| Name::Known(entry.path_bytes().into_owned()));
        let Some((path, checked)) = checked(&name, kind) else { continue };
        let byte_offset = entry.raw_header_position();
        let bytes = match checked {
            Ok(()) => read_bytes(&mut entry, &path, context).map_err(unreadable)?,
            Err(flaw) => Err(flaw),
        };
        sink(ArchivedEntry { path, byte_offset, bytes })?;
    }
    if !ends_in_zeros.get() {
        return Err(unreadable(cut_off()));
    }
    Ok(())
}

/// The name that a header of its own gives the next entry.
enum Name {
    Known(Vec<u8>),
    /// The header cannot be used, so the next entry may be anything.
    Unknown(&'static str),
}

fn read_name(entry: &mut Entry<'_, impl Read>, kind: EntryType) -> io::Result<Option<Name>> {
    let size = entry.size();
    if size > MOST_HEADER_BYTES {
        return Ok(Some(Name::Unknown("the header with its name is too large")));
    }
    let mut header = Vec::new();
    entry.read_to_end(&mut header)?;
    if (header.len() as u64) < size {
        return Err(cut_off());
    }
    if kind == EntryType::GNULongName {
        let end = header.iter().position(|byte| *byte == 0).unwrap_or(header.len());
        header.truncate(end);
        return Ok(Some(Name::Known(header)));
    }
    let mut name = None;
    for record in PaxExtensions::new(&header) {
        match record {
            Ok(record) if record.key_bytes() == b"path" => name = Some(Name::Known(record.value_bytes().to_vec())),
            Ok(record) if record.key_bytes() == b"size" => {
                let why = "an entry's size is in an extended header, as for files past 8 GiB; pack the BugEntry.json files alone";
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            Ok(_) => {}
            Err(_) => return Ok(Some(Name::Unknown("its extended header is malformed"))),
        }
    }
    Ok(name)
}

/// Returns the path of an entry that is ours and whether it may be read; `None` for all others.
fn checked(name: &Name, kind: EntryType) -> Option<(String, Result<(), Flaw>)> {
    let path = match name {
        Name::Known(path) if is_entry(path) && kind != EntryType::Directory => {
            String::from_utf8_lossy(path).into_owned()
        }
        Name::Known(_) => return None,
        Name::Unknown(why) => return Some((String::new(), Err(invalid("an entry", why)))),
    };
    let may_be_read = match kind {
        EntryType::Regular | EntryType::Continuous => check_path(&path),
        EntryType::Symlink | EntryType::Link => Err(invalid(&path, "it is a link")),
        EntryType::GNUSparse => Err(invalid(&path, "it is a file with holes")),
        _ => Err(invalid(&path, "it is no file")),
    };
    Some((path, may_be_read))
}

fn read_bytes(
    entry: &mut Entry<'_, impl Read>,
    path: &str,
    context: &FileContext,
) -> io::Result<Result<Vec<u8>, Flaw>> {
    if entry.size() > context.max_record_bytes as u64 {
        return Ok(Err(too_large(path, context)));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < entry.size() {
        return Err(cut_off());
    }
    Ok(Ok(bytes))
}

fn cut_off() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the archive is cut off: it does not end with the block of zeros that ends a tar",
    )
}

/// Notes whether the last block read was all zeros, as the last one of a tar is; a tar cut off between two entries is told by that alone.
struct EndWatch<'watch> {
    stream: &'watch mut dyn BufRead,
    ends_in_zeros: &'watch Cell<bool>,
    block_bytes: usize,
    is_zero: bool,
}

impl Read for EndWatch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let mut rest = buffer.get(..read).unwrap_or(&[]);
        while !rest.is_empty() {
            let (block, after) = rest.split_at(rest.len().min(BLOCK_BYTES - self.block_bytes));
            self.is_zero &= block.iter().all(|byte| *byte == 0);
            self.block_bytes += block.len();
            if self.block_bytes == BLOCK_BYTES {
                self.ends_in_zeros.set(self.is_zero);
                (self.block_bytes, self.is_zero) = (0, true);
            }
            rest = after;
        }
        Ok(read)
    }
}
