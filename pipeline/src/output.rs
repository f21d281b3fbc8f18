//! Data on stdout: a table for people, JSON (one array of row objects) and CSV for programs.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::TableComponent::{
    HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections,
};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use crate::error::{Error, Kind, Result};

/// How a command prints data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One array of row objects.
    Json,
    /// A header line and a line a row; lists and structs as text.
    Csv,
}

/// Prints rows as they come; a table is printed once all rows are there.
///
/// # Errors
/// The stream's, or one of kind stage if stdout cannot be written. A reader that closed the pipe is no error.
pub async fn print_stream(mut rows: SendableRecordBatchStream, format: Format, out: &mut dyn Write) -> Result<()> {
    let schema = rows.schema();
    let is_closed = Cell::new(false);
    let out = &mut Pipe { out, is_closed: &is_closed };
    match format {
        Format::Table => {
            let mut batches = Vec::new();
            let mut count = 0;
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                let wanted = batch.num_rows().min(TABLE_ROWS.saturating_sub(count));
                count += batch.num_rows();
                if wanted > 0 {
                    batches.push(batch.slice(0, wanted));
                }
            }
            if count > TABLE_ROWS {
                eprintln!(
                    "note: the first {TABLE_ROWS} of {count} rows; --format json and --format csv print all of them"
                );
            }
            finished(writeln!(out, "{}", table_of(&schema, &batches)?))
        }
        Format::Json => {
            let options = arrow::json::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = options.build::<_, arrow::json::writer::JsonArray>(&mut *out);
            while let Some(batch) = rows.next().await {
                writer.write(&batch?)?;
                if is_closed.get() {
                    return Ok(());
                }
            }
            writer.finish()?;
            drop(writer);
            finished(writeln!(out))
        }
        Format::Csv => {
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut *out);
            let mut is_empty = true;
            while let Some(batch) = rows.next().await {
                writer.write(&flat(&batch?)?)?;
                is_empty = false;
                if is_closed.get() {
                    return Ok(());
                }
            }
            if is_empty {
                writer.write(&flat(&RecordBatch::new_empty(schema))?)?;
            }
            Ok(())
        }
    }
}

/// Prints a line of words between tables for people.
///
/// # Errors
/// Of kind stage if stdout cannot be written. A reader that closed the pipe is no error.
pub fn print_line(line: &str, out: &mut dyn Write) -> Result<()> {
    let is_closed = Cell::new(false);
    finished(writeln!(Pipe { out, is_closed: &is_closed }, "{line}"))
}

/// Prints batches that are in memory.
pub async fn print_batches(
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let stream = futures::stream::iter(batches.into_iter().map(Ok));
    let stream = datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(schema, stream);
    print_stream(Box::pin(stream), format, out).await
}

/// Rows that a table for people has at most.
const TABLE_ROWS: usize = 10_000;

/// Characters of a cell that a table for people shows: steps and code are whole files at times.
const CELL_CHARACTERS: usize = 160;

/// Stdout, whose reader may close it at any time (`| head`): that ends the output and is no error.
struct Pipe<'out> {
    out: &'out mut dyn Write,
    is_closed: &'out Cell<bool>,
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.out.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed.set(true);
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed.get() { Ok(()) } else { self.out.flush() }
    }
}

fn finished(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) => Err(Error::new(Kind::Stage, format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

fn table_of(schema: &Schema, batches: &[RecordBatch]) -> Result<String> {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    for line in [HorizontalLines, MiddleIntersections, LeftBorderIntersections, RightBorderIntersections] {
        table.remove_style(line);
    }
    table.set_header(schema.fields().iter().map(|field| field.name().as_str()));
    let options = FormatOptions::default().with_null("");
    for batch in batches {
        let formatters: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            table.add_row(formatters.iter().zip(schema.fields()).map(|(formatter, field)| {
                let text = match field.data_type() {
                    DataType::Float64 | DataType::Float32 => rounded(&formatter.value(row).to_string()),
                    _ => shortened(&formatter.value(row).to_string()),
                };
                let cell = comfy_table::Cell::new(text);
                if field.data_type().is_numeric() { cell.set_alignment(CellAlignment::Right) } else { cell }
            }));
        }
    }
    Ok(table.to_string())
}

/// Says how many there are of something: `1 row`, `2 rows`.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {noun}"),
        many => format!("{many} {noun}s"),
    }
}

/// One line, cut where it gets too long for a table.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(CELL_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

/// Four digits after the point are enough for people; programs get all of them.
fn rounded(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number.abs() >= 0.001 => {
            let fixed = format!("{number:.4}");
            fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        Ok(number) if number != 0.0 && number.is_finite() => format!("{number:.3e}"),
        _ => text.to_owned(),
    }
}

/// Returns each row as one JSON object; nulls are left out.
///
/// # Errors
/// Values that JSON has no form for.
pub fn json_rows(batch: &RecordBatch) -> Result<Vec<String>> {
    let mut bytes = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut bytes);
    writer.write(batch)?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// Turns lists and structs into text, since CSV has none.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let options = FormatOptions::default();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.data_type().is_nested() {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
            continue;
        }
        let formatter = ArrayFormatter::try_new(column, &options)?;
        let mut texts = StringBuilder::new();
        (0..batch.num_rows()).for_each(|row| texts.append_value(formatter.value(row).to_string()));
        fields.push(Field::new(field.name(), DataType::Utf8, true));
        columns.push(Arc::new(texts.finish()));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
