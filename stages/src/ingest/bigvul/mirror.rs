//! BigVul's mirror: Parquet files whose names begin with their split.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, AsArray, LargeStringArray, RecordBatch};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Field};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::columns::{COLUMN_COUNT, COLUMNS, find_columns};
use super::row::{Row, pair_of};
use crate::error::{Result, StageError};
use crate::ingest::flaw::{rejected, too_large};
use crate::ingest::random_access::RandomAccess;
use crate::ingest::reader::{FileContext, Sink};
use crate::ingest::record::{Located, Pair, Reject};

/// Rows decoded at once; a row may be megabytes.
const BATCH_ROWS: usize = 128;

/// The columns that are read, as text; `None` where the file does not have one.
type Texts = [Option<LargeStringArray>; COLUMN_COUNT];

/// Reads a Parquet file, batch by batch; returns the number of rows. Rows have no place of their own in the file: all are at byte 0.
///
/// # Errors
/// [`StageError::Source`] where the file is no Parquet or has not BigVul's columns, [`StageError::Read`] where it cannot be read or
/// decoded to its end, and those of the sink. A text that is no UTF-8 is such an end.
pub fn read_mirror(context: &FileContext, file: &RandomAccess, sink: &mut Sink<'_>) -> Result<u64> {
    let split = split_of(&context.path);
    // The types of the program that wrote the file do not matter: all columns become text.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = guarded(|| ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options))
        .map_err(|error| unusable(context, 0, error))?;
    let names: Vec<&str> = builder.schema().fields().iter().map(|field| name_of_text(field)).collect();
    let places = find_columns(context, &names)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), places.into_iter().flatten());
    let mut batches = guarded(|| builder.with_projection(mask).with_batch_size(BATCH_ROWS).build())
        .map_err(|error| unusable(context, 0, error))?;
    let mut rows = 0;
    let mut next_batch = || guarded(|| batches.next().transpose());
    while let Some(batch) = next_batch().map_err(|error| unusable(context, rows, error))? {
        let texts = texts_of(&batch)?;
        for index in 0..batch.num_rows() {
            let row = texts.each_ref().map(|column| value_of(column.as_ref(), index));
            let outcome = outcome_of(context, row, split).map(Box::new);
            sink(Located { row: rows, records: 1, byte_offset: 0, outcome })?;
            rows += 1;
        }
    }
    Ok(rows)
}

/// Takes a step of the Parquet library, which panics at some damaged files where others are errors.
fn guarded<T, E: Into<ParquetError>>(step: impl FnOnce() -> Result<T, E>) -> Result<T, ParquetError> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(ParquetError::General("the file is damaged".to_owned())),
    }
}

/// The name of a column that can be read as text; no name for others, which are not what is looked for.
fn name_of_text(field: &Field) -> &str {
    if can_cast_types(field.data_type(), &DataType::LargeUtf8) { field.name() } else { "" }
}

fn split_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let first_word = name.split(|letter: char| !letter.is_ascii_alphanumeric()).next();
    first_word.filter(|word| matches!(*word, "train" | "validation" | "test"))
}

/// Turns columns of whatever type into text: strings in any of their encodings, and numbers.
fn texts_of(batch: &RecordBatch) -> Result<Texts> {
    let mut texts = Texts::default();
    for (text, name) in texts.iter_mut().zip(COLUMNS) {
        if let Some(column) = batch.column_by_name(name) {
            *text = cast(column, &DataType::LargeUtf8)?.as_string_opt::<i64>().cloned();
        }
    }
    Ok(texts)
}

fn value_of(column: Option<&LargeStringArray>, index: usize) -> &str {
    column.filter(|column| column.is_valid(index)).map_or("", |column| column.value(index))
}

fn outcome_of(context: &FileContext, row: Row<'_>, split: Option<&str>) -> Result<Pair, Reject> {
    let bytes: usize = row.iter().map(|text| text.len()).sum();
    let outcome = match bytes > context.max_record_bytes {
        true => Err(too_large(bytes as u64, context.max_record_bytes)),
        false => pair_of(row, split),
    };
    outcome.map_err(|flaw| rejected(flaw, row.join("\n").as_bytes()))
}

