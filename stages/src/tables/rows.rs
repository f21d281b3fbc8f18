//! Builds batches of a table, row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListArray, ListBuilder, RecordBatch,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef};
use arrow::error::ArrowError;

/// A batch is handed on when its text has grown past this.
const BATCH_BYTES: usize = 8 << 20;

/// Collects values into batches of one table: text, numbers, booleans, timestamps, and lists of texts, numbers or structs.
pub struct Rows {
    schema: SchemaRef,
    columns: Vec<Column>,
    bytes: usize,
    rows: usize,
}

enum Column {
    Text(StringBuilder),
    Int(Int64Builder),
    SmallInt(Int32Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
    TextList(ListBuilder<StringBuilder>),
    IntList(ListBuilder<Int32Builder>),
    StructList { element: FieldRef, fields: Fields, columns: Vec<Column>, lengths: Vec<usize> },
}

/// One value of a row.
pub enum Cell<'value> {
    /// Text or null.
    Text(Option<&'value str>),
    /// A number or null.
    Int(Option<i64>),
    /// A float or null.
    Float(Option<f64>),
    /// A boolean or null.
    Bool(Option<bool>),
    /// A list of texts.
    TextList(&'value [String]),
    /// A list of small numbers.
    IntList(&'value [u32]),
    /// A list of structs: one cell a field, in the schema's order.
    StructList(&'value [Vec<Cell<'value>>]),
}

impl Rows {
    /// Starts without rows.
    pub fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| builder_for(field.data_type())).collect();
        Rows { schema, columns, bytes: 0, rows: 0 }
    }

    /// Appends a row: one cell a column, in the schema's order.
    pub fn push(&mut self, cells: &[Cell<'_>]) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += column.push(cell);
        }
        self.rows += 1;
    }

    /// Whether enough has been collected for a batch.
    pub fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES
    }

    /// Returns what was collected as a batch and starts again; `None` without rows.
    pub fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.rows = 0;
        self.bytes = 0;
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect::<Result<_, _>>()?;
        RecordBatch::try_new(self.schema.clone(), arrays).map(Some)
    }
}

fn builder_for(data_type: &DataType) -> Column {
    match data_type {
        DataType::Int64 => Column::Int(Int64Builder::new()),
        DataType::Int32 => Column::SmallInt(Int32Builder::new()),
        DataType::Float64 => Column::Float(Float64Builder::new()),
        DataType::Boolean => Column::Bool(BooleanBuilder::new()),
        DataType::Timestamp(_, _) => Column::Time(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => Column::StructList {
                element: element.clone(),
                fields: fields.clone(),
                columns: fields.iter().map(|field| builder_for(field.data_type())).collect(),
                lengths: Vec::new(),
            },
            DataType::Int32 => Column::IntList(ListBuilder::new(Int32Builder::new()).with_field(element.clone())),
            _ => Column::TextList(ListBuilder::new(StringBuilder::new()).with_field(element.clone())),
        },
        _ => Column::Text(StringBuilder::new()),
    }
}

/// The type of a list of texts or numbers, its elements named as Parquet names them.
pub fn list_type(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

/// The type of a list of structs of fields that are never null.
pub fn struct_list_type(fields: &[(&str, DataType)]) -> DataType {
    list_type(DataType::Struct(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect()))
}

impl Column {
    /// Appends a value and returns how many bytes of text it has.
    fn push(&mut self, cell: &Cell<'_>) -> usize {
        match (self, cell) {
            (Column::Text(builder), Cell::Text(text)) => {
                builder.append_option(*text);
                return text.map_or(0, str::len);
            }
            (Column::Int(builder), Cell::Int(number)) => builder.append_option(*number),
            (Column::SmallInt(builder), Cell::Int(number)) => {
                builder.append_option(number.and_then(|number| i32::try_from(number).ok()));
            }
            (Column::Float(builder), Cell::Float(number)) => builder.append_option(*number),
            (Column::Bool(builder), Cell::Bool(flag)) => builder.append_option(*flag),
            (Column::Time(builder), Cell::Int(number)) => builder.append_option(*number),
            (Column::TextList(builder), Cell::TextList(items)) => {
                items.iter().for_each(|item| builder.values().append_value(item));
                builder.append(true);
            }
            (Column::IntList(builder), Cell::IntList(items)) => {
                items.iter().for_each(|item| builder.values().append_option(i32::try_from(*item).ok()));
                builder.append(true);
            }
            (Column::StructList { columns, lengths, .. }, Cell::StructList(items)) => {
                lengths.push(items.len());
                let cells = items.iter().flat_map(|item| item.iter().enumerate());
                return cells.filter_map(|(at, cell)| Some(columns.get_mut(at)?.push(cell))).sum();
            }
            // A cell of another kind is a defect of the caller; finish() reports it as columns of unequal length.
            _ => {}
        }
        0
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Column::Text(builder) => {
                // The next batch is about as large; growing to its size step by step would copy it several times.
                let (rows, bytes) = (builder.offsets_slice().len(), builder.values_slice().len());
                let texts = builder.finish();
                *builder = StringBuilder::with_capacity(rows, bytes);
                Arc::new(texts)
            }
            Column::Int(builder) => Arc::new(builder.finish()),
            Column::SmallInt(builder) => Arc::new(builder.finish()),
            Column::Float(builder) => Arc::new(builder.finish()),
            Column::Bool(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
            Column::TextList(builder) => Arc::new(builder.finish()),
            Column::IntList(builder) => Arc::new(builder.finish()),
            Column::StructList { element, fields, columns, lengths } => {
                let arrays = columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
                let structs = StructArray::try_new(fields.clone(), arrays, None)?;
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                Arc::new(ListArray::try_new(element.clone(), offsets, Arc::new(structs), None)?)
            }
        })
    }
}
