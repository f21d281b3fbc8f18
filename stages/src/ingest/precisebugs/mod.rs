//! PreciseBugs: one JSON object a folder, `CVEs/<CVE>/BugEntry.json`, or an archive of such folders.
//!
//! An entry is one record. It has every file that the fix changed, as whole texts before (`buggy_code`) and after (`fixing_code`), change
//! logs and pages included; line ends are kept. Each file in a language we know is a pair of granularity file; two or more of them together
//! are one of granularity repository. Files in other languages are named in one reject of the entry, whether or not a pair is left.
//! A file that the fix added or deleted is no pair by itself; it is in the repository's.
//!
//! The CWE is `type` (`NVD-CWE-noinfo` and the like say nothing and give none), the CVE and its date are NVD's in `other`, the project and
//! commit those of `other.github_commit_url`. There is no split of the dataset's own.
//!
//! In an archive, a record's row counts the `BugEntry.json` files, and its byte offset is that of the file's header in the decompressed
//! tar or in the zip. Archives come from anywhere: paths that climb out, links, encrypted and inflating files are rejects.

mod archive;
mod entry;
mod tar_archive;
mod zip_archive;

#[cfg(test)]
mod tests;

use std::io::Read;

use super::commit::RecordSink;
use super::flaw::rejected;
use super::reader::{Access, DatasetKind, DatasetReader, FileContext, RawInput, Sink};
use crate::error::{Result, StageError};
use archive::{ArchivedEntry, ENTRY_NAME, is_entry, too_large, unusable};
use tar_archive::read_tar;
use zip_archive::read_zip;

/// Reads PreciseBugs.
pub struct PreciseBugsReader;

impl DatasetReader for PreciseBugsReader {
    fn kind(&self) -> DatasetKind {
        DatasetKind::PreciseBugs
    }

    fn version(&self) -> u32 {
        1
    }

    fn accepts(&self, path: &str) -> bool {
        is_entry(path.as_bytes()) || is_tar(path) || is_zip(path)
    }

    fn access(&self, path: &str) -> Access {
        if is_zip(path) { Access::Random } else { Access::Stream }
    }

    fn expected_files(&self) -> &'static str {
        "BugEntry.json, *.tar, *.tar.gz, *.tgz, *.tar.zst, *.zip"
    }

    fn read(&self, context: &FileContext, input: RawInput<'_>, sink: &mut Sink<'_>) -> Result<u64> {
        let mut entries = 0;
        let mut take = |entry: ArchivedEntry| {
            let mut given = RecordSink::new(entries, entry.byte_offset, sink);
            entries += 1;
            read_entry(entry, context, &mut given)
        };
        if is_zip(&context.path) {
            read_zip(context, input.random(&context.path)?, &mut take)?;
        } else if is_tar(&context.path) {
            read_tar(context, input.stream(&context.path)?, &mut take)?;
        } else {
            take(whole_file(context, input)?)?;
        }
        match entries {
            0 => Err(unusable(context, &format!("holds no {ENTRY_NAME}"))),
            _ => Ok(entries),
        }
    }
}

fn is_tar(path: &str) -> bool {
    path.ends_with(".tar") || path.ends_with(".tgz")
}

fn is_zip(path: &str) -> bool {
    path.ends_with(".zip")
}

/// A file that is one entry.
fn whole_file(context: &FileContext, input: RawInput<'_>) -> Result<ArchivedEntry> {
    let limit = context.max_record_bytes as u64;
    let mut bytes = Vec::new();
    let read = input.stream(&context.path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| StageError::Read { file: context.path.clone(), source })?;
    let bytes = if bytes.len() as u64 > limit { Err(too_large(&context.path, context)) } else { Ok(bytes) };
    Ok(ArchivedEntry { path: context.path.clone(), byte_offset: 0, bytes })
}

fn read_entry(found: ArchivedEntry, context: &FileContext, given: &mut RecordSink<'_, '_>) -> Result<()> {
    let ArchivedEntry { path, bytes, .. } = found;
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err((reason, detail)) => return given.leave_out(reason, detail),
    };
    match entry::parse(&bytes) {
        Ok(entry) => entry::make_pairs(&entry, &path, &context.granularities, given),
        Err((reason, detail)) => given.reject(rejected((reason, format!("{path}: {detail}")), &bytes)),
    }
}
