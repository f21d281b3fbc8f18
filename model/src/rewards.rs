//! Step rewards and their aggregation into one reward per sample (FORMULAS.md, "Rewards"; equations 1, 2 and 5 to 11).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// Temperature of risk aggregation where none is given.
pub const DEFAULT_TEMPERATURE: f64 = 0.1;

/// Names a way to turn the rewards of all steps into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Equation 2: mean weighted by softmax(−r / τ), so that low rewards dominate.
    #[default]
    Risk,
    /// Equation 5: min of w r with w = softmax(+r / τ).
    SoftmaxMin,
    /// Equation 6: the last step's reward.
    Last,
    /// Equation 7: the lowest reward.
    Min,
    /// Equation 8: 1 if no reward is negative, else 0.
    Binary,
    /// Equation 9: the mean.
    Average,
    /// Equation 10: sum of w r with w = softmax(+r / τ).
    SoftmaxAverage,
    /// Equation 11: 1 if equation 10 is not negative, else 0.
    SoftmaxBinary,
}

impl Aggregation {
    /// Every aggregation with its name in configurations and tables.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Risk, "risk"),
        (Self::SoftmaxMin, "softmax_min"),
        (Self::Last, "last"),
        (Self::Min, "min"),
        (Self::Binary, "binary"),
        (Self::Average, "average"),
        (Self::SoftmaxAverage, "softmax_average"),
        (Self::SoftmaxBinary, "softmax_binary"),
    ];

    /// Returns the name in configurations and tables.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(aggregation, _)| *aggregation == self);
        found.map_or("", |(_, name)| *name)
    }

    /// Aggregates the step rewards of one sample; `None` for an empty sample.
    ///
    /// `temperature` (τ > 0) matters where a softmax takes part. The binary forms give 0 or 1, all others a value in
    /// [−1, 1].
    pub fn apply(self, rewards: &[f64], temperature: f64) -> Option<f64> {
        if rewards.is_empty() {
            return None;
        }
        let lowest = || rewards.iter().copied().fold(f64::INFINITY, f64::min);
        let softmax_average = || {
            let weights = softmax(rewards, 1.0 / temperature);
            weights.iter().zip(rewards).map(|(weight, reward)| weight * reward).sum()
        };
        let not_negative = |value: f64| if value >= 0.0 { 1.0 } else { 0.0 };
        Some(match self {
            Self::Risk => risk(rewards, temperature)?,
            Self::SoftmaxMin => {
                let weights = softmax(rewards, 1.0 / temperature);
                let products = weights.iter().zip(rewards).map(|(weight, reward)| weight * reward);
                products.fold(f64::INFINITY, f64::min)
            }
            Self::Last => *rewards.last()?,
            Self::Min => lowest(),
            Self::Binary => not_negative(lowest()),
            Self::Average => rewards.iter().sum::<f64>() / rewards.len() as f64,
            Self::SoftmaxAverage => softmax_average(),
            Self::SoftmaxBinary => not_negative(softmax_average()),
        })
    }

    /// Returns the probability of being secure that an aggregate stands for.
    ///
    /// The binary forms (8) and (11) are the prediction itself: 0 and 1 stay what they are.
    pub fn p_secure(self, reward: f64) -> f64 {
        match self {
            Self::Binary | Self::SoftmaxBinary => reward,
            _ => p_secure(reward),
        }
    }

    /// Tells whether an aggregate calls the sample vulnerable.
    pub fn is_vulnerable(self, reward: f64, tie: Tie) -> bool {
        match self {
            Self::Binary | Self::SoftmaxBinary => reward < 0.5,
            _ => is_vulnerable(reward, tie),
        }
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Aggregation {
    type Err = ModelError;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        found.map(|(aggregation, _)| *aggregation).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            ModelError::config("aggregation", format!("\"{text}\" is unknown, use one of {}", names.join(", ")))
        })
    }
}

