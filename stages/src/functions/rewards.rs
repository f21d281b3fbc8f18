//! `sequence_reward`, `p_secure` and `predict_secure`: from step rewards to a verdict (FORMULAS.md, "Rewards" and "Prediction").

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, Float64Builder, Int32Builder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;
use secprm_model::{Aggregation, Tie};

use super::access::{Texts, float64, lists, range_of};
use super::scalar::RowFunction;

/// `sequence_reward(rewards, aggregation, tau)`: the reward R of a sample from its step rewards in order; null without steps.
pub fn sequence_reward() -> ScalarUDF {
    RowFunction::udf("sequence_reward", Some(3), DataType::Float64, |arguments, rows| {
        let reward_lists = lists(&arguments[0], "sequence_reward's rewards")?;
        let rewards = float64(reward_lists.values())?;
        let names = Texts::of(&arguments[1], "sequence_reward's aggregation")?;
        let temperatures = float64(&arguments[2])?;
        let mut sequence_rewards = Float64Builder::with_capacity(rows);
        for row in 0..rows {
            let aggregation = aggregation_named(names.get(row))?;
            let temperature = temperatures.value(row);
            if temperatures.is_null(row) || temperature <= 0.0 {
                return exec_err!("sequence_reward's tau must be positive");
            }
            let here = &rewards.values()[range_of(reward_lists, row)];
            sequence_rewards.append_option(aggregation.apply(here, temperature));
        }
        Ok(Arc::new(sequence_rewards.finish()))
    })
}

/// `predict_secure(aggregation, reward, threshold, tie)`: 1 secure, 0 vulnerable; null for a null reward.
///
/// `threshold` is on p_secure = (R + 1) / 2; a sample exactly on it is called what `tie` says.
pub fn predict_secure() -> ScalarUDF {
    RowFunction::udf("predict_secure", Some(4), DataType::Int32, |arguments, rows| {
        let names = Texts::of(&arguments[0], "predict_secure's aggregation")?;
        let rewards = float64(&arguments[1])?;
        let thresholds = float64(&arguments[2])?;
        let ties = Texts::of(&arguments[3], "predict_secure's tie")?;
        let mut predictions = Int32Builder::with_capacity(rows);
        for row in 0..rows {
            let aggregation = aggregation_named(names.get(row))?;
            let tie = match ties.get(row) {
                Some("secure") => Tie::Secure,
                Some("vulnerable") => Tie::Vulnerable,
                _ => return exec_err!("predict_secure's tie is secure or vulnerable"),
            };
            if rewards.is_null(row) {
                predictions.append_null();
                continue;
            }
            // Moving the threshold to 0 lets the model's own rule for ties decide.
            let margin = aggregation.p_secure(rewards.value(row)) - thresholds.value(row);
            let vulnerable = match aggregation {
                // Their 0/1 outputs are the prediction.
                Aggregation::Binary | Aggregation::SoftmaxBinary => rewards.value(row) < 0.5,
                _ => secprm_model::rewards::is_vulnerable(margin, tie),
            };
            predictions.append_value(i32::from(!vulnerable));
        }
        Ok(Arc::new(predictions.finish()))
    })
}

/// `p_secure(aggregation, reward)`: the probability of being secure that a reward stands for; null for null.
pub fn p_secure() -> ScalarUDF {
    RowFunction::udf("p_secure", Some(2), DataType::Float64, |arguments, rows| {
        let names = Texts::of(&arguments[0], "p_secure's aggregation")?;
        let rewards = float64(&arguments[1])?;
        let mut probabilities = Float64Builder::with_capacity(rows);
        for row in 0..rows {
            let aggregation = aggregation_named(names.get(row))?;
            let reward = rewards.is_valid(row).then(|| rewards.value(row));
            probabilities.append_option(reward.map(|reward| aggregation.p_secure(reward)));
        }
        Ok(Arc::new(probabilities.finish()))
    })
}

fn aggregation_named(name: Option<&str>) -> Result<Aggregation> {
    match Aggregation::from_str(name.unwrap_or("")) {
        Ok(aggregation) => Ok(aggregation),
        Err(error) => exec_err!("{error}"),
    }
}
