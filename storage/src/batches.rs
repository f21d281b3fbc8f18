//! Batches measured in bytes: a thousand rows of whole files may be a gigabyte.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use futures::{Stream, StreamExt, stream};

/// The size to which batches are cut unless a caller asks for another: 16 MiB.
pub const DEFAULT_BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The bytes that a batch's own rows take, whatever larger buffers they are a window of.
pub fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &ArrayRef) -> usize {
    // A view's text lies in buffers shared with other rows, which slices do not cut.
    let text: usize = match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|n| n as usize).sum(),
        DataType::BinaryView => array.as_binary_view().lengths().map(|n| n as usize).sum(),
        _ => {
            return array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
        }
    };
    text + array.len() * size_of::<u128>()
}

/// Cuts a batch by rows into slices of at most `target_bytes`, in order and without copying.
///
/// A single row above the target stays one slice; an empty batch gives none.
pub fn split_batch(batch: &RecordBatch, target_bytes: usize) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    split_into(batch, target_bytes, &mut pieces);
    pieces
}

/// Halving, rather than dividing by the average, keeps one huge row from dragging others along.
fn split_into(batch: &RecordBatch, target_bytes: usize, pieces: &mut Vec<RecordBatch>) {
    let rows = batch.num_rows();
    if rows == 0 {
        return;
    }
    if rows == 1 || batch_bytes(batch) <= target_bytes {
        pieces.push(batch.clone());
        return;
    }
    let half = rows / 2;
    split_into(&batch.slice(0, half), target_bytes, pieces);
    split_into(&batch.slice(half, rows - half), target_bytes, pieces);
}

/// Re-cuts a stream of batches to about `target_bytes` each, keeping the rows in order.
///
/// Large batches are sliced without copying; small ones are copied together. At most the input
/// batch in hand and `target_bytes` are held. Empty batches vanish. An error ends the stream,
/// after the rows before it.
pub fn rechunk<S, E>(input: S, target_bytes: usize) -> impl Stream<Item = Result<RecordBatch, E>> + Send
where
    S: Stream<Item = Result<RecordBatch, E>> + Send + Unpin,
    E: From<ArrowError> + Send,
{
    let state = Rechunk {
        input,
        target_bytes: target_bytes.max(1),
        ready: Vec::new(),
        pending: Vec::new(),
        pending_bytes: 0,
        failure: None,
        is_done: false,
    };
    stream::unfold(state, |mut state| async move {
        let item = state.next().await?;
        Some((item, state))
    })
}

struct Rechunk<S, E> {
    input: S,
    target_bytes: usize,
    /// Slices still to be looked at, last first.
    ready: Vec<RecordBatch>,
    /// Slices that go into the next batch.
    pending: Vec<RecordBatch>,
    pending_bytes: usize,
    failure: Option<E>,
    is_done: bool,
}

impl<S, E> Rechunk<S, E>
where
    S: Stream<Item = Result<RecordBatch, E>> + Unpin,
    E: From<ArrowError>,
{
    async fn next(&mut self) -> Option<Result<RecordBatch, E>> {
        loop {
            if let Some(slice) = self.ready.pop() {
                let bytes = batch_bytes(&slice);
                if !self.pending.is_empty() && self.pending_bytes + bytes > self.target_bytes {
                    self.ready.push(slice);
                    return self.flush();
                }
                self.pending_bytes += bytes;
                self.pending.push(slice);
                continue;
            }
            if self.is_done {
                return self.flush().or_else(|| self.failure.take().map(Err));
            }
            match self.input.next().await {
                Some(Ok(batch)) => {
                    self.ready = split_batch(&batch, self.target_bytes);
                    self.ready.reverse();
                }
                Some(Err(error)) => {
                    self.failure = Some(error);
                    self.is_done = true;
                }
                None => self.is_done = true,
            }
        }
    }

    fn flush(&mut self) -> Option<Result<RecordBatch, E>> {
        self.pending_bytes = 0;
        let mut pending = std::mem::take(&mut self.pending);
        if pending.len() <= 1 {
            return pending.pop().map(Ok);
        }
        let schema = pending[0].schema();
        Some(concat_batches(&schema, &pending).map_err(E::from))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{StringArray, StringViewArray};

    fn batch(lengths: &[usize]) -> RecordBatch {
        let texts: Vec<String> = lengths.iter().map(|n| "x".repeat(*n)).collect();
        RecordBatch::try_from_iter([("t", Arc::new(StringArray::from(texts)) as ArrayRef)]).unwrap()
    }

    fn lengths(batches: &[RecordBatch]) -> Vec<Vec<usize>> {
        let of = |b: &RecordBatch| b.column(0).as_string::<i32>().iter().map(|t| t.unwrap().len()).collect();
        batches.iter().map(of).collect()
    }

    async fn run(input: Vec<Result<RecordBatch, ArrowError>>, target: usize) -> Vec<Result<RecordBatch, ArrowError>> {
        rechunk(stream::iter(input), target).collect().await
    }

    #[tokio::test]
    async fn rows_keep_their_order_and_batches_their_size() {
        let input = vec![Ok(batch(&[10; 100])), Ok(batch(&[])), Ok(batch(&[3000, 5, 5])), Ok(batch(&[7; 3]))];
        let output: Vec<_> = run(input, 1000).await.into_iter().map(Result::unwrap).collect();
        let expected: Vec<usize> = [vec![10; 100], vec![3000, 5, 5], vec![7; 3]].concat();
        assert_eq!(lengths(&output).concat(), expected);
        for batch in &output {
            assert!(batch.num_rows() == 1 || batch_bytes(batch) <= 1100, "{}", batch_bytes(batch));
        }
        assert!(output.len() <= 5, "{:?}", lengths(&output));
    }

    #[tokio::test]
    async fn an_error_comes_after_the_rows_before_it() {
        let input = vec![Ok(batch(&[1, 2])), Err(ArrowError::ComputeError("late".into())), Ok(batch(&[3]))];
        let output = run(input, 1000).await;
        assert_eq!(output.len(), 2);
        assert!(output[0].is_ok() && output[1].is_err());
    }

    #[test]
    fn slices_and_views_count_their_own_rows_only() {
        let whole = batch(&[1000; 100]);
        assert!(batch_bytes(&whole.slice(3, 1)) < 1100);
        let views = StringViewArray::from(vec!["y".repeat(1000); 100]);
        let views = RecordBatch::try_from_iter([("v", Arc::new(views) as ArrayRef)]).unwrap();
        assert_eq!(batch_bytes(&views.slice(0, 2)), 2032);
        assert_eq!(split_batch(&views, 20_000).iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    }
}
