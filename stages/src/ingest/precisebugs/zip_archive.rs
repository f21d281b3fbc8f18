//! The entries of a zip, read at their places: nothing is unpacked, and no more than one entry is held.

use std::io::{self, Read, Seek};

use parquet::file::reader::Length;
use zip::ZipArchive;
use zip::result::ZipError;

use super::super::flaw::Flaw;
use super::super::random_access::RandomAccess;
use super::super::reader::FileContext;
use super::archive::{ArchivedEntry, EntrySink, check_path, invalid, is_entry, too_large, unusable};
use crate::error::{Result, StageError};

/// Hands on the `BugEntry.json` files of a zip in the order of its table of contents.
///
/// # Errors
/// [`StageError::Source`] for what is no zip, or one whose table of contents cannot be right; [`StageError::Read`] where the file cannot
/// be read; errors of the sink.
pub fn read_zip(context: &FileContext, file: &RandomAccess, sink: &mut EntrySink<'_>) -> Result<()> {
    let unreadable = |source| StageError::Read { file: context.path.clone(), source };
    let mut archive = match ZipArchive::new(file.cursor()) {
        Ok(archive) => archive,
        Err(ZipError::Io(error)) if !is_about_content(&error) => return Err(unreadable(error)),
        Err(error) => return Err(unusable(context, &format!("is no zip archive, or is cut off: {error}"))),
    };
    if archive.has_duplicate_names() {
        return Err(unusable(context, "has two files of one name, of which only one could be read"));
    }
    let mut packed_bytes = 0u64;
    for index in 0..archive.len() {
        let listed = archive.by_index_data(index).map_err(|error| unusable(context, &error.to_string()))?;
        if !is_entry(listed.name_raw()) || listed.is_dir() {
            continue;
        }
        let path = String::from_utf8_lossy(listed.name_raw()).into_owned();
        let byte_offset = listed.header_start();
        packed_bytes = packed_bytes.saturating_add(listed.compressed_size());
        if packed_bytes > file.len() {
            return Err(unusable(context, "says that its files take more bytes than it has: they overlap"));
        }
        let may_be_read = if listed.encrypted() {
            Err(invalid(&path, "it is encrypted"))
        } else if listed.is_symlink() {
            Err(invalid(&path, "it is a link"))
        } else if listed.size() > context.max_record_bytes as u64 {
            Err(too_large(&path, context))
        } else {
            check_path(&path)
        };
        let bytes = match may_be_read {
            Ok(()) => read_bytes(&mut archive, index, &path, context).map_err(unreadable)?,
            Err(flaw) => Err(flaw),
        };
        sink(ArchivedEntry { path, byte_offset, bytes })?;
    }
    Ok(())
}

/// Reads an entry, never more of it than a record may have, whatever the table of contents says.
fn read_bytes<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    path: &str,
    context: &FileContext,
) -> io::Result<Result<Vec<u8>, Flaw>> {
    let entry = match archive.by_index(index) {
        Ok(entry) => entry,
        Err(ZipError::Io(error)) if !is_about_content(&error) => return Err(error),
        Err(error) => return Ok(Err(invalid(path, &error.to_string()))),
    };
    let limit = context.max_record_bytes as u64;
    let mut bytes = Vec::new();
    match entry.take(limit.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit => Ok(Err(too_large(path, context))),
        Ok(_) => Ok(Ok(bytes)),
        Err(error) if is_about_content(&error) => Ok(Err(invalid(path, &error.to_string()))),
        Err(error) => Err(error),
    }
}

/// Says whether an error is about what the archive holds, rather than about reading it.
fn is_about_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof)
}
