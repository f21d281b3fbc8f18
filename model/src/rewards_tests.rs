//! The laws of the rewards, on arbitrary samples and on numbers worked out by hand.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

/// Equation 2 as printed, without any care for overflow.
fn risk_as_printed(rewards: &[f64], temperature: f64) -> f64 {
    let weights: Vec<f64> = rewards.iter().map(|r| (-r / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().zip(rewards).map(|(w, r)| w / sum * r).sum()
}

#[test]
fn a_step_reward_is_the_difference_of_both_probabilities() {
    let (vulnerable, secure) = (0.3_f64, 1.4_f64);
    let expected = (secure.exp() - vulnerable.exp()) / (secure.exp() + vulnerable.exp());
    assert!(close(step_reward([vulnerable, secure]), expected));
    assert_eq!(step_reward([0.0, 0.0]), 0.0);
    assert_eq!(step_reward([0.0, 1e4]), 1.0);
    assert_eq!(step_reward([1e4, -1e4]), -1.0);
    assert!(close(step_p_secure([0.0, 3f64.ln()]), 0.75));
}

#[test]
fn numbers_worked_out_by_hand_come_out() {
    let rewards = [0.5, -0.5];
    let (low, high) = (1.0 / (1.0 + 1f64.exp()), 1f64.exp() / (1.0 + 1f64.exp()));
    let expected = [
        (Aggregation::Risk, 0.5 * low - 0.5 * high),
        (Aggregation::SoftmaxMin, -0.5 * low),
        (Aggregation::Last, -0.5),
        (Aggregation::Min, -0.5),
        (Aggregation::Binary, 0.0),
        (Aggregation::Average, 0.0),
        (Aggregation::SoftmaxAverage, 0.5 * high - 0.5 * low),
        (Aggregation::SoftmaxBinary, 1.0),
    ];
    for (aggregation, value) in expected {
        let found = aggregation.apply(&rewards, 1.0).unwrap();
        assert!(close(found, value), "{aggregation}: {found} instead of {value}");
    }
}

#[test]
fn an_empty_sample_has_no_reward() {
    for (aggregation, _) in Aggregation::ALL {
        assert_eq!(aggregation.apply(&[], 0.1), None);
    }
    assert!(risk_prefixes(&[], 0.1).is_empty());
}

#[test]
fn every_name_reads_back_and_an_unknown_one_lists_them() {
    for (aggregation, name) in Aggregation::ALL {
        assert_eq!(name.parse::<Aggregation>().unwrap(), aggregation);
        assert_eq!(serde_json::to_string(&aggregation).unwrap(), format!("\"{name}\""));
    }
    let error = "mean".parse::<Aggregation>().unwrap_err().to_string();
    assert!(error.contains("softmax_average"), "{error}");
}

#[test]
fn ties_follow_the_setting() {
    assert!(!is_vulnerable(0.0, Tie::Secure));
    assert!(is_vulnerable(0.0, Tie::Vulnerable));
    assert!(is_vulnerable(-1e-12, Tie::Secure));
    assert!(Aggregation::Binary.is_vulnerable(0.0, Tie::Secure));
    assert!(!Aggregation::SoftmaxBinary.is_vulnerable(1.0, Tie::Vulnerable));
}

#[test]
fn a_tiny_temperature_neither_overflows_nor_loses_the_minimum() {
    let rewards = [0.9, -0.7, 0.2, -0.1];
    assert!(close(risk(&rewards, 1e-6).unwrap(), -0.7));
    assert!(close(Aggregation::SoftmaxAverage.apply(&rewards, 1e-6).unwrap(), 0.9));
}

#[test]
fn advantages_of_a_task_sum_to_zero() {
    let shifted = advantages(&[vec![0.5, -0.25], vec![], vec![1.0]]);
    assert!(close(shifted.iter().flatten().sum(), 0.0));
    assert!(shifted[1].is_empty());
}

proptest! {
    #[test]
    fn risk_equals_the_printed_formula(rewards in prop::collection::vec(-1.0..=1.0f64, 1..60), temperature in 0.05..5.0f64) {
        prop_assert!(close(risk(&rewards, temperature).unwrap(), risk_as_printed(&rewards, temperature)));
    }

    #[test]
    fn each_prefix_equals_the_aggregate_over_it(rewards in prop::collection::vec(-1.0..=1.0f64, 1..40)) {
        let prefixes = risk_prefixes(&rewards, 0.1);
        prop_assert_eq!(prefixes.len(), rewards.len());
        for (index, prefix) in prefixes.iter().enumerate() {
            prop_assert!(close(*prefix, risk_as_printed(&rewards[..=index], 0.1)));
        }
    }

    #[test]
    fn risk_lies_between_the_minimum_and_the_mean(rewards in prop::collection::vec(-1.0..=1.0f64, 1..60), temperature in 0.01..10.0f64) {
        let value = risk(&rewards, temperature).unwrap();
        let lowest = Aggregation::Min.apply(&rewards, temperature).unwrap();
        let mean = Aggregation::Average.apply(&rewards, temperature).unwrap();
        prop_assert!(value >= lowest - 1e-9 && value <= mean + 1e-9);
    }

    #[test]
    fn all_but_the_last_ignore_the_order(rewards in prop::collection::vec(-1.0..=1.0f64, 1..40)) {
        let mut reversed = rewards.clone();
        reversed.reverse();
        for (aggregation, _) in Aggregation::ALL {
            if matches!(aggregation, Aggregation::Last | Aggregation::SoftmaxBinary) {
                continue;
            }
            let (left, right) = (aggregation.apply(&rewards, 0.1).unwrap(), aggregation.apply(&reversed, 0.1).unwrap());
            prop_assert!(close(left, right), "{} {} {}", aggregation, left, right);
        }
    }

    #[test]
    fn every_aggregate_stays_within_minus_one_and_one(rewards in prop::collection::vec(-1.0..=1.0f64, 1..40)) {
        for (aggregation, _) in Aggregation::ALL {
            let value = aggregation.apply(&rewards, 0.1).unwrap();
            prop_assert!((-1.0 - 1e-9..=1.0 + 1e-9).contains(&value));
            prop_assert!((-1e-9..=1.0 + 1e-9).contains(&aggregation.p_secure(value)));
        }
    }
}
