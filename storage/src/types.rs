//! The Arrow types that tables hold on disk, and casting batches to them.
//!
//! Every reader of Delta knows these: signed integers, plain strings and binaries, microseconds in
//! UTC, lists, structs and maps of them. View, dictionary, large and unsigned types exist in memory
//! only.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Result, StorageError};

/// The type that holds a type's values on disk; an error says which type cannot be held.
pub(crate) fn stored_type(data_type: &DataType) -> Result<DataType, String> {
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => stored_type(values)?,
        DataType::RunEndEncoded(_, values) => stored_type(values.data_type())?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new("element", stored_type(item.data_type())?, item.is_nullable())))
        }
        DataType::Struct(fields) => DataType::Struct(stored_fields(fields)?),
        DataType::Map(entries, _) => stored_map(entries)?,
        other => return Err(format!("type {other} cannot be stored; cast it")),
    })
}

fn stored_map(entries: &FieldRef) -> Result<DataType, String> {
    let DataType::Struct(fields) = entries.data_type() else {
        return Err("a map's entries are not a struct".to_owned());
    };
    let [key, value] = fields.as_ref() else {
        return Err("a map's entries are not a pair".to_owned());
    };
    let fields = Fields::from(vec![
        Field::new("key", stored_type(key.data_type())?, false),
        Field::new("value", stored_type(value.data_type())?, value.is_nullable()),
    ]);
    Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(fields), false)), false))
}

fn stored_fields(fields: &Fields) -> Result<Fields, String> {
    fields
        .iter()
        .map(|field| {
            let data_type =
                stored_type(field.data_type()).map_err(|problem| format!("`{}`: {problem}", field.name()))?;
            Ok(Field::new(field.name(), data_type, field.is_nullable()))
        })
        .collect()
}

/// The schema that holds a schema's columns on disk, without any field metadata.
pub(crate) fn stored_schema(schema: &Schema) -> Result<SchemaRef, String> {
    Ok(Arc::new(Schema::new(stored_fields(schema.fields())?)))
}

/// Casts a batch to a table's schema: columns by name, in the schema's order.
///
/// Plain, view, large and dictionary forms of a type are exchanged freely, integers where every
/// value fits, single floats into double ones; an all-null column fits any nullable type.
///
/// # Errors
/// [`StorageError::Schema`] that names the table and the column: a column that is missing, unknown
/// or twice there, a type that does not fit, a value out of range, a null where none may be.
pub fn conform(table: &str, schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let found = batch.schema();
    if found.fields() == schema.fields() {
        return RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())
            .map_err(|error| StorageError::schema(table, error.to_string()));
    }
    for (index, field) in found.fields().iter().enumerate() {
        let name = field.name();
        if schema.field_with_name(name).is_err() {
            return Err(StorageError::schema(table, format!("column `{name}` is not declared")));
        }
        if found.index_of(name).ok() != Some(index) {
            return Err(StorageError::schema(table, format!("column `{name}` is there twice")));
        }
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch.column_by_name(field.name()).ok_or_else(|| {
                let problem = format!("column `{}` ({}) is missing", field.name(), field.data_type());
                StorageError::schema(table, problem)
            })?;
            conform_column(field, column)
                .map_err(|problem| StorageError::schema(table, format!("column `{}`: {problem}", field.name())))
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| StorageError::schema(table, error.to_string()))
}

pub(crate) fn conform_column(field: &Field, column: &ArrayRef) -> Result<ArrayRef, String> {
    let target = field.data_type();
    if column.data_type() == target {
        return Ok(Arc::clone(column));
    }
    if column.data_type() == &DataType::Null {
        return Ok(new_null_array(target, column.len()));
    }
    if !fits(column.data_type(), target) {
        return Err(format!("{} does not fit {target}; cast it in the query", column.data_type()));
    }
    // Values that do not fit are errors, never nulls.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, target, &options).map_err(|error| error.to_string())
}