fn unusable(context: &FileContext, rows: u64, error: ParquetError) -> StageError {
    let file = context.path.clone();
    match error {
        ParquetError::External(cause) => {
            StageError::Read { file, source: io::Error::other(format!("after {rows} rows: {cause}")) }
        }
        other => StageError::Source {
            message: format!("{file} is no whole Parquet file: after {rows} rows: {other}"),
            remedy: "check `dataset` and `url` of this [[source]], or get the file again".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int8Array, StringArray, StringViewArray};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;
    use crate::ingest::record::{Granularity, RejectReason, Subset};
    use crate::language::Language;

    const NAME: &str = "data/validation-00000-of-00001-d21ad392180d1f79.parquet";

    fn read_with(limit: usize, bytes: Vec<u8>) -> Result<Vec<Located>> {
        let context =
            FileContext { path: NAME.to_owned(), max_record_bytes: limit, granularities: vec![Granularity::Function] };
        let mut found = Vec::new();
        let count = read_mirror(&context, &RandomAccess::in_memory(bytes.into()), &mut |located| {
            found.push(located);
            Ok(())
        })?;
        assert!(found.iter().zip(0..).all(|(located, row)| (located.row, located.byte_offset) == (row, 0)));
        assert_eq!(count, found.len() as u64);
        Ok(found)
    }

    fn written(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
                .unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(100))
            .build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    /// The 11 columns, with `rows` rows of `vul` 1, 0, 1, 0, …; the first row has no identifiers.
    fn mirror(rows: usize) -> Vec<(&'static str, ArrayRef)> {
        let same = |text: &'static str| texts(&vec![Some(text); rows]);
        let numbered = |prefix: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter((0..rows).map(|row| (row > 0).then(|| format!("{prefix}{row}")))))
        };
        let code = |prefix: &str| -> ArrayRef {
            Arc::new(StringViewArray::from_iter_values((0..rows).map(|row| format!("{prefix} {row};\r\n"))))
        };
        vec![
            ("CVE ID", numbered("CVE-2019-")),
            ("CVE Page", same("page")),
            ("CWE ID", numbered("CWE-")),
            ("codeLink", same("link")),
            ("commit_id", numbered("c")),
            ("commit_message", same("fix\n")),
            ("func_after", code("after")),
            ("func_before", code("before")),
            ("lang", same("CPP")),
            ("project", same("Chrome")),
            ("vul", Arc::new(Int8Array::from_iter_values((0..rows).map(|row| (row % 2 == 0) as i8)))),
        ]
    }

    #[test]
    fn every_row_of_every_row_group_is_read() {
        let found = read_with(10_000, written(mirror(301))).unwrap();
        assert_eq!(found.len(), 301);
        let pairs: Vec<&Pair> = found.iter().map(|located| located.outcome.as_deref().unwrap()).collect();
        assert_eq!((pairs[0].cve.as_deref(), pairs[0].cwe.len(), pairs[0].commit_id.as_deref()), (None, 0, None));
        assert_eq!(
            (pairs[300].cve.as_deref(), pairs[300].cwe.as_slice()),
            (Some("CVE-2019-300"), &["CWE-300".to_owned()][..])
        );
        assert_eq!((pairs[300].subset, pairs[300].language), (Subset::Paired, Language::Cpp));
        assert_eq!(pairs[300].vulnerable_code.as_deref(), Some("before 300;\r\n"));
        assert_eq!(pairs[300].secure_code.as_deref(), Some("after 300;\r\n"));
        assert_eq!((pairs[299].subset, pairs[299].vulnerable_code.as_deref()), (Subset::Unpaired, None));
        assert_eq!(pairs[299].secure_code.as_deref(), Some("before 299;\r\n"));
        assert_eq!(
            (pairs[1].project.as_deref(), pairs[1].upstream_split.as_deref()),
            (Some("Chrome"), Some("validation"))
        );
    }

    #[test]
    fn bad_rows_are_rejects() {
        let mut columns = mirror(4);
        columns[7].1 = texts(&[None, Some(" "), Some("int f;"), Some(&"x".repeat(600))]);
        columns[6].1 = texts(&[None, None, None, None]);
        columns[10].1 = Arc::new(Int8Array::from(vec![Some(1), Some(0), None, Some(0)]));
        let found = read_with(500, written(columns)).unwrap();
        let reasons = found.iter().map(|located| located.outcome.as_ref().unwrap_err().reason).collect::<Vec<_>>();
        use RejectReason::{EmptyCode, MissingField, TooLarge};
        assert_eq!(reasons, [EmptyCode, EmptyCode, MissingField, TooLarge]);
    }

    #[test]
    fn a_file_of_another_dataset_or_none_at_all_stops_the_run() {
        let mut columns = mirror(3);
        columns.remove(7);
        let error = read_with(500, written(columns)).unwrap_err().to_string();
        assert!(error.ends_with("is not a BigVul file: it has no column func_before"), "{error}");
        for bytes in [b"".to_vec(), b"no Parquet at all".to_vec(), [b"PAR1", &[0xff; 40][..], b"PAR1"].concat()] {
            let error = read_with(500, bytes).unwrap_err();
            assert!(matches!(&error, StageError::Source { message, .. } if message.contains(NAME)), "{error}");
        }
    }

    #[test]
    fn columns_that_are_no_text_stop_the_run() {
        let mut columns = mirror(3);
        let number: ArrayRef = Arc::new(Int8Array::from(vec![1, 2, 3]));
        columns[7].1 = Arc::new(arrow::array::StructArray::try_from(vec![("x", number)]).unwrap());
        let error = read_with(500, written(columns)).unwrap_err().to_string();
        assert!(error.ends_with("it has no column func_before"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_file_that_was_cut_is_an_error(cut in 0.0..1.0f64) {
            let whole = written(mirror(250));
            let cut = (whole.len() as f64 * cut) as usize;
            prop_assert!(read_with(500, whole[..cut].to_vec()).is_err());
        }

        #[test]
        fn a_damaged_file_is_read_or_is_an_error(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = written(mirror(20));
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let is_expected = match read_with(500, bytes) {
                Ok(_) | Err(StageError::Read { .. } | StageError::Source { .. }) => true,
                Err(_) => false,
            };
            prop_assert!(is_expected);
        }
    }
}
