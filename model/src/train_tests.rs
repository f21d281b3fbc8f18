//! What training promises: it learns, it is reproducible, and what is unsupervised does not matter.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Qwen2Config;
use crate::schedule::Schedule;
use crate::{Example, MixedExamples};

pub(super) fn tiny() -> StepModel {
    let config = Qwen2Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        ..Qwen2Config::small(64)
    };
    StepModel::random(config, 9).unwrap()
}

/// Samples of three steps; the label of a step is 0 where it or an earlier step holds the token 13.
pub(super) fn samples(count: u32) -> Vec<Example> {
    (0..count)
        .map(|n| {
            let mut example = Example { key: format!("sample-{n}"), input_ids: vec![1, 2], ..Example::default() };
            let mut vulnerable = false;
            for step in 0..3u32 {
                let ids = (0..4 + n % 3).map(|i| 14 + (n * 31 + step * 17 + i * 7) % 40);
                example.input_ids.extend(ids);
                if n % 2 == 0 && step == n / 2 % 3 {
                    example.input_ids.push(13);
                    vulnerable = true;
                }
                example.input_ids.push(3);
                example.step_positions.push(example.input_ids.len() as u32 - 1);
                example.step_labels.push(u8::from(!vulnerable));
                example.step_supervised.push(true);
            }
            example
        })
        .collect()
}

pub(super) fn config(epochs: u64) -> TrainConfig {
    let mut config = TrainConfig::small();
    config.batch_size = 4;
    config.stages[0].epochs = 1;
    config.stages[1].epochs = epochs;
    config.stages[1].learning_rate = 5e-3;
    config
}

pub(super) fn mixed(examples: Vec<Example>) -> MixedExamples {
    MixedExamples::once(examples).unwrap()
}

/// A run of one rank from the beginning.
fn train(
    model: &StepModel,
    source: &MixedExamples,
    config: &TrainConfig,
    observer: &mut dyn TrainObserver,
) -> Result<TrainSummary> {
    Training::alone(model, source, config).run(None, observer)
}

