//! The model as a whole: every parameter learns, and how sequences are batched does not matter.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::backward::Target;
use crate::config::SlidingWindow;

fn tiny() -> StepModel {
    let config = Qwen2Config {
        hidden_size: 24,
        intermediate_size: 40,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 6,
        initializer_range: 0.2,
        ..Qwen2Config::small(50)
    };
    StepModel::random(config, 3).unwrap()
}

fn ids(count: u32, seed: u32) -> Vec<u32> {
    (0..count).map(|index| (index * index + seed * 13 + index * 7) % 50).collect()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

/// Loss and gradients as training computes them.
fn gradients(model: &StepModel, ids: &[u32], positions: &[u32], labels: &[u8]) -> (f64, BTreeMap<String, Tensor>) {
    let target = Target { labels, class_weights: [1.5, 0.75], normaliser: 3.0 };
    model.gradients(&PackedBatch::of(ids, positions).unwrap(), target, TrainedParameters::All, false).unwrap()
}

#[test]
fn every_parameter_gets_a_finite_gradient_that_is_not_zero() {
    let model = tiny();
    let gradients = gradients(&model, &ids(90, 1), &[20, 55, 89], &[0, 1, 1]).1;
    assert_eq!(model.parameters().len(), 12 * 3 + 4);
    for (name, parameter) in model.parameters() {
        let gradient = gradients.get(name).unwrap_or_else(|| panic!("{name} has no gradient"));
        assert_eq!(gradient.dims(), parameter.dims(), "{name}");
        let values: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        assert!(values.iter().all(|value| value.is_finite()), "{name}");
        assert!(values.iter().any(|value| value.abs() > 1e-9), "{name} has gradient 0");
    }
}

#[test]
fn a_parameters_gradient_equals_a_difference_of_losses() {
    let model = tiny();
    let pass = || gradients(&model, &ids(40, 2), &[10, 39], &[0, 1]);
    let gradients = pass().1;
    for name in ["model.layers.0.self_attn.k_proj.weight", "model.layers.1.mlp.down_proj.weight", "model.norm.weight"] {
        let parameter = &model.parameters()[name];
        let before = parameter.as_tensor().copy().unwrap();
        let gradient = gradients[name].clone();
        // Along the gradient itself the change is largest, so that f32 resolves it.
        let norm = gradient.sqr().unwrap().sum_all().unwrap().sqrt().unwrap().to_scalar::<f32>().unwrap();
        let step = 1e-2 / norm;
        let at = |factor: f32| {
            let moved = (&before + (&gradient * f64::from(factor)).unwrap()).unwrap();
            parameter.set(&moved).unwrap();
            pass().0
        };
        let slope = (at(step) - at(-step)) / 0.02;
        parameter.set(&before).unwrap();
        assert!((slope - f64::from(norm)).abs() < 0.01 * f64::from(norm), "{name}: {slope} instead of {norm}");
    }
}

#[test]
fn a_batch_gives_what_each_sequence_gives_alone() {
    let model = tiny();
    let sequences = [(ids(70, 1), vec![69u32, 3]), (ids(1, 2), vec![0]), (ids(129, 3), vec![64, 128])];
    let mut batch = PackedBatch::new();
    let mut alone = Vec::new();
    for (input_ids, positions) in &sequences {
        batch.push(input_ids, positions).unwrap();
        alone.extend(rows(&model.forward(input_ids, positions).unwrap()));
    }
    let together = rows(&model.forward_batch(&batch, None).unwrap());
    assert_eq!(together.len(), alone.len());
    for (left, right) in together.iter().flatten().zip(alone.iter().flatten()) {
        assert!((left - right).abs() < 2e-5, "{left} instead of {right}");
    }
}

#[test]
fn logits_at_a_position_depend_on_the_prefix_alone() {
    let model = tiny();
    let whole = ids(100, 5);
    let mut other = whole.clone();
    other[60..].fill(9);
    let left = rows(&model.forward(&whole, &[59]).unwrap());
    let right = rows(&model.forward(&other, &[59]).unwrap());
    let short = rows(&model.forward(&whole[..60], &[59]).unwrap());
    assert_eq!(left, right);
    assert!((left[0][0] - short[0][0]).abs() < 1e-5);
    assert_ne!(left, rows(&model.forward(&other, &[99]).unwrap()));
}

#[test]
fn the_head_over_hidden_states_equals_the_whole_forward() {
    let model = tiny();
    let batch = PackedBatch::of(&ids(30, 1), &[5, 29]).unwrap();
    let direct = rows(&model.forward_batch(&batch, None).unwrap());
    assert_eq!(rows(&model.head(&model.hidden(&batch).unwrap()).unwrap()), direct);
}

#[test]
fn the_same_seed_draws_the_same_model_and_copies_are_independent() {
    let (first, second) = (tiny(), tiny());
    let copy = first.to(DType::F32, &Device::Cpu).unwrap();
    let name = "model.layers.0.mlp.up_proj.weight";
    assert_eq!(rows(&first.parameters()[name]), rows(&second.parameters()[name]));
    let zeros = copy.parameters()[name].zeros_like().unwrap();
    copy.parameters()[name].set(&zeros).unwrap();
    assert_eq!(rows(&first.parameters()[name]), rows(&second.parameters()[name]));
    assert_ne!(rows(&first.parameters()["model.layers.1.mlp.up_proj.weight"]), rows(&first.parameters()[name]));
}

#[test]
fn an_unknown_id_and_a_missing_position_are_refused() {
    let model = tiny();
    assert!(model.forward(&[50], &[0]).unwrap_err().to_string().contains("token id 50"));
    assert!(model.forward(&[1, 2], &[]).is_err());
}

#[test]
fn gradients_are_the_same_bits_for_any_number_of_threads() {
    let config =
        Qwen2Config { sliding_window: Some(SlidingWindow { tokens: 300, layers: vec![1] }), ..Qwen2Config::small(300) };
    let model = StepModel::random(config, 3).unwrap();
    let ids: Vec<u32> = (0..700).map(|i| i * 31 % 300).collect();
    let mut batch = PackedBatch::of(&ids, &[5, 699]).unwrap();
    batch.push(&ids[..130], &[129]).unwrap();
    let numbers = |threads: usize| -> Vec<Vec<f32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let logits = model.forward_batch(&batch, Some(TrainedParameters::All)).unwrap();
            let store = logits.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let gradients = model.parameters().values().map(|parameter| store.get(parameter.as_tensor()).unwrap());
            let all = std::iter::once(&logits).chain(gradients);
            all.map(|tensor| tensor.flatten_all().unwrap().to_vec1().unwrap()).collect()
        })
    };
    let one = numbers(1);
    for threads in [2, 3, 7] {
        assert!(numbers(threads) == one, "{threads} threads give other bits than one");
    }
}
