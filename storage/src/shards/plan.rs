//! A run of the order as pieces to read, and where each of its rows is found in them.

use std::ops::Range;

use super::address::RowAddress;

/// Rows of one row group that are fetched and decoded together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) file: u32,
    pub(super) row_group: usize,
    /// Rows within the file, ascending, each once.
    pub(super) rows: Vec<u32>,
}

/// A run of the order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) pieces: Vec<Piece>,
    /// For each row of the order: its piece, and its row in that.
    pub(super) places: Vec<(usize, usize)>,
}

/// Plans the reading of addresses. `cut` splits ascending rows of a file: for each piece its row group, and which of the rows.
pub(super) fn plan<E>(
    order: &[RowAddress],
    mut cut: impl FnMut(u32, &[u32]) -> Result<Vec<(usize, Range<usize>)>, E>,
) -> Result<Plan, E> {
    let mut distinct = order.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut pieces = Vec::new();
    let mut place_of_distinct = Vec::with_capacity(distinct.len());
    for of_file in distinct.chunk_by(|a, b| a.file == b.file) {
        let file = of_file[0].file;
        let rows: Vec<u32> = of_file.iter().map(|address| address.row).collect();
        for (row_group, range) in cut(file, &rows)? {
            place_of_distinct.extend((0..range.len()).map(|row| (pieces.len(), row)));
            pieces.push(Piece { file, row_group, rows: rows[range].to_vec() });
        }
    }
    // Every address is among the distinct ones.
    let place = |address: &RowAddress| place_of_distinct[distinct.binary_search(address).unwrap_or_default()];
    let places = order.iter().map(place).collect();
    Ok(Plan { pieces, places })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_order_is_found_in_its_piece() {
        let order: Vec<RowAddress> = (0..500_u32)
            .map(|i| i.wrapping_mul(2_654_435_761) >> 7)
            .map(|n| RowAddress { file: n % 3, row: n / 3 % 40 })
            .collect();
        let by_tens = |_: u32, rows: &[u32]| -> Result<Vec<(usize, Range<usize>)>, ()> {
            let mut start = 0;
            let cut = rows.chunk_by(|a, b| a / 10 == b / 10).map(|chunk| {
                start += chunk.len();
                (chunk[0] as usize / 10, start - chunk.len()..start)
            });
            Ok(cut.collect())
        };
        let plan = plan(&order, by_tens).unwrap();
        for (address, (piece, row)) in order.iter().zip(&plan.places) {
            let found = &plan.pieces[*piece];
            assert_eq!((found.file, found.rows[*row]), (address.file, address.row));
        }
        let mut rows: Vec<_> = plan.pieces.iter().flat_map(|p| p.rows.iter().map(|row| (p.file, *row))).collect();
        let read = rows.len();
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), read, "no row is read twice");
    }
}
