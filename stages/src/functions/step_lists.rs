//! `step_hashes`, `prefix_hashes` and `labels_without_evidence`: what quality tables and checks ask of a sample's lists.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, ListBuilder};
use arrow::datatypes::DataType;
use datafusion::common::exec_datafusion_err;
use datafusion::logical_expr::ScalarUDF;

use super::access::{Texts, int8, int64, list_of, lists, range_of};
use super::scalar::RowFunction;
use super::tokens::renamed;

/// `step_hashes(completions)`: the first 64 bits of BLAKE3 of each step's text; null for a step without text but white space.
pub fn step_hashes() -> ScalarUDF {
    of_steps("step_hashes", |_, text| (!text.trim().is_empty()).then(|| first_bits(&blake3::hash(text.as_bytes()))))
}

/// `prefix_hashes(completions)`: for each step 64 bits that stand for all steps up to it and itself, however the text is cut.
pub fn prefix_hashes() -> ScalarUDF {
    of_steps("prefix_hashes", |prefix, text| {
        prefix.update(text.as_bytes());
        Some(first_bits(&prefix.finalize()))
    })
}

fn first_bits(hash: &blake3::Hash) -> i64 {
    hash.as_bytes().first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// A list function over the texts of steps; the hasher is a sample's own.
fn of_steps(
    name: &'static str,
    hash: impl Fn(&mut blake3::Hasher, &str) -> Option<i64> + Send + Sync + 'static,
) -> ScalarUDF {
    RowFunction::udf(name, Some(1), list_of(DataType::Int64), move |arguments, rows| {
        let completions = lists(&arguments[0], "a sample's completions")?;
        let texts = Texts::of(completions.values(), "a sample's completions")?;
        let mut hashes = ListBuilder::new(Int64Builder::new());
        for row in 0..rows {
            let mut hasher = blake3::Hasher::new();
            for step in range_of(completions, row) {
                hashes.values().append_option(hash(&mut hasher, texts.get(step).unwrap_or("")));
            }
            hashes.append(completions.is_valid(row));
        }
        renamed(Arc::new(hashes.finish()))
    })
}

/// `labels_without_evidence(labels, evidence)`: how many of a sample's steps are labelled 0 without a reason, or 1 in spite of one.
pub fn labels_without_evidence() -> ScalarUDF {
    RowFunction::udf("labels_without_evidence", Some(2), DataType::Int64, |arguments, rows| {
        let label_lists = lists(&arguments[0], "labels_without_evidence's labels")?;
        let labels = int8(label_lists.values())?;
        let reason_lists = lists(&arguments[1], "labels_without_evidence's evidence")?;
        let reasons = reason_lists.values().as_struct_opt();
        let steps = reasons.and_then(|reasons| reasons.column_by_name("step_index"));
        let steps = int64(steps.ok_or_else(|| exec_datafusion_err!("evidence has no step_index"))?)?;
        let mut counts = Int64Builder::with_capacity(rows);
        for row in 0..rows {
            let explained: BTreeSet<i64> = range_of(reason_lists, row).map(|reason| steps.value(reason)).collect();
            let steps_and_labels = range_of(label_lists, row).zip(0..);
            let zeros = steps_and_labels.filter(|(label, _)| labels.value(*label) == 0).map(|(_, step)| step);
            let zeros: BTreeSet<i64> = zeros.collect();
            counts.append_value(zeros.symmetric_difference(&explained).count() as i64);
        }
        Ok(Arc::new(counts.finish()) as ArrayRef)
    })
}