/// Tells whether a type may be cast to a stored type without changing what a value means.
fn fits(from: &DataType, to: &DataType) -> bool {
    match stored_type(from) {
        Ok(stored) => stored_fits(&stored, to),
        Err(_) => false,
    }
}

fn stored_fits(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::List(from), DataType::List(to)) => stored_fits(from.data_type(), to.data_type()),
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len()
                && from
                    .iter()
                    .zip(to)
                    .all(|(from, to)| from.name() == to.name() && stored_fits(from.data_type(), to.data_type()))
        }
        (DataType::Map(from, _), DataType::Map(to, _)) => stored_fits(from.data_type(), to.data_type()),
        (DataType::Float32, DataType::Float64) => true,
        (from, to) => from == to || (from.is_integer() && to.is_integer()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{
        DictionaryArray, Int32Array, Int64Array, ListArray, NullArray, StringArray, StringViewArray, UInt64Array,
    };
    use arrow::datatypes::{Int8Type, Int32Type};

    fn schema(fields: Vec<Field>) -> SchemaRef {
        stored_schema(&Schema::new(fields)).unwrap()
    }

    fn error(schema: &SchemaRef, columns: Vec<(&str, ArrayRef)>) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)));
        conform("pairs", schema, &batch.unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn views_dictionaries_and_unsigned_integers_become_plain() {
        let table = schema(vec![
            Field::new("a", DataType::Utf8View, true),
            Field::new("b", DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), true),
            Field::new("n", DataType::UInt32, true),
            Field::new("l", DataType::new_list(DataType::Int8, true), true),
        ]);
        let dictionary: DictionaryArray<Int8Type> = vec!["x", "y"].into_iter().collect();
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None]), None]);
        let batch = RecordBatch::try_from_iter([
            ("l", Arc::new(list) as ArrayRef),
            ("b", Arc::new(dictionary) as ArrayRef),
            ("n", Arc::new(UInt64Array::from(vec![1, 2])) as ArrayRef),
            ("a", Arc::new(StringViewArray::from(vec!["p", "q"])) as ArrayRef),
        ])
        .unwrap();
        let stored = conform("pairs", &table, &batch).unwrap();
        assert_eq!(stored.schema(), table);
        assert_eq!(stored.column(2).as_ref(), &Int64Array::from(vec![1, 2]));
        assert_eq!(stored.column(1).as_ref(), &StringArray::from(vec!["x", "y"]));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let table = schema(vec![Field::new("id", DataType::Utf8, false), Field::new("n", DataType::Int32, true)]);
        let id = || Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
        let n = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
        assert_eq!(error(&table, vec![("id", id())]), "table `pairs`: column `n` (Int32) is missing");
        assert_eq!(
            error(&table, vec![("id", id()), ("n", n()), ("m", n())]),
            "table `pairs`: column `m` is not declared"
        );
        assert_eq!(
            error(&table, vec![("id", id()), ("n", id())]),
            "table `pairs`: column `n`: Utf8 does not fit Int32; cast it in the query"
        );
        let big = Arc::new(Int64Array::from(vec![1 << 40])) as ArrayRef;
        assert!(error(&table, vec![("id", id()), ("n", big)]).contains("column `n`: "));
        let null = Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef;
        assert!(error(&table, vec![("id", null), ("n", n())]).contains("'id'"));
        let ok = RecordBatch::try_from_iter_with_nullable([
            ("id", id(), false),
            ("n", Arc::new(NullArray::new(1)) as ArrayRef, true),
        ]);
        assert_eq!(conform("pairs", &table, &ok.unwrap()).unwrap().column(1).null_count(), 1);
    }

    #[test]
    fn types_no_reader_knows_are_refused() {
        let problem = stored_schema(&Schema::new(vec![Field::new("t", DataType::Duration(TimeUnit::Second), true)]));
        assert!(problem.unwrap_err().starts_with("`t`: type Duration"));
    }
}