fn quiet(_: &StepMetrics) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(super) fn bits(model: &StepModel) -> Vec<u32> {
    let numbers = |tensor: &candle_core::Var| {
        tensor.to_dtype(candle_core::DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    model.parameters().values().flat_map(numbers).map(f32::to_bits).collect()
}

#[test]
fn eight_samples_are_learnt_by_heart() {
    let model = tiny();
    let summary = train(&model, &mixed(samples(8)), &config(60), &mut quiet).unwrap();
    assert!((summary.first_loss.unwrap() - 2f64.ln()).abs() < 0.1, "{summary:?}");
    assert!(summary.last_epoch_loss.unwrap() < 0.02, "{summary:?}");
    assert_eq!(summary.steps, 2 + 120);
    assert!(summary.warnings.is_empty());
}

#[test]
fn half_precision_learns_too() {
    let model = tiny().to(candle_core::DType::BF16, &candle_core::Device::Cpu).unwrap();
    let summary = train(&model, &mixed(samples(8)), &config(60), &mut quiet).unwrap();
    assert!((summary.first_loss.unwrap() - 2f64.ln()).abs() < 0.1, "{summary:?}");
    assert!(summary.last_epoch_loss.unwrap() < 0.05, "{summary:?}");
}

#[test]
fn the_same_run_twice_gives_the_same_bits_whatever_the_order_of_examples() {
    let mut examples = samples(11);
    let first = tiny();
    train(&first, &mixed(examples.clone()), &config(2), &mut quiet).unwrap();
    let again = tiny();
    train(&again, &mixed(examples.clone()), &config(2), &mut quiet).unwrap();
    assert_eq!(bits(&first), bits(&again));
    examples.reverse();
    let reversed = tiny();
    train(&reversed, &mixed(examples.clone()), &config(2), &mut quiet).unwrap();
    assert_eq!(bits(&first), bits(&reversed));
    let mut other_seed = config(2);
    other_seed.seed = 1;
    let other = tiny();
    train(&other, &mixed(examples.clone()), &other_seed, &mut quiet).unwrap();
    assert_ne!(bits(&first), bits(&other));
}

fn repeated(repeats: &[u32]) -> MixedExamples {
    let mut mixed = MixedExamples::default();
    for (example, repeats) in samples(repeats.len() as u32).into_iter().zip(repeats) {
        mixed.push(example, *repeats).unwrap();
    }
    mixed
}

#[test]
fn an_epoch_sees_a_repeated_example_that_often_whatever_the_batch_size() {
    let mixed = repeated(&[40, 1, 3, 1]);
    let tokens: u64 = mixed.listed().iter().map(|one| u64::from(one.tokens) * u64::from(one.repeats)).sum();
    for batch_size in [1, 4, 7] {
        let mut config = config(1);
        config.batch_size = batch_size;
        config.stages.remove(0);
        let summary = train(&tiny(), &mixed, &config, &mut quiet).unwrap();
        assert_eq!(summary.steps, 45u64.div_ceil(batch_size as u64));
        assert_eq!(summary.tokens, tokens);
        assert_eq!(summary.label_counts.iter().sum::<u64>(), 3 * 45);
    }
}

#[test]
fn class_weights_are_counted_after_mixing() {
    let counts = |repeats: &[u32]| train(&tiny(), &repeated(repeats), &config(0), &mut quiet).unwrap();
    // The first example has three vulnerable steps and the second has none.
    let (once, mixed) = (counts(&[1, 1]), counts(&[1, 3]));
    assert_eq!((once.label_counts, once.class_weights), ([3, 3], [1.0, 1.0]));
    assert_eq!((mixed.label_counts, mixed.class_weights), ([3, 9], [2.0, 12.0 / 18.0]));
}

#[test]
fn a_mixture_gives_the_same_bits_whatever_the_order_of_examples() {
    let trained = |mixed: &MixedExamples| {
        let model = tiny();
        train(&model, mixed, &config(2), &mut quiet).unwrap();
        bits(&model)
    };
    let repeats = [1, 5, 2, 1, 3];
    let mut reversed = MixedExamples::default();
    for (example, repeats) in samples(5).into_iter().zip(repeats).rev() {
        reversed.push(example, repeats).unwrap();
    }
    assert_eq!(trained(&repeated(&repeats)), trained(&reversed));
    assert_ne!(trained(&repeated(&repeats)), trained(&repeated(&[1; 5])));
}

#[test]
fn an_unsupervised_step_has_no_influence_whatever_its_label() {
    let mut examples = samples(6);
    examples.iter_mut().for_each(|example| example.step_supervised[1] = false);
    let first = tiny();
    train(&first, &mixed(examples.clone()), &config(1), &mut quiet).unwrap();
    examples.iter_mut().for_each(|example| example.step_labels[1] ^= 1);
    let second = tiny();
    let summary = train(&second, &mixed(examples.clone()), &config(1), &mut quiet).unwrap();
    assert_eq!(bits(&first), bits(&second));
    assert_eq!(summary.label_counts.iter().sum::<u64>(), 12);
}

#[test]
fn accumulating_in_parts_equals_one_pass() {
    let examples = samples(8);
    let gradient_norms = |micro_batch_tokens: usize| {
        let mut config = config(1);
        config.batch_size = 8;
        config.micro_batch_tokens = micro_batch_tokens;
        let mut found = Vec::new();
        let mut observer = |metrics: &StepMetrics| {
            found.push((metrics.loss, metrics.grad_norm, metrics.tokens, metrics.supervised_steps));
            ControlFlow::Continue(())
        };
        train(&tiny(), &mixed(examples.clone()), &config, &mut observer).unwrap();
        found
    };
    for (left, right) in gradient_norms(1).iter().zip(gradient_norms(10_000)) {
        assert!((left.0 - right.0).abs() < 1e-5 && (left.1 - right.1).abs() < 1e-4 * (1.0 + right.1));
        assert_eq!((left.2, left.3), (right.2, right.3));
    }
}

#[test]
fn a_head_stage_changes_the_head_alone() {
    let mut config = config(0);
    config.stages[0].epochs = 3;
    let (before, model) = (tiny(), tiny());
    let summary = train(&model, &mixed(samples(6)), &config, &mut quiet).unwrap();
    for (name, parameter) in model.parameters() {
        let same = parameter.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            == before.parameters()[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(same, !name.starts_with("score."), "{name}");
    }
    assert_eq!(summary.steps, 6);
}

#[test]
fn the_schedule_and_step_limit_hold_and_the_observer_can_stop() {
    let mut config = config(3);
    config.stages.remove(0);
    config.stages[0].max_steps = Some(5);
    config.stages[0].warmup_steps = 2;
    config.stages[0].schedule = Schedule::Linear;
    config.stages[0].learning_rate = 1.0e-3;
    let mut rates = Vec::new();
    let mut observer = |metrics: &StepMetrics| {
        rates.push(metrics.learning_rate);
        ControlFlow::Continue(())
    };
    let summary = train(&tiny(), &mixed(samples(8)), &config, &mut observer).unwrap();
    assert_eq!((summary.steps, summary.stopped_early), (5, false));
    let expected = [0.5e-3, 1e-3, 1e-3, 1e-3 * 2.0 / 3.0, 1e-3 / 3.0];
    assert!(rates.iter().zip(expected).all(|(left, right)| (left - right).abs() < 1e-12), "{rates:?}");
    let mut stop =
        |metrics: &StepMetrics| if metrics.step == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let summary = train(&tiny(), &mixed(samples(8)), &config, &mut stop).unwrap();
    assert_eq!((summary.steps, summary.stopped_early), (2, true));
}

#[test]
fn numbers_that_are_not_finite_skip_steps_and_end_the_run_past_the_limit() {
    let model = tiny();
    let head = &model.parameters()["score.weight"];
    head.set(&(head.as_tensor() * f64::INFINITY).unwrap()).unwrap();
    let before = bits(&model);
    let mut config = config(30);
    config.max_skipped_steps = 3;
    let mut skipped = 0;
    let mut observer = |metrics: &StepMetrics| {
        skipped += u64::from(metrics.skipped);
        ControlFlow::Continue(())
    };
    let error = train(&model, &mixed(samples(8)), &config, &mut observer).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Numeric);
    assert_eq!(skipped, 3);
    assert_eq!(bits(&model), before);
}

#[test]
fn nothing_supervised_is_an_error_and_one_class_alone_a_warning() {
    let mut examples = samples(4);
    for example in &mut examples {
        example.step_labels.fill(1);
    }
    let summary = train(&tiny(), &mixed(examples.clone()), &config(1), &mut quiet).unwrap();
    assert!(summary.warnings[0].contains("vulnerable"), "{:?}", summary.warnings);
    for example in &mut examples {
        example.step_supervised.fill(false);
    }
    assert!(
        train(&tiny(), &mixed(examples.clone()), &config(1), &mut quiet)
            .unwrap_err()
            .to_string()
            .contains("nothing to learn")
    );
    let mut twice = samples(2);
    twice[1].key = twice[0].key.clone();
    assert!(train(&tiny(), &mixed(twice), &config(1), &mut quiet).unwrap_err().to_string().contains("sample-0"));
}

/// Counts what it hears.
#[derive(Default)]
struct Listener {
    evaluations: Vec<crate::Evaluation>,
    checkpoints: Vec<u64>,
}

impl TrainObserver for Listener {
    fn step(&mut self, _: &StepMetrics) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn evaluated(&mut self, evaluation: &crate::Evaluation) -> Result<()> {
        self.evaluations.push(*evaluation);
        Ok(())
    }

    fn checkpoint(&mut self, snapshot: Snapshot) -> Result<()> {
        self.checkpoints.push(snapshot.state.steps);
        Ok(())
    }
}

#[test]
fn evaluations_and_checkpoints_come_by_their_cadence_and_change_no_weight() {
    let (plain, heard) = (tiny(), tiny());
    let (source, held_out, config) = (mixed(samples(8)), mixed(samples(5)), config(3));
    train(&plain, &source, &config, &mut quiet).unwrap();
    let cadence = Cadence { checkpoint_every: Some(3), evaluate_every: Some(2) };
    let training = Training { held_out: Some(&held_out), cadence, ..Training::alone(&heard, &source, &config) };
    let mut listener = Listener::default();
    training.run(None, &mut listener).unwrap();
    assert_eq!(listener.checkpoints, [3, 6]);
    assert_eq!(listener.evaluations.len(), 4);
    assert!(listener.evaluations.iter().all(|one| one.steps == 15 && one.loss.is_finite()));
    assert_eq!(bits(&heard), bits(&plain));
}
