//! Batch scoring: every encoded step under the published model.
//!
//! Reads batches of `train_shards` of some slices and a checkpoint; hands back rows of `step_scores`. A sample's windows arrive together,
//! in order, so that its prefix rewards run through all of them.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};
use secprm_model::rewards::RiskPrefix;
use secprm_model::{StepModel, score_sequences};
use secprm_storage::TableSpec;

use crate::error::{Result, StageError};
use crate::tables::{Cell, Rows, sliced_table};
use crate::train::load_examples;

/// Scores, one row a step.
pub const STEP_SCORES: &str = "step_scores";

/// Returns the declaration of `step_scores`.
pub fn step_scores_table() -> TableSpec {
    let text = DataType::Utf8;
    let columns = vec![
        ("model_id", text.clone(), false, "The checkpoint"),
        ("sample_id", text, false, "The sample"),
        ("step_index", DataType::Int64, false, "Which step, from 0"),
        ("p_secure", DataType::Float64, false, "Probability of being secure, softmax(h)[1]"),
        ("reward", DataType::Float64, false, "Step reward (FORMULAS, equation 1), in [-1, 1]"),
        ("prefix_reward", DataType::Float64, false, "Risk aggregation (equation 2) over steps 1 to this one"),
        ("context_tokens", DataType::Int64, false, "Tokens the model had read at the step, prompt included"),
        ("sample_tokens", DataType::Int64, false, "Tokens of all windows of the sample"),
    ];
    sliced_table(STEP_SCORES, "One step under one model", columns)
}

/// Scores one sample's windows after the other; `shards` are ordered by sample and window.
pub struct Scorer<'model> {
    model: &'model StepModel,
    model_id: &'model str,
    temperature: f64,
}

impl<'model> Scorer<'model> {
    /// Prepares scoring; `temperature` is τ of the prefix reward.
    pub fn new(model: &'model StepModel, model_id: &'model str, temperature: f64) -> Self {
        Scorer { model, model_id, temperature }
    }

    /// Scores a batch of shards that holds whole samples, ordered by (sample_id, window_index); computes sequences in parallel.
    ///
    /// # Errors
    /// A column that is missing or of another type, ids the model does not know, scores that are not finite.
    pub fn score(&self, shards: &RecordBatch) -> Result<Option<RecordBatch>> {
        let examples = load_examples(std::slice::from_ref(shards))?;
        let sequences: Vec<(&[u32], &[u32])> =
            examples.iter().map(|example| (example.input_ids.as_slice(), example.step_positions.as_slice())).collect();
        let scores = score_sequences(self.model, &sequences)?;
        let samples = strings(shards, "sample_id")?;
        let datasets = strings(shards, "dataset")?;
        let [slices, indices] = ["slice", "step_indices"]
            .map(|name| shards.column_by_name(name).ok_or_else(|| broken(format!("the column {name} is missing"))));
        let slices = slices?.as_primitive_opt::<Int32Type>().ok_or_else(|| broken("slice is no integer".to_owned()))?;
        let indices = indices?.as_list_opt::<i32>().ok_or_else(|| broken("step_indices is no list".to_owned()))?;
        let mut rows = Rows::new(step_scores_table().schema);
        let mut start = 0;
        while start < shards.num_rows() {
            let sample = samples.value(start);
            let end = (start..shards.num_rows()).find(|row| samples.value(*row) != sample).unwrap_or(shards.num_rows());
            let sample_tokens: usize = examples[start..end].iter().map(|example| example.input_ids.len()).sum();
            let mut prefix = RiskPrefix::new(self.temperature);
            for row in start..end {
                let steps = indices.value(row);
                let steps = steps
                    .as_primitive_opt::<Int32Type>()
                    .ok_or_else(|| broken("step_indices holds no integers".to_owned()))?;
                for ((score, step), position) in
                    scores[row].iter().zip(steps.values()).zip(&examples[row].step_positions)
                {
                    rows.push(&[
                        Cell::Text(Some(self.model_id)),
                        Cell::Text(Some(sample)),
                        Cell::Int(Some(i64::from(*step))),
                        Cell::Float(Some(score.p_secure)),
                        Cell::Float(Some(score.reward)),
                        Cell::Float(Some(prefix.push(score.reward))),
                        Cell::Int(Some(i64::from(*position) + 1)),
                        Cell::Int(Some(sample_tokens as i64)),
                        Cell::Text(Some(datasets.value(row))),
                        Cell::Int(Some(i64::from(slices.value(row)))),
                    ]);
                }
            }
            start = end;
        }
        Ok(rows.finish()?)
    }
}

fn strings<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch arrow::array::StringArray> {
    let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| broken(format!("the column {name} is missing or no text")))
}

fn broken(message: String) -> StageError {
    StageError::Table { table: "train_shards".to_owned(), message }
}
