//! The tokenizer: read from a file, or trained on the steps of the training split.

use arrow::array::RecordBatch;
use futures::StreamExt;
use secprm_model::StepTokenizer;
use secprm_storage::{CommitMode, CommitNote, Fingerprint, Table, Warehouse};

use super::tables::{TOKENIZERS, model_tables};
use crate::error::{Result, StageError};
use crate::tables::{Cell, Rows};

/// Trains a byte-level BPE on a stream of batches whose first column is text; the result depends on the set of texts alone.
///
/// # Errors
/// A stream that fails, or texts a tokenizer cannot be trained on.
pub async fn train_tokenizer(
    mut texts: datafusion::execution::SendableRecordBatchStream,
    vocab_size: usize,
) -> Result<StepTokenizer> {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<RecordBatch>(2);
    let training = tokio::task::spawn_blocking(move || {
        let all = receiver.into_iter().flat_map(|batch| texts_of(&batch));
        StepTokenizer::train(all, vocab_size)
    });
    while let Some(batch) = texts.next().await {
        let batch = batch?;
        // The other side only hangs up when it failed; its error is the one to report.
        if tokio::task::block_in_place(|| sender.send(batch)).is_err() {
            break;
        }
    }
    drop(sender);
    Ok(training.await??)
}

fn texts_of(batch: &RecordBatch) -> Vec<String> {
    use arrow::array::{Array, AsArray};
    match batch.column(0).as_string_opt::<i32>() {
        Some(column) => (0..column.len()).map(|row| column.value(row).to_owned()).collect(),
        None => Vec::new(),
    }
}

/// Replaces the table `tokenizers` by one row.
pub async fn write_tokenizer(
    warehouse: &Warehouse,
    base: Option<&Table>,
    tokenizer: &StepTokenizer,
    origin: &str,
    fingerprint: Fingerprint,
    note: &CommitNote,
) -> Result<Table> {
    let [spec, ..] = model_tables();
    let mut rows = Rows::new(spec.schema.clone());
    rows.push(&[
        Cell::Text(Some(tokenizer.id())),
        Cell::Int(Some(tokenizer.vocab_size() as i64)),
        Cell::Text(Some(origin)),
        Cell::Text(Some(tokenizer.to_json())),
    ]);
    let mut writer = warehouse.part_writer(&spec)?;
    if let Some(batch) = rows.finish()? {
        writer.write(&batch).await?;
    }
    let parts = writer.finish().await?;
    Ok(warehouse.commit(&spec, base, parts, &CommitMode::ReplaceAll { fingerprint }, note).await?)
}

/// Reads the tokenizer out of the rows of `tokenizers`; `None` without rows.
///
/// # Errors
/// A row whose JSON is no tokenizer.
pub fn tokenizer_of(batches: &[RecordBatch]) -> Result<Option<StepTokenizer>> {
    use arrow::array::{Array, AsArray};
    for batch in batches {
        let column = batch.column_by_name("tokenizer_json").and_then(|column| column.as_string_opt::<i32>());
        let Some(texts) = column else {
            let message = "the column tokenizer_json is missing or no text".to_owned();
            return Err(StageError::Table { table: TOKENIZERS.to_owned(), message });
        };
        if !texts.is_empty() {
            return Ok(Some(StepTokenizer::from_json(texts.value(0))?));
        }
    }
    Ok(None)
}
