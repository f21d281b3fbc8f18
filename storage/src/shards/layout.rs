//! How the wanted columns of one file lie in it: row groups, pages, and what they cost.

use std::ops::Range;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Type;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;

use super::projection::Projection;

/// A file's footer, seen through a projection.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) footer: ArrowReaderMetadata,
    /// The columns to read; none if the file holds none of them.
    pub(super) mask: Option<ProjectionMask>,
    pub(super) row_groups: Vec<RowGroup>,
}

/// One row group of a file.
#[derive(Debug)]
pub(super) struct RowGroup {
    /// Its rows, counted within the file.
    pub(super) rows: Range<u32>,
    /// The bytes of a decoded row, on average.
    pub(super) row_bytes: usize,
    /// The leaf columns to read.
    columns: Vec<usize>,
}

impl Layout {
    pub(super) fn new(footer: ArrowReaderMetadata, projection: &Projection) -> Self {
        let mask = projection.mask(footer.parquet_schema());
        let metadata = footer.metadata();
        let columns: Vec<usize> = match &mask {
            Some(mask) => (0..footer.parquet_schema().num_columns()).filter(|leaf| mask.leaf_included(*leaf)).collect(),
            None => Vec::new(),
        };
        let mut start = 0_u32;
        let row_groups = metadata
            .row_groups()
            .iter()
            .map(|group| {
                let rows = u32::try_from(group.num_rows()).unwrap_or_default();
                let bytes: usize = columns.iter().map(|leaf| decoded_bytes(group.column(*leaf))).sum();
                // Offsets of lists and texts, and columns that are constant in the file.
                let row_bytes = bytes / rows.max(1) as usize + 8 * projection.schema().fields().len();
                let range = start..start.saturating_add(rows);
                start = range.end;
                RowGroup { rows: range, row_bytes, columns: columns.clone() }
            })
            .collect();
        Self { footer, mask, row_groups }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> u32 {
        self.row_groups.last().map_or(0, |group| group.rows.end)
    }

    /// The row group of a row; none past the end.
    pub(super) fn row_group_of(&self, row: u32) -> Option<usize> {
        let index = self.row_groups.partition_point(|group| group.rows.end <= row);
        (index < self.row_groups.len()).then_some(index)
    }

    /// Cuts rows of a row group, which are in order, where the pages that they lie on become more than `target_bytes`.
    pub(super) fn cut(&self, row_group: usize, rows: &[u32], target_bytes: usize) -> Vec<Range<usize>> {
        let group = &self.row_groups[row_group];
        let mut columns: Vec<PagesOfColumn<'_>> =
            group.columns.iter().map(|leaf| PagesOfColumn::new(self.footer.metadata(), row_group, *leaf)).collect();
        let (mut pieces, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (index, row) in rows.iter().enumerate() {
            let row = i64::from(row - group.rows.start);
            let added: usize = columns.iter_mut().map(|column| column.advance(row)).sum();
            if index > start && bytes + added > target_bytes {
                pieces.push(start..index);
                // The new piece fetches the pages it shares with the one before once more.
                bytes = columns.iter().map(PagesOfColumn::current_bytes).sum();
                start = index;
            } else {
                bytes += added;
            }
        }
        if start < rows.len() {
            pieces.push(start..rows.len());
        }
        pieces
    }
}

/// The bytes of a column chunk's values in memory, about.
fn decoded_bytes(chunk: &ColumnChunkMetaData) -> usize {
    let values = usize::try_from(chunk.num_values()).unwrap_or_default();
    match chunk.column_type() {
        Type::BOOLEAN => values.div_ceil(8),
        Type::INT32 | Type::FLOAT => values * 4,
        Type::INT64 | Type::DOUBLE => values * 8,
        Type::INT96 => values * 12,
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => {
            let exact = chunk.unencoded_byte_array_data_bytes().unwrap_or_else(|| chunk.uncompressed_size());
            usize::try_from(exact).unwrap_or_default() + values * 4
        }
    }
}

/// The pages of a column chunk while rows go by in order.
struct PagesOfColumn<'a> {
    pages: &'a [PageLocation],
    /// What is fetched with any page: a dictionary, or the whole chunk where pages are not known.
    fixed_bytes: usize,
    current: Option<usize>,
}

impl<'a> PagesOfColumn<'a> {
    fn new(metadata: &'a ParquetMetaData, row_group: usize, leaf: usize) -> Self {
        let chunk = metadata.row_group(row_group).column(leaf);
        let whole = usize::try_from(chunk.compressed_size()).unwrap_or_default();
        let index = metadata.offset_index().and_then(|index| index.get(row_group)?.get(leaf));
        let pages = index.map_or(&[][..], |index| index.page_locations().as_slice());
        let in_pages: usize = pages.iter().map(|page| usize::try_from(page.compressed_page_size).unwrap_or(0)).sum();
        Self { pages, fixed_bytes: whole.saturating_sub(in_pages), current: None }
    }

    /// Goes on to a row and returns the bytes that it adds.
    fn advance(&mut self, row: i64) -> usize {
        let page = self.pages.partition_point(|page| page.first_row_index <= row).saturating_sub(1);
        match self.current.replace(page) {
            None => self.current_bytes(),
            Some(before) if before == page => 0,
            Some(_) => self.page_bytes(page),
        }
    }

    fn current_bytes(&self) -> usize {
        self.fixed_bytes + self.current.map_or(0, |page| self.page_bytes(page))
    }

    fn page_bytes(&self, page: usize) -> usize {
        self.pages.get(page).map_or(0, |page| usize::try_from(page.compressed_page_size).unwrap_or(0))
    }
}
