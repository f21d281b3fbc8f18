//! Activation checkpointing changes memory, not gradients.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device};

use super::*;
use crate::config::Qwen2Config;

fn batch(lengths: &[u32]) -> (PackedBatch, Vec<u8>) {
    let (mut batch, mut labels) = (PackedBatch::new(), Vec::new());
    for (index, length) in lengths.iter().enumerate() {
        let ids: Vec<u32> = (0..*length).map(|at| (at * at + at * 7 + index as u32 * 13) % 300).collect();
        let positions: Vec<u32> = (0..*length).filter(|at| at % 9 == 8).collect();
        labels.extend(positions.iter().map(|at| (at % 2) as u8));
        batch.push(&ids, &positions).unwrap();
    }
    (batch, labels)
}

fn gradients(model: &StepModel, lengths: &[u32], checkpointing: bool) -> (f64, Vec<(String, Tensor)>) {
    let (batch, labels) = batch(lengths);
    let target = Target { labels: &labels, class_weights: [1.5, 0.75], normaliser: labels.len() as f64 };
    let mut found = Vec::new();
    let mut sink = |name: &str, gradient: Tensor| {
        found.push((name.to_owned(), gradient));
        Ok(())
    };
    let loss = model.training_pass(&batch, target, TrainedParameters::All, checkpointing, &mut sink).unwrap();
    (loss, found)
}

#[test]
fn checkpointing_gives_the_same_gradients_in_the_same_order() {
    let config = Qwen2Config { num_hidden_layers: 3, initializer_range: 0.1, ..Qwen2Config::small(300) };
    let model = StepModel::random(config, 4).unwrap();
    // The MLP of the long sequence runs in two blocks of rows.
    let lengths = [70, 9, MLP_ROWS as u32 + 50];
    let (loss, whole) = gradients(&model, &lengths, false);
    let (again, recomputed) = gradients(&model, &lengths, true);
    assert!((loss - again).abs() < 1e-6, "{loss} and {again}");
    assert_eq!(whole.len(), model.parameters().len());
    for ((name, expected), (other, found)) in whole.iter().zip(&recomputed) {
        assert_eq!(name, other);
        let norm = |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let difference = norm(&(expected - found).unwrap());
        assert!(difference <= 2e-5 * norm(expected), "{name}: {difference} of {}", norm(expected));
    }
}

#[test]
fn gradients_are_those_of_the_recorded_graph() {
    let window = Some(crate::config::SlidingWindow { tokens: 20, layers: vec![1, 2] });
    for (window, dtype, tolerance) in [(None, DType::F32, 2e-6), (window, DType::F32, 2e-6), (None, DType::BF16, 2e-2)]
    {
        let config = Qwen2Config { num_hidden_layers: 3, initializer_range: 0.1, ..Qwen2Config::small(300) };
        let config = Qwen2Config { sliding_window: window, ..config };
        let model = StepModel::random_on(config, 4, dtype, &Device::Cpu).unwrap();
        let lengths = [70, 9, 41];
        let (loss, found) = gradients(&model, &lengths, false);
        let (batch, labels) = batch(&lengths);
        let target = Target { labels: &labels, class_weights: [1.5, 0.75], normaliser: labels.len() as f64 };
        let logits = model.forward_batch(&batch, Some(TrainedParameters::All)).unwrap();
        let (recorded, value) = target.loss(&logits).unwrap();
        let store = recorded.backward().unwrap();
        assert!((loss - value).abs() < 1e-6, "{loss} and {value}");
        assert_eq!(found.len(), model.parameters().len());
        for (name, found) in &found {
            let expected = store.get(&model.parameters()[name]).unwrap();
            let precise = |tensor: &Tensor| tensor.to_dtype(DType::F32).unwrap();
            let norm = |tensor: &Tensor| tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            let (expected, found) = (precise(expected), precise(found));
            let difference = norm(&(&expected - found).unwrap());
            assert!(difference <= tolerance * norm(&expected), "{name}: {difference} of {}", norm(&expected));
        }
    }
}

#[test]
fn gradients_are_finished_from_the_head_to_the_embedding() {
    let model = StepModel::random(Qwen2Config::small(300), 1).unwrap();
    let groups = model.gradient_groups(TrainedParameters::All);
    assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [3, 12, 12, 1]);
    assert_eq!(groups[0], ["model.norm.weight", "score.bias", "score.weight"]);
    assert!(groups[1][0].starts_with("model.layers.1."));
    assert_eq!(groups[3], [EMBEDDING]);
    assert_eq!(model.gradient_groups(TrainedParameters::Head), [["score.bias", "score.weight"]]);
}
