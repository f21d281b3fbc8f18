//! Where the pages of a file are: its footer and offset index, read once.

use std::ops::Range;
use std::sync::Arc;

use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataPushDecoder};

use super::source::{Failure, Source};
use crate::cause::Cause;
use crate::error::ErrorKind;

/// The end of a file that is fetched at once; most footers with their offset index fit.
const TAIL_BYTES: u64 = 128 << 10;
/// The length of the footer's length and the magic word behind it.
const FOOTER_END_BYTES: u64 = 8;

/// Reads where the pages of a file are.
///
/// Statistics of pages are left out: rows are asked for by number. A file without an offset index is read by whole column chunks.
pub(super) async fn read_footer(source: &Source) -> Result<ArrowReaderMetadata, Failure> {
    if !source.is_remote {
        // Requests to a remote store tell the size by themselves.
        source.check_size().await?;
    }
    let size = source.size;
    if size < FOOTER_END_BYTES {
        return Err(damaged("it is too short"));
    }
    let tail = size.saturating_sub(TAIL_BYTES)..size;
    let bytes = source.fetch(std::slice::from_ref(&tail)).await?.remove(0);
    let (length, magic) = bytes[bytes.len() - FOOTER_END_BYTES as usize..].split_at(4);
    let length = length.iter().rev().fold(0_u64, |length, byte| (length << 8) | u64::from(*byte));
    if magic != b"PAR1" || length + FOOTER_END_BYTES > size {
        // The decoder below takes the length for granted.
        return Err(damaged("its end is not that of a Parquet file"));
    }
    let mut decoder = ParquetMetaDataPushDecoder::try_new(size)?
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    decoder.push_range(tail, bytes)?;
    loop {
        match decoder.try_decode()? {
            DecodeResult::NeedsData(ranges) => {
                check_within(&ranges, size)?;
                let found = source.fetch(&ranges).await?;
                decoder.push_ranges(ranges, found)?;
            }
            DecodeResult::Data(metadata) => {
                return Ok(ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())?);
            }
            DecodeResult::Finished => return Err(damaged("its footer is incomplete")),
        }
    }
}

/// Fails for ranges that lie outside of a file, which only a damaged one asks for.
pub(super) fn check_within(ranges: &[Range<u64>], size: u64) -> Result<(), Failure> {
    match ranges.iter().all(|range| range.start <= range.end && range.end <= size) {
        true => Ok(()),
        false => Err(damaged("its footer points outside of the file")),
    }
}

pub(super) fn damaged(problem: &str) -> Failure {
    Failure::Damaged(Cause::new(ErrorKind::Corrupt, problem))
}
