//! Builds batches of a table, row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;

/// A batch is handed on when its text has grown past this.
const BATCH_BYTES: usize = 8 << 20;

/// Collects values of text, number, boolean, timestamp and text-list columns into batches of one table.
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
            match (column, cell) {
                (Column::Text(builder), Cell::Text(text)) => {
                    self.bytes += text.map_or(0, str::len);
                    builder.append_option(*text);
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
                // A cell of another kind is a defect of the caller; finish() reports it as columns of unequal length.
                _ => {}
            }
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
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
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
        DataType::List(_) => {
            let element = Field::new("element", DataType::Utf8, true);
            Column::TextList(ListBuilder::new(StringBuilder::new()).with_field(element))
        }
        _ => Column::Text(StringBuilder::new()),
    }
}

impl Column {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Int(builder) => Arc::new(builder.finish()),
            Column::SmallInt(builder) => Arc::new(builder.finish()),
            Column::Float(builder) => Arc::new(builder.finish()),
            Column::Bool(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
            Column::TextList(builder) => Arc::new(builder.finish()),
        }
    }
}
