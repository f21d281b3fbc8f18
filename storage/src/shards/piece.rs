//! Rows of one row group: their pages fetched, and decoded.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::{RowSelection, RowSelectionPolicy, RowSelector};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;

use super::address::ShardFile;
use super::budget::Pool;
use super::footer::{check_within, damaged};
use super::layout::Layout;
use super::projection::Projection;
use super::source::{Failure, Source};

/// Reads rows of a row group, ascending and counted within the file, or all of them.
///
/// Pages are held while they are decoded only, within the pool.
pub(super) async fn read_piece(
    source: &Source,
    (layout, file, projection): (&Layout, &ShardFile, &Projection),
    row_group: usize,
    rows: Option<&[u32]>,
    pages: &Pool,
) -> Result<RecordBatch, Failure> {
    let range = &layout.row_groups[row_group].rows;
    let expected = rows.map_or(range.len(), <[u32]>::len);
    let read = match &layout.mask {
        None => None,
        Some(mask) => {
            let mut builder = ParquetPushDecoderBuilder::new_with_metadata(layout.footer.clone())
                .with_row_groups(vec![row_group])
                .with_projection(mask.clone())
                .with_batch_size(expected.max(1))
                // By runs, whatever their length: a mask would have rows decoded that nobody wants.
                .with_row_selection_policy(RowSelectionPolicy::Selectors);
            if let Some(rows) = rows {
                builder = builder.with_row_selection(selection(range.start, rows));
            }
            Some(decode(source, builder, pages).await?)
        }
    };
    if read.as_ref().is_some_and(|batch| batch.num_rows() != expected) {
        return Err(damaged("it has fewer rows than its footer says"));
    }
    projection.complete(expected, read.as_ref(), &file.partition).map_err(|problem| damaged(&problem))
}

async fn decode(source: &Source, builder: ParquetPushDecoderBuilder, pages: &Pool) -> Result<RecordBatch, Failure> {
    let mut decoder = builder.build()?;
    let mut batches = Vec::new();
    let mut held = Vec::new();
    loop {
        match decoder.try_decode()? {
            DecodeResult::NeedsData(ranges) => {
                check_within(&ranges, source.size)?;
                let bytes = source.fetched_bytes(&ranges);
                if held.is_empty() {
                    // A second request of the same piece goes without: it would wait for others that wait as well.
                    held.push((Some(pages.take(bytes).await), source.counters.hold(bytes)));
                } else {
                    held.push((None, source.counters.hold(bytes)));
                }
                let found = source.fetch(&ranges).await?;
                decoder.push_ranges(ranges, found)?;
            }
            DecodeResult::Data(batch) => batches.push(batch),
            DecodeResult::Finished => break,
        }
    }
    match batches.as_slice() {
        [] => Err(damaged("it has fewer rows than its footer says")),
        [batch] => Ok(batch.clone()),
        [first, ..] => concat_batches(&first.schema(), &batches).map_err(|error| Failure::Damaged(error.into())),
    }
}

fn selection(first_row: u32, rows: &[u32]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = first_row;
    for run in rows.chunk_by(|a, b| *b == *a + 1) {
        if run[0] > next {
            selectors.push(RowSelector::skip((run[0] - next) as usize));
        }
        selectors.push(RowSelector::select(run.len()));
        next = run[0] + u32::try_from(run.len()).unwrap_or_default();
    }
    RowSelection::from(selectors)
}
