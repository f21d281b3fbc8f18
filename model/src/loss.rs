//! Weighted cross-entropy over supervised steps (equation 3 as meant, FORMULAS.md).
//!
//! L = −Σ_t w_{y_t} log P(y_t | prefix) / Σ_t w_{y_t}, where both sums run over all supervised positions of the global
//! batch. The sum above and the normaliser are apart here, so that accumulation and ranks can share one normaliser.

use candle_core::{D, Tensor};

use crate::blocks::accumulation;
use crate::error::{ModelError, Result};

/// Computes the class weights w_y = N / (2 N_y) from counts of [vulnerable, secure] labels.
///
/// A class without a label gets weight 1: no position uses it, and the present class then weighs 1/2, which the
/// normaliser cancels.
pub fn class_weights(counts: [u64; 2]) -> [f64; 2] {
    let total = (counts[0] + counts[1]) as f64;
    counts.map(|count| if count == 0 { 1.0 } else { total / (2.0 * count as f64) })
}

/// Sums the weights of labels, which is the normaliser of the loss.
pub fn weight_sum(labels: &[u8], weights: [f64; 2]) -> f64 {
    labels.iter().map(|label| weights[usize::from(*label != 0)]).sum()
}

/// Computes Σ w_y · (−log P(y)) / `normaliser` as a scalar tensor with gradient.
///
/// `logits` is `[positions, 2]`, `labels` holds 0 (vulnerable) or 1 (secure) for each.
///
/// # Errors
/// The lengths differ, there is no position, or the normaliser is not positive.
pub fn weighted_cross_entropy(logits: &Tensor, labels: &[u8], weights: [f64; 2], normaliser: f64) -> Result<Tensor> {
    let (positions, _) = logits.dims2()?;
    if positions != labels.len() || labels.is_empty() {
        let reason = format!("{positions} positions have logits, {} have labels", labels.len());
        return Err(ModelError::Input(reason));
    }
    if !normaliser.is_finite() || normaliser <= 0.0 {
        return Err(ModelError::Numeric(format!("the labels' weights sum to {normaliser}, not to a positive number")));
    }
    let logits = logits.to_dtype(accumulation(logits.dtype()))?;
    // One row per class with the weight at the label: picking and weighing in one product.
    let picked: Vec<f64> = labels
        .iter()
        .flat_map(|label| {
            let class = usize::from(*label != 0);
            let at = |index: usize| if index == class { weights[class] / normaliser } else { 0.0 };
            [at(0), at(1)]
        })
        .collect();
    let picked = Tensor::from_vec(picked, (positions, 2), logits.device())?.to_dtype(logits.dtype())?;
    let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(D::Minus1)?)?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_probability = shifted.broadcast_sub(&log_sum)?;
    Ok((log_probability * picked)?.sum_all()?.neg()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::{DType, Device};

    use super::*;
    use crate::blocks::test_support::{check_against_differences, normal};

    #[test]
    fn class_weights_balance_the_classes() {
        let weights = class_weights([10, 30]);
        assert_eq!(weights, [2.0, 40.0 / 60.0]);
        assert!((10.0 * weights[0] - 30.0 * weights[1]).abs() < 1e-12);
        assert_eq!(class_weights([0, 4]), [1.0, 0.5]);
        assert_eq!(class_weights([0, 0]), [1.0, 1.0]);
    }

    #[test]
    fn the_loss_equals_the_formula() {
        let logits = Tensor::new(&[[1.0f64, -1.0], [0.5, 2.0], [300.0, -300.0]], &Device::Cpu).unwrap();
        let (labels, weights) = ([0u8, 1, 0], [2.0, 0.5]);
        let log_p = |own: f64, other: f64| -(1.0 + (other - own).exp()).ln();
        let sum = 2.0 * log_p(1.0, -1.0) + 0.5 * log_p(2.0, 0.5) + 2.0 * log_p(300.0, -300.0);
        let normaliser = weight_sum(&labels, weights);
        assert_eq!(normaliser, 4.5);
        let loss = weighted_cross_entropy(&logits, &labels, weights, normaliser).unwrap();
        assert!((loss.to_scalar::<f64>().unwrap() + sum / 4.5).abs() < 1e-12);
    }

    #[test]
    fn gradients_equal_finite_differences() {
        check_against_differences(&[normal("logits", &[6, 2])], |t| {
            let loss = weighted_cross_entropy(&t[0], &[0, 1, 1, 0, 1, 1], [3.0, 0.7], 8.8);
            loss.map_err(|error| candle_core::Error::Msg(error.to_string()))
        });
    }

    #[test]
    fn lengths_that_differ_are_refused() {
        let logits = Tensor::zeros((2, 2), DType::F32, &Device::Cpu).unwrap();
        assert!(weighted_cross_entropy(&logits, &[1], [1.0, 1.0], 1.0).is_err());
        assert!(weighted_cross_entropy(&logits, &[1, 0], [1.0, 1.0], 0.0).is_err());
    }
}
