//! The learning rate as a function of the step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Names how the learning rate changes after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays.
    #[default]
    Constant,
    /// Falls in a line to 0 at the last step's end.
    Linear,
    /// Falls along half a cosine to 0 at the last step's end.
    Cosine,
}

impl Schedule {
    /// Computes the factor in [0, 1] of the peak rate for `step` (from 0) of `total_steps`.
    ///
    /// During the `warmup_steps` it rises in a line, with the first step at 1 / `warmup_steps`.
    pub fn factor(self, step: u64, total_steps: u64, warmup_steps: u64) -> f64 {
        if step < warmup_steps {
            return (step + 1) as f64 / warmup_steps as f64;
        }
        let span = total_steps.saturating_sub(warmup_steps).max(1) as f64;
        let progress = ((step - warmup_steps) as f64 / span).min(1.0);
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - progress,
            Self::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_in_a_line_to_the_peak() {
        let factors: Vec<f64> = (0..5).map(|step| Schedule::Constant.factor(step, 10, 4)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn linear_and_cosine_start_at_one_and_fall_towards_zero() {
        for schedule in [Schedule::Linear, Schedule::Cosine] {
            let factors: Vec<f64> = (2..=12).map(|step| schedule.factor(step, 12, 2)).collect();
            assert!(factors[0] == 1.0 && factors[10].abs() < 1e-12, "{factors:?}");
            assert!((factors[5] - 0.5).abs() < 1e-12);
            assert!(factors.windows(2).all(|pair| pair[1] < pair[0]));
        }
    }

    #[test]
    fn no_steps_and_steps_past_the_end_stay_finite() {
        assert_eq!(Schedule::Cosine.factor(0, 0, 0), 1.0);
        assert!(Schedule::Linear.factor(99, 10, 0).abs() < 1e-12);
    }
}
