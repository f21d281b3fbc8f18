//! Rows by the values of their partition columns.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::compute::{cast, partition, take_record_batch};
use arrow::datatypes::DataType;

/// The values of a table's partition columns, in their order, as text.
pub(crate) type PartitionValues = Vec<String>;

/// Splits a batch by the values of the named columns, which the pieces no longer hold.
///
/// Rows keep their order within a piece; pieces come in the order of their values. A batch of one
/// partition is its own piece. Pieces of several are copied, so that one that waits for more rows of
/// its partition does not keep all the others alive.
///
/// # Errors
/// A message that names the column which is null or empty somewhere: Delta keeps an empty text and
/// no text alike, so neither can name a partition.
pub(crate) fn split_by_partition(
    batch: &RecordBatch,
    columns: &[String],
) -> Result<Vec<(PartitionValues, RecordBatch)>, String> {
    let failed = |error: arrow::error::ArrowError| error.to_string();
    let mut keys: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    let mut kept: Vec<usize> = (0..batch.num_columns()).collect();
    for name in columns {
        let index = batch.schema().index_of(name).map_err(failed)?;
        let key = cast(batch.column(index), &DataType::Utf8).map_err(failed)?;
        if key.as_string::<i32>().iter().any(|value| value.is_none_or(str::is_empty)) {
            return Err(format!("partition column `{name}` is null or empty in some row"));
        }
        kept.retain(|kept| *kept != index);
        keys.push(key);
    }
    let body = batch.project(&kept).map_err(failed)?;
    if batch.num_rows() == 0 {
        return Ok(Vec::new());
    }
    if keys.is_empty() {
        return Ok(vec![(Vec::new(), body)]);
    }
    let mut ranges: BTreeMap<PartitionValues, Vec<Range<usize>>> = BTreeMap::new();
    for range in partition(&keys).map_err(failed)?.ranges() {
        let values = keys.iter().map(|key| key.as_string::<i32>().value(range.start).to_owned()).collect();
        ranges.entry(values).or_default().push(range);
    }
    let is_one = ranges.len() == 1;
    ranges
        .into_iter()
        .map(|(values, ranges)| {
            if is_one {
                return Ok((values, body.clone()));
            }
            let rows = ranges.into_iter().flatten().map(|row| row as u64);
            Ok((values, take_record_batch(&body, &UInt64Array::from_iter_values(rows)).map_err(failed)?))
        })
        .collect()
}

/// The folder of a partition below its table, `dataset=sven/slice=0`, or none without partitions.
///
/// The log alone says what the values are, so a folder's name only has to be unique and plain: other
/// than letters, digits, `.`, `-` and `_` becomes `_`, followed by a hash of the value. Percent signs
/// in paths are read differently by different readers.
pub(crate) fn partition_folder(columns: &[String], values: &[String]) -> String {
    let parts: Vec<String> =
        columns.iter().zip(values).map(|(column, value)| format!("{}={}", plain(column), plain(value))).collect();
    parts.join("/")
}

fn plain(value: &str) -> String {
    const MAX_LENGTH: usize = 100;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let replaced: String = value.chars().take(MAX_LENGTH).map(|c| if is_plain(c) { c } else { '_' }).collect();
    if replaced == value {
        return replaced;
    }
    let hash = blake3::hash(value.as_bytes()).to_hex();
    format!("{replaced}-{}", &hash[..12])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Int32Array, StringArray};

    fn batch(datasets: &[Option<&str>], slices: &[i32]) -> RecordBatch {
        let n: Vec<i32> = (0..slices.len() as i32).collect();
        RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int32Array::from(n)) as ArrayRef, false),
            ("dataset", Arc::new(StringArray::from(datasets.to_vec())) as ArrayRef, true),
            ("slice", Arc::new(Int32Array::from(slices.to_vec())) as ArrayRef, false),
        ])
        .unwrap()
    }

    fn columns() -> Vec<String> {
        vec!["dataset".to_owned(), "slice".to_owned()]
    }

    #[test]
    fn rows_go_to_their_partition_in_their_order() {
        let batch = batch(&[Some("b"), Some("a"), Some("a"), Some("b")], &[0, 10, 9, 0]);
        let pieces = split_by_partition(&batch, &columns()).unwrap();
        let found: Vec<_> = pieces
            .iter()
            .map(|(values, piece)| {
                assert_eq!(piece.num_columns(), 1);
                let n = piece.column(0).as_primitive::<arrow::datatypes::Int32Type>();
                (values.join("/"), n.values().to_vec())
            })
            .collect();
        let expected = [("a/10", vec![1]), ("a/9", vec![2]), ("b/0", vec![0, 3])];
        assert_eq!(found, expected.map(|(key, rows)| (key.to_owned(), rows)));
    }

    #[test]
    fn a_null_or_empty_partition_value_is_refused() {
        for dataset in [None, Some("")] {
            let error = split_by_partition(&batch(&[dataset], &[0]), &columns()).unwrap_err();
            assert_eq!(error, "partition column `dataset` is null or empty in some row");
        }
    }

    #[test]
    fn folders_are_plain_and_unique() {
        let of = |value: &str| partition_folder(&["d".to_owned()], &[value.to_owned()]);
        assert_eq!(of("sven-2_x.1"), "d=sven-2_x.1");
        assert!(of("a/b c=%").starts_with("d=a_b_c__-"));
        assert_ne!(of("a/b"), of("a b"));
        assert!(of(&"x".repeat(5000)).len() < 130);
    }
}
