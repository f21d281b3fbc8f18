//! What archives of `BugEntry.json` files have in common, whatever their format.

use super::super::flaw::Flaw;
use super::super::reader::FileContext;
use super::super::record::RejectReason;
use crate::error::{Result, StageError};

/// The name of the files that are read; an archive's other files are left alone, archives in it included.
pub const ENTRY_NAME: &str = "BugEntry.json";

/// A `BugEntry.json` of an archive.
pub struct ArchivedEntry {
    /// Its path in the archive.
    pub path: String,
    /// Where it is: in the decompressed tar, or in the zip.
    pub byte_offset: u64,
    /// Its bytes, or why it is not read.
    pub bytes: Result<Vec<u8>, Flaw>,
}

/// Takes the entries of an archive in their order.
pub type EntrySink<'sink> = dyn FnMut(ArchivedEntry) -> Result<()> + 'sink;

/// Says whether a path names a file that is read.
pub fn is_entry(path: &[u8]) -> bool {
    path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next() == Some(ENTRY_NAME.as_bytes())
}

/// Refuses a path that leaves the archive: nothing is ever unpacked, but who made such an archive made it to harm.
pub fn check_path(path: &str) -> Result<(), Flaw> {
    let climbs = path.split(['/', '\\']).any(|part| part == "..");
    let is_absolute =
        path.starts_with(['/', '\\']) || path.split(['/', '\\']).next().is_some_and(|first| first.contains(':'));
    match (climbs, is_absolute) {
        (false, false) => Ok(()),
        (true, _) => Err(invalid(path, "its path climbs out of the archive")),
        (false, true) => Err(invalid(path, "its path is absolute")),
    }
}

/// The flaw of an entry that is not read.
pub fn invalid(path: &str, why: &str) -> Flaw {
    (RejectReason::InvalidArchiveEntry, format!("{path}: {why}"))
}

/// The flaw of an entry that is too large.
pub fn too_large(path: &str, context: &FileContext) -> Flaw {
    let limit = context.max_record_bytes;
    (RejectReason::TooLarge, format!("{path} has more bytes than [limits] max_record_bytes, which is {limit}"))
}

/// The error that an archive is of no use.
pub fn unusable(context: &FileContext, why: &str) -> StageError {
    StageError::Source {
        message: format!("{} {why}", context.path),
        remedy: "check `url` of this [[source]]; an archive of PreciseBugs holds folders with a BugEntry.json each"
            .to_owned(),
    }
}
