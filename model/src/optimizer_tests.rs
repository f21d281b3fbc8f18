//! AdamW against its formula, alone and among ranks.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::collective::OneRank;
use crate::collective::threads::with_ranks;
use crate::config::Qwen2Config;
use crate::train_config::TrainedParameters;
use crate::zero::ShardedGradients;

const CONFIG: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 };

fn model() -> StepModel {
    StepModel::random(Qwen2Config { num_hidden_layers: 1, ..Qwen2Config::small(300) }, 3).unwrap()
}

fn gradient_at(step: i32, at: usize) -> f32 {
    (0.3 + (at % 11) as f32 * 0.1 - (at % 7) as f32 * 0.2) * (1.0 + 0.5 * (step as f32).sin())
}

/// The model's parameters after so many steps, as bits; each of several ranks contributes an equal part of the gradient.
fn trained(steps: i32, collective: &dyn Collective) -> Vec<f32> {
    let model = model();
    let layout = Layout::new(&model, TrainedParameters::All, collective);
    let mut optimizer = AdamW::new(CONFIG, layout.clone(), &model).unwrap();
    for step in 1..=steps {
        let mut gradients = ShardedGradients::new(&layout, &model, collective);
        for member in layout.groups().iter().flat_map(|group| &group.members) {
            let share = 1.0 / collective.ranks() as f32;
            let numbers = (0..member.shape.elem_count()).map(|at| gradient_at(step, at) * share).collect::<Vec<_>>();
            gradients
                .take(&member.name, Tensor::from_vec(numbers, member.shape.clone(), model.device()).unwrap())
                .unwrap();
        }
        optimizer.step(&model, &gradients.finish().unwrap(), 0.5, 1e-2 / f64::from(step), collective).unwrap();
    }
    assert_eq!(optimizer.steps(), steps as u64);
    model.parameters().values().flat_map(|p| p.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

#[test]
fn twenty_steps_equal_the_formula_in_double_precision() {
    let (mut expected, mut at) = (Vec::new(), Vec::new());
    for parameter in model().parameters().values() {
        let numbers = parameter.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        at.extend(0..numbers.len());
        expected.extend(numbers.into_iter().map(f64::from));
    }
    let mut moments = vec![[0.0f64; 2]; expected.len()];
    for step in 1..=20 {
        let rate = 1e-2 / f64::from(step);
        for ((value, [m, v]), at) in expected.iter_mut().zip(&mut moments).zip(&at) {
            let g = 0.5 * f64::from(gradient_at(step, *at));
            *value -= rate * 0.1 * *value;
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.95 * *v + 0.05 * g * g;
            let (m_hat, v_hat) = (*m / (1.0 - 0.9f64.powi(step)), *v / (1.0 - 0.95f64.powi(step)));
            *value -= rate * m_hat / (v_hat.sqrt() + 1e-8);
        }
    }
    for (found, expected) in trained(20, &OneRank).iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} instead of {expected}");
    }
}

#[test]
fn the_composed_update_equals_the_native_one() {
    let numbers = |at: usize| (0..3000).map(|i| ((i * 7 + at) % 100) as f32 * 0.01).collect::<Vec<_>>();
    let gradient = Tensor::from_vec(numbers(3)[..1000].to_vec(), 1000, &candle_core::Device::Cpu).unwrap();
    let mut state = Tensor::from_vec(numbers(0), (3, 1000), &candle_core::Device::Cpu).unwrap();
    let update = Update::new(CONFIG, 3, 0.7, 1e-2);
    let composed = update.composed(&state, &gradient).unwrap().to_vec2::<f32>().unwrap();
    update.apply(&mut state, &gradient).unwrap();
    for (left, right) in state.to_vec2::<f32>().unwrap().iter().flatten().zip(composed.iter().flatten()) {
        assert!((left - right).abs() < 1e-6, "{left} and {right}");
    }
}

#[test]
fn ranks_that_share_the_state_train_the_same_model_as_one() {
    let alone = trained(4, &OneRank);
    for ranks in [2, 3] {
        for of_rank in with_ranks(ranks, |rank| trained(4, rank)) {
            for (left, right) in alone.iter().zip(&of_rank) {
                assert!((left - right).abs() < 1e-5, "{left} and {right} with {ranks} ranks");
            }
        }
    }
}

#[test]
fn the_norm_is_that_of_all_ranks_together_and_clipping_limits_it() {
    let norms = with_ranks(2, |rank| {
        let own = Tensor::new(&[[3.0f32], [4.0]][rank.rank()], &candle_core::Device::Cpu).unwrap();
        global_norm(&[own], rank).unwrap()
    });
    assert_eq!(norms, [5.0, 5.0]);
    assert_eq!((clip_scale(5.0, 1.0), clip_scale(5.0, 10.0)), (0.2, 1.0));
}

#[test]
fn gradients_of_other_parameters_are_refused() {
    let model = model();
    let head = Layout::new(&model, TrainedParameters::Head, &OneRank);
    let mut optimizer = AdamW::new(CONFIG, head, &model).unwrap();
    let gradient = Tensor::zeros(5, DType::F32, model.device()).unwrap();
    assert!(optimizer.step(&model, &[gradient], 1.0, 0.1, &OneRank).is_err());
}
