//! Rows of `train_shards` as the model's examples, and of the view `training_shards` as a mixture of them.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int8Type, Int32Type};
use secprm_model::{Example, MixedExamples};

use crate::error::{Result, StageError};

/// Turns batches of `train_shards` into examples, keyed by sample and window.
///
/// # Errors
/// [`StageError::Table`] if a column is missing or of another type.
pub fn load_examples(batches: &[RecordBatch]) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for batch in batches {
        let samples = text(batch, "sample_id")?;
        let windows = int32(batch, "window_index")?;
        let [ids, positions, labels, supervised] =
            ["input_ids", "step_positions", "step_labels", "step_supervised"].map(|name| column(batch, name));
        let (ids, positions, labels, supervised) = (ids?, positions?, labels?, supervised?);
        for row in 0..batch.num_rows() {
            examples.push(Example {
                key: format!("{}:{}", samples.value(row), windows.value(row)),
                input_ids: unsigned(ids, row, "input_ids")?,
                step_positions: unsigned(positions, row, "step_positions")?,
                step_labels: labels_of(labels, row)?,
                step_supervised: flags_of(supervised, row)?,
            });
        }
    }
    Ok(examples)
}

/// Turns batches of `training_shards` into a mixture; rows that training leaves out must not be among them.
///
/// # Errors
/// As [`load_examples`], and a row of no repeats.
pub fn load_mixture(batches: &[RecordBatch]) -> Result<MixedExamples> {
    let mut mixture = MixedExamples::default();
    for batch in batches {
        let repeats = int32(batch, "repeats")?;
        for (example, repeats) in load_examples(std::slice::from_ref(batch))?.into_iter().zip(repeats.values()) {
            mixture.push(example, u32::try_from(*repeats).unwrap_or(0))?;
        }
    }
    Ok(mixture)
}

fn column<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| broken(format!("the column {name} is missing")))
}

fn text<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch arrow::array::StringArray> {
    column(batch, name)?.as_string_opt::<i32>().ok_or_else(|| broken(format!("the column {name} is no text")))
}

fn int32<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch arrow::array::Int32Array> {
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
