//! `count_tokens` and `encode_example`: text as the model sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, BooleanBuilder, Int8Builder, Int32Builder, Int64Builder, ListBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::ScalarUDF;
use secprm_model::{EncodeOptions, StepTokenizer, encode};

use super::access::{Texts, booleans, int8, int64, list_of, lists, range_of, struct_of};
use super::scalar::RowFunction;

/// The tokenizers a session knows, by their identifier; filled from the table `tokenizers`.
#[derive(Clone, Default)]
pub struct TokenizerRegistry {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    by_id: BTreeMap<String, Arc<StepTokenizer>>,
    newest: Option<Arc<StepTokenizer>>,
}

impl TokenizerRegistry {
    /// Adds a tokenizer; `count_tokens` counts with the one that was added last.
    pub fn insert(&self, tokenizer: Arc<StepTokenizer>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.newest = Some(tokenizer.clone());
        known.by_id.insert(tokenizer.id().to_owned(), tokenizer);
    }

    /// Returns a tokenizer by its identifier.
    pub fn get(&self, id: &str) -> Option<Arc<StepTokenizer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }

    fn newest(&self) -> Result<Arc<StepTokenizer>> {
        match &self.known.read().unwrap_or_else(PoisonError::into_inner).newest {
            Some(tokenizer) => Ok(tokenizer.clone()),
            None => exec_err!("count_tokens needs a tokenizer, and the table tokenizers has none yet"),
        }
    }
}

/// The functions that ask a tokenizer of the registry.
pub const TOKENIZER_FUNCTIONS: [&str; 2] = ["count_tokens", "encode_example"];

/// `count_tokens(text)`: number of tokens under the release's tokenizer; null for null.
pub fn count_tokens(registry: TokenizerRegistry) -> ScalarUDF {
    RowFunction::udf("count_tokens", Some(1), DataType::Int64, move |arguments, rows| {
        let texts = Texts::of(&arguments[0], "count_tokens' argument")?;
        let mut counts = Int64Builder::with_capacity(rows);
        let tokenizer = if rows == 0 { None } else { Some(registry.newest()?) };
        for row in 0..rows {
            match (texts.get(row), &tokenizer) {
                (Some(text), Some(tokenizer)) => {
                    counts.append_value(tokenizer.count_tokens(text).map_err(external)? as i64)
                }
                _ => counts.append_null(),
            }
        }
        Ok(Arc::new(counts.finish()))
    })
}

