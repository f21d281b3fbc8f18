//! Reads text, numbers and lists out of arrays, whatever physical type the planner chose for them.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int8Array, Int64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, exec_err};

/// A text column of any string type.
pub enum Texts<'array> {
    /// Offsets of 32 bits.
    Utf8(&'array arrow::array::StringArray),
    /// Offsets of 64 bits.
    LargeUtf8(&'array arrow::array::LargeStringArray),
    /// Views.
    View(&'array arrow::array::StringViewArray),
    /// All null.
    Null,
}

impl<'array> Texts<'array> {
    /// Looks at an array as text.
    ///
    /// # Errors
    /// If it is of another type; `what` names the argument.
    pub fn of(array: &'array ArrayRef, what: &str) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Utf8 => Texts::Utf8(array.as_string()),
            DataType::LargeUtf8 => Texts::LargeUtf8(array.as_string()),
            DataType::Utf8View => Texts::View(array.as_string_view()),
            DataType::Null => Texts::Null,
            other => return exec_err!("{what} must be text, not {other}"),
        })
    }

    /// Returns a row's text, `None` where it is null.
    pub fn get(&self, row: usize) -> Option<&'array str> {
        match self {
            Texts::Utf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::LargeUtf8(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::View(array) => array.is_valid(row).then(|| array.value(row)),
            Texts::Null => None,
        }
    }
}

/// Looks at an array as lists.
pub fn lists<'array>(array: &'array ArrayRef, what: &str) -> Result<&'array ListArray> {
    match array.as_list_opt::<i32>() {
        Some(lists) => Ok(lists),
        None => exec_err!("{what} must be a list, not {}", array.data_type()),
    }
}

/// Casts an array to 8-bit integers.
pub fn int8(array: &ArrayRef) -> Result<Int8Array> {
    Ok(cast(array, &DataType::Int8)?.as_primitive().clone())
}

/// Casts an array to 64-bit integers.
pub fn int64(array: &ArrayRef) -> Result<Int64Array> {
    Ok(cast(array, &DataType::Int64)?.as_primitive().clone())
}

/// Casts an array to 64-bit floats.
pub fn float64(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive().clone())
}

/// Casts an array to booleans.
pub fn booleans(array: &ArrayRef) -> Result<BooleanArray> {
    Ok(cast(array, &DataType::Boolean)?.as_boolean().clone())
}

/// Returns the rows of the values array that belong to a list.
pub fn range_of(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// The type of a list whose elements are named as Parquet names them.
pub fn list_of(element: DataType) -> DataType {
    DataType::List(std::sync::Arc::new(Field::new("element", element, true)))
}

/// The type of a struct of nullable fields.
pub fn struct_of(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
}
