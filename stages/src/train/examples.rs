//! Rows of `train_shards` as the model's examples.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use secprm_model::Example;

use crate::error::{Result, StageError};

/// Turns batches of `train_shards` into examples, keyed by sample and window.
///
/// # Errors
/// [`StageError::Table`] if a column is missing or of another type.
pub fn load_examples(batches: &[RecordBatch]) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for batch in batches {
        let named = windows_of(batch)?.into_iter().zip(keys_of(batch)?);
        examples.extend(named.map(|(example, key)| Example { key, ..example }));
    }
    Ok(examples)
}

/// The key of a window of a sample.
pub(super) fn key_of(sample_id: &str, window_index: i32) -> String {
    format!("{sample_id}:{window_index}")
}

/// The keys of a batch's rows.
pub(super) fn keys_of(batch: &RecordBatch) -> Result<Vec<String>> {
    let (samples, windows) = (text(batch, "sample_id")?, int32(batch, "window_index")?);
    Ok((0..batch.num_rows()).map(|row| key_of(samples.value(row), windows.value(row))).collect())
}

/// The examples of a batch's rows, without keys.
pub(super) fn windows_of(batch: &RecordBatch) -> Result<Vec<Example>> {
    let (ids, positions) = (column(batch, "input_ids")?, column(batch, "step_positions")?);
    let (labels, supervised) = (column(batch, "step_labels")?, column(batch, "step_supervised")?);
    let window = |row| {
        Ok(Example {
            key: String::new(),
            input_ids: unsigned(ids, row, "input_ids")?,
            step_positions: unsigned(positions, row, "step_positions")?,
            step_labels: labels_of(labels, row)?,
            step_supervised: flags_of(supervised, row)?,
        })
    };
    (0..batch.num_rows()).map(window).collect()
}

/// The supervised steps of a batch's rows by label [vulnerable, secure].
pub(super) fn labels_of_windows(batch: &RecordBatch) -> Result<Vec<[u32; 2]>> {
    let (labels, supervised) = (column(batch, "step_labels")?, column(batch, "step_supervised")?);
    let count = |row| {
        let mut counts = [0; 2];
        for (label, is_supervised) in labels_of(labels, row)?.into_iter().zip(flags_of(supervised, row)?) {
            counts[usize::from(label != 0)] += u32::from(is_supervised);
        }
        Ok(counts)
    };
    (0..batch.num_rows()).map(count).collect()
}

fn column<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| broken(format!("the column {name} is missing")))
}

fn text<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch arrow::array::StringArray> {
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| broken(format!("the column {name} is no text")))
}

pub(super) fn int32<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch arrow::array::Int32Array> {
    let numbers = column(batch, name)?.as_primitive_opt::<Int32Type>();
    numbers.ok_or_else(|| broken(format!("the column {name} holds no 32-bit integers")))
}

fn list(array: &ArrayRef, row: usize, name: &str, element: &DataType) -> Result<ArrayRef> {
    let lists = array.as_list_opt::<i32>().filter(|lists| lists.value_type() == *element);
    lists.map(|lists| lists.value(row)).ok_or_else(|| broken(format!("the column {name} is no list of {element}")))
}

fn unsigned(array: &ArrayRef, row: usize, name: &str) -> Result<Vec<u32>> {
    let values = list(array, row, name, &DataType::Int32)?;
    let numbers = values.as_primitive::<Int32Type>().values();
    numbers.iter().map(|n| u32::try_from(*n).map_err(|_| broken(format!("{name} holds {n}")))).collect()
}

fn labels_of(array: &ArrayRef, row: usize) -> Result<Vec<u8>> {
    let values = list(array, row, "step_labels", &DataType::Int8)?;
    let numbers = values.as_primitive::<Int8Type>().values();
    numbers.iter().map(|n| u8::try_from(*n).map_err(|_| broken(format!("step_labels holds {n}")))).collect()
}

fn flags_of(array: &ArrayRef, row: usize) -> Result<Vec<bool>> {
    let values = list(array, row, "step_supervised", &DataType::Boolean)?;
    let flags = values.as_boolean();
    Ok((0..flags.len()).map(|index| flags.value(index)).collect())
}

fn broken(message: String) -> StageError {
    StageError::Table { table: "train_shards".to_owned(), message }
}