/// The fields of one encoded window, in order.
fn window_fields() -> [(&'static str, DataType); 8] {
    [
        ("window_index", DataType::Int32),
        ("step_indices", list_of(DataType::Int32)),
        ("input_ids", list_of(DataType::Int32)),
        ("step_positions", list_of(DataType::Int32)),
        ("step_labels", list_of(DataType::Int8)),
        ("step_supervised", list_of(DataType::Boolean)),
        ("n_tokens", DataType::Int32),
        ("code_tokens", DataType::Int64),
    ]
}

/// `encode_example(prompt, completions, labels, supervised, tokenizer_id, max_tokens)`: a list of windows, each a struct of
/// `window_index, step_indices, input_ids, step_positions, step_labels, step_supervised, n_tokens, code_tokens`, the last being the whole
/// sample's.
///
/// Steps that fit in no window are in none of them (FORMULAS.md, "Encoding").
pub fn encode_example(registry: TokenizerRegistry) -> ScalarUDF {
    let window = struct_of(&window_fields());
    RowFunction::udf("encode_example", Some(6), list_of(window), move |arguments, rows| {
        let prompts = Texts::of(&arguments[0], "encode_example's prompt")?;
        let completions = lists(&arguments[1], "encode_example's completions")?;
        let steps = Texts::of(completions.values(), "encode_example's completions")?;
        let label_lists = lists(&arguments[2], "encode_example's labels")?;
        let labels = int8(label_lists.values())?;
        let supervised_lists = lists(&arguments[3], "encode_example's supervised")?;
        let supervised = booleans(supervised_lists.values())?;
        let tokenizer_ids = Texts::of(&arguments[4], "encode_example's tokenizer_id")?;
        let limits = int64(&arguments[5])?;
        let mut windows = Windows::default();
        for row in 0..rows {
            let (Some(prompt), Some(id)) = (prompts.get(row), tokenizer_ids.get(row)) else {
                return exec_err!("encode_example needs a prompt and a tokenizer_id");
            };
            let Some(tokenizer) = registry.get(id) else {
                return exec_err!("the tokenizer {id} is not in the table tokenizers");
            };
            let [steps_here, labels_here, supervised_here] =
                [range_of(completions, row), range_of(label_lists, row), range_of(supervised_lists, row)];
            if steps_here.len() != labels_here.len() || steps_here.len() != supervised_here.len() {
                return exec_err!("encode_example needs as many labels and supervised as completions");
            }
            let texts: Vec<&str> = steps_here.map(|step| steps.get(step).unwrap_or("")).collect();
            let max_tokens = usize::try_from(limits.value(row)).unwrap_or(0);
            let options = EncodeOptions { max_tokens, ..EncodeOptions::default() };
            let encoded = encode(&tokenizer, prompt, &texts, &options).map_err(external)?;
            for (index, window) in encoded.windows.iter().enumerate() {
                let label_of = |step: usize| labels.value(labels_here.start + step);
                let is_supervised = |step: usize| supervised.value(supervised_here.start + step);
                windows.push(index, window, encoded.code_tokens, label_of, is_supervised);
            }
            windows.end_row();
        }
        windows.finish()
    })
}

fn external(error: secprm_model::ModelError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Builds the list of windows of each row.
#[derive(Default)]
struct Windows {
    index: Int32Builder,
    step_indices: ListBuilder<Int32Builder>,
    input_ids: ListBuilder<Int32Builder>,
    step_positions: ListBuilder<Int32Builder>,
    step_labels: ListBuilder<Int8Builder>,
    step_supervised: ListBuilder<BooleanBuilder>,
    n_tokens: Int32Builder,
    code_tokens: Int64Builder,
    lengths: Vec<usize>,
    open: usize,
}

impl Windows {
    fn push(
        &mut self,
        index: usize,
        window: &secprm_model::Window,
        code_tokens: usize,
        label_of: impl Fn(usize) -> i8,
        is_supervised: impl Fn(usize) -> bool,
    ) {
        self.index.append_value(index as i32);
        for step in window.steps.clone() {
            self.step_indices.values().append_value(step as i32);
            self.step_labels.values().append_value(label_of(step));
            self.step_supervised.values().append_value(is_supervised(step));
        }
        window.input_ids.iter().for_each(|id| self.input_ids.values().append_value(*id as i32));
        window.step_positions.iter().for_each(|position| self.step_positions.values().append_value(*position as i32));
        self.step_indices.append(true);
        self.input_ids.append(true);
        self.step_positions.append(true);
        self.step_labels.append(true);
        self.step_supervised.append(true);
        self.n_tokens.append_value(window.input_ids.len() as i32);
        self.code_tokens.append_value(code_tokens as i64);
        self.open += 1;
    }

    fn end_row(&mut self) {
        self.lengths.push(std::mem::take(&mut self.open));
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.index.finish()),
            renamed(Arc::new(self.step_indices.finish()))?,
            renamed(Arc::new(self.input_ids.finish()))?,
            renamed(Arc::new(self.step_positions.finish()))?,
            renamed(Arc::new(self.step_labels.finish()))?,
            renamed(Arc::new(self.step_supervised.finish()))?,
            Arc::new(self.n_tokens.finish()),
            Arc::new(self.code_tokens.finish()),
        ];
        list_of_structs(&window_fields(), columns, self.lengths)
    }
}

/// Gives a list's elements the name that our schemas use.
pub(super) fn renamed(list: ArrayRef) -> Result<ArrayRef> {
    let lists = lists(&list, "a list")?;
    let (field, offsets, values, nulls) = lists.clone().into_parts();
    let element = Arc::new(Field::new("element", field.data_type().clone(), true));
    Ok(Arc::new(arrow::array::ListArray::try_new(element, offsets, values, nulls)?))
}

/// Puts columns together as structs, and `lengths[row]` structs together as each row's list.
pub(super) fn list_of_structs(
    fields: &[(&str, DataType)],
    columns: Vec<ArrayRef>,
    lengths: Vec<usize>,
) -> Result<ArrayRef> {
    let fields: Fields = fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
    let structs = StructArray::try_new(fields.clone(), columns, None)?;
    let element = Arc::new(Field::new("element", DataType::Struct(fields), true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(arrow::array::ListArray::try_new(element, offsets, Arc::new(structs), None)?))
}
