//! Scoring: step rewards of sequences, forward only.

use candle_core::DType;
use rayon::prelude::*;

use crate::batch::PackedBatch;
use crate::error::{ModelError, Result};
use crate::qwen2::StepModel;
use crate::rewards::{p_secure, step_reward};

/// Holds one step's verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepScore {
    /// Probability of being secure, in [0, 1].
    pub p_secure: f64,
    /// Step reward r (equation 1), in [−1, 1].
    pub reward: f64,
}

/// Scores one sequence at its step positions; no position gives no score.
///
/// # Errors
/// An id or position is out of range, or the model gives numbers that are not finite.
pub fn score_sequence(model: &StepModel, input_ids: &[u32], step_positions: &[u32]) -> Result<Vec<StepScore>> {
    if step_positions.is_empty() {
        return Ok(Vec::new());
    }
    let logits = model.forward_batch(&PackedBatch::of(input_ids, step_positions)?, None)?;
    let rows = logits.to_dtype(DType::F32)?.to_vec2::<f32>()?;
    let score = |row: &Vec<f32>| match row.as_slice() {
        [vulnerable, secure] if vulnerable.is_finite() && secure.is_finite() => {
            let reward = step_reward([f64::from(*vulnerable), f64::from(*secure)]);
            let p_secure = p_secure(reward);
            Ok(StepScore { p_secure, reward })
        }
        _ => Err(ModelError::Numeric(format!("the model gives {row:?} as logits, its weights are broken"))),
    };
    rows.iter().map(score).collect()
}

/// Scores sequences, given as ids and step positions, on a CPU in parallel; results in the order given.
///
/// Each sequence is computed by itself, so that its scores do not depend on the others.
///
/// # Errors
/// The first sequence that fails, as [`score_sequence`].
pub fn score_sequences<I, P>(model: &StepModel, sequences: &[(I, P)]) -> Result<Vec<Vec<StepScore>>>
where
    I: AsRef<[u32]> + Sync,
    P: AsRef<[u32]> + Sync,
{
    let score = |(input_ids, positions): &(I, P)| score_sequence(model, input_ids.as_ref(), positions.as_ref());
    // A GPU computes one after the other by itself.
    if !model.device().is_cpu() {
        return sequences.iter().map(score).collect();
    }
    sequences.par_iter().with_max_len(1).map(score).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::Qwen2Config;

    #[test]
    fn scores_of_many_equal_scores_of_one() {
        let model = StepModel::random(Qwen2Config::small(300), 1).unwrap();
        let sequences: Vec<(Vec<u32>, Vec<u32>)> =
            (1..9u32).map(|n| ((0..n * 20).map(|i| i * n % 300).collect(), vec![n, n * 20 - 1])).collect();
        let many = score_sequences(&model, &sequences).unwrap();
        for ((ids, positions), scores) in sequences.iter().zip(&many) {
            assert_eq!(&score_sequence(&model, ids, positions).unwrap(), scores);
            for score in scores {
                assert!((0.0..=1.0).contains(&score.p_secure));
                assert!((2.0 * score.p_secure - 1.0 - score.reward).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_sequence_without_steps_has_no_scores() {
        let model = StepModel::random(Qwen2Config::small(300), 1).unwrap();
        assert!(score_sequence(&model, &[1, 2], &[]).unwrap().is_empty());
    }

    #[test]
    fn broken_weights_are_an_error_not_a_score() {
        let model = StepModel::random(Qwen2Config::small(300), 1).unwrap();
        let norm = &model.parameters()["model.norm.weight"];
        norm.set(&(norm.as_tensor() * f64::NAN).unwrap()).unwrap();
        assert!(score_sequence(&model, &[1, 2], &[1]).unwrap_err().to_string().contains("broken"));
    }
}
