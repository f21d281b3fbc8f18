//! `detection_metrics` and `count_zeros`: aggregates over what `array_agg` collected.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;

use super::access::{float64, int8, list_of, lists, range_of, struct_of};
use super::scalar::RowFunction;
use super::tokens::list_of_structs;
use crate::evaluate::{Verdict, detection_metrics as measure};

fn measure_fields() -> [(&'static str, DataType); 4] {
    [
        ("metric", DataType::Utf8),
        ("value", DataType::Float64),
        ("ci_low", DataType::Float64),
        ("ci_high", DataType::Float64),
    ]
}

/// `detection_metrics(labels, predictions, rewards)`: a list of structs `metric, value, ci_low, ci_high`; positive is vulnerable (0).
pub fn detection_metrics() -> ScalarUDF {
    let returns = list_of(struct_of(&measure_fields()));
    RowFunction::udf("detection_metrics", Some(3), returns, |arguments, rows| {
        let label_lists = lists(&arguments[0], "detection_metrics' labels")?;
        let prediction_lists = lists(&arguments[1], "detection_metrics' predictions")?;
        let reward_lists = lists(&arguments[2], "detection_metrics' rewards")?;
        let labels = int8(label_lists.values())?;
        let predictions = int8(prediction_lists.values())?;
        let rewards = float64(reward_lists.values())?;
        let (mut names, mut values) = (StringBuilder::new(), Float64Builder::new());
        let (mut lows, mut highs) = (Float64Builder::new(), Float64Builder::new());
        let mut lengths = Vec::with_capacity(rows);
        for row in 0..rows {
            let ranges = [range_of(label_lists, row), range_of(prediction_lists, row), range_of(reward_lists, row)];
            if ranges.iter().any(|range| range.len() != ranges[0].len()) {
                return exec_err!("detection_metrics needs as many labels as predictions and rewards");
            }
            let [label_range, prediction_range, reward_range] = ranges;
            let verdicts: Vec<Verdict> = label_range
                .zip(prediction_range)
                .zip(reward_range)
                .map(|((label, prediction), reward)| Verdict {
                    vulnerable: labels.value(label) == 0,
                    called_vulnerable: predictions.value(prediction) == 0,
                    reward: rewards.value(reward),
                })
                .collect();
            let measures = measure(&verdicts);
            for measured in &measures {
                names.append_value(measured.name);
                values.append_option(measured.value);
                lows.append_option(measured.low);
                highs.append_option(measured.high);
            }
            lengths.push(measures.len());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(names.finish()),
            Arc::new(values.finish()),
            Arc::new(lows.finish()),
            Arc::new(highs.finish()),
        ];
        list_of_structs(&measure_fields(), columns, lengths)
    })
}

/// `count_zeros(labels)`: how many of a sample's labels are 0; null for null.
pub fn count_zeros() -> ScalarUDF {
    RowFunction::udf("count_zeros", Some(1), DataType::Int64, |arguments, rows| {
        let label_lists = lists(&arguments[0], "count_zeros' argument")?;
        let labels = int8(label_lists.values())?;
        let mut counts = Int64Builder::with_capacity(rows);
        for row in 0..rows {
            let zeros =
                range_of(label_lists, row).filter(|label| labels.is_valid(*label) && labels.value(*label) == 0).count();
            counts.append_option(label_lists.is_valid(row).then_some(zeros as i64));
        }
        Ok(Arc::new(counts.finish()))
    })
}