/// Decides what a reward of exactly 0 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tie {
    /// A reward of 0 is secure: p_secure < 0.5 is needed to call a sample vulnerable.
    #[default]
    Secure,
    /// A reward of 0 is vulnerable, as in the authors' scripts.
    Vulnerable,
}

/// Computes r = `softmax(h)[1] − softmax(h)[0]` of the two logits [vulnerable, secure] (equation 1), in [−1, 1].
pub fn step_reward(logits: [f64; 2]) -> f64 {
    // softmax of two: the difference of both probabilities is tanh of half the difference of the logits.
    ((logits[1] - logits[0]) / 2.0).tanh()
}

/// Computes the probability of the class secure, `softmax(h)[1]`.
pub fn step_p_secure(logits: [f64; 2]) -> f64 {
    p_secure(step_reward(logits))
}

/// Computes the probability of being secure that a reward in [−1, 1] stands for, (R + 1) / 2.
pub fn p_secure(reward: f64) -> f64 {
    (reward + 1.0) / 2.0
}

/// Tells whether a reward calls a step or sample vulnerable: R < 0, or R ≤ 0 with [`Tie::Vulnerable`].
pub fn is_vulnerable(reward: f64, tie: Tie) -> bool {
    match tie {
        Tie::Secure => reward < 0.0,
        Tie::Vulnerable => reward <= 0.0,
    }
}

/// Computes the risk aggregate R = Σ w_i r_i with w = softmax(−r / τ) (equation 2); `None` for an empty sample.
pub fn risk(rewards: &[f64], temperature: f64) -> Option<f64> {
    let mut prefix = RiskPrefix::new(temperature);
    rewards.iter().map(|reward| prefix.push(*reward)).last()
}

/// Computes the prefix rewards: entry t is the risk aggregate over steps 1..=t. Linear in the number of steps.
pub fn risk_prefixes(rewards: &[f64], temperature: f64) -> Vec<f64> {
    let mut prefix = RiskPrefix::new(temperature);
    rewards.iter().map(|reward| prefix.push(*reward)).collect()
}

/// Accumulates a risk aggregate step by step.
///
/// The running maximum of −r / τ is factored out of both sums, so that no temperature overflows.
#[derive(Debug, Clone)]
pub struct RiskPrefix {
    temperature: f64,
    maximum: f64,
    weight: f64,
    weighted: f64,
}

impl RiskPrefix {
    /// Starts with no step.
    pub fn new(temperature: f64) -> Self {
        Self { temperature, maximum: f64::NEG_INFINITY, weight: 0.0, weighted: 0.0 }
    }

    /// Adds one step's reward and returns the aggregate over all steps so far.
    pub fn push(&mut self, reward: f64) -> f64 {
        let exponent = -reward / self.temperature;
        if exponent > self.maximum {
            let scale = (self.maximum - exponent).exp();
            self.weight *= scale;
            self.weighted *= scale;
            self.maximum = exponent;
        }
        let weight = (exponent - self.maximum).exp();
        self.weight += weight;
        self.weighted += weight * reward;
        self.weighted / self.weight
    }
}

/// Computes the relative rewards r₁ of section B.2: each step's reward minus the mean over all steps of all candidates of
/// one task. Without any step the candidates are returned as they are.
pub fn advantages(candidates: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let steps: usize = candidates.iter().map(Vec::len).sum();
    let mean = candidates.iter().flatten().sum::<f64>() / steps.max(1) as f64;
    let shifted = |rewards: &Vec<f64>| rewards.iter().map(|reward| reward - mean).collect();
    candidates.iter().map(shifted).collect()
}

fn softmax(values: &[f64], factor: f64) -> Vec<f64> {
    let maximum = values.iter().map(|value| value * factor).fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = values.iter().map(|value| (value * factor - maximum).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}

#[cfg(test)]
#[path = "rewards_tests.rs"]
mod tests;
