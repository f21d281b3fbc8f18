//! Round trips, and what a damaged checkpoint says.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use candle_core::Tensor;

use super::*;

fn tokenizer() -> StepTokenizer {
    StepTokenizer::train(["int main(void) { return 0; }"].iter(), 260).unwrap()
}

fn model() -> StepModel {
    let config = Qwen2Config {
        hidden_size: 16,
        intermediate_size: 24,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 8,
        ..Qwen2Config::small(300)
    };
    StepModel::random(config, 5).unwrap()
}

fn files() -> CheckpointFiles {
    CheckpointFiles::from_model(&model(), &tokenizer()).unwrap()
}

fn logits(model: &StepModel) -> Vec<Vec<f32>> {
    model.forward(&[1, 299, 7, 30, 2], &[1, 4]).unwrap().to_vec2().unwrap()
}

/// The weights file with its tensors changed.
fn weights(change: impl Fn(&mut BTreeMap<String, Tensor>)) -> Vec<u8> {
    let mut tensors: BTreeMap<String, Tensor> =
        model().parameters().iter().map(|(name, value)| (name.clone(), value.as_detached_tensor())).collect();
    change(&mut tensors);
    safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.clone(), tensor.clone())), None).unwrap()
}

fn replaced(name: &str, content: Vec<u8>) -> CheckpointFiles {
    let mut files = files().files;
    files.retain(|(file, _)| file != name);
    files.push((name.to_owned(), content));
    CheckpointFiles::new(files)
}

#[test]
fn a_round_trip_gives_equal_logits_tokenizer_and_identity() {
    let files = files();
    let loaded = files.load(HeadInit::Required).unwrap();
    assert_eq!(logits(&loaded.model), logits(&model()));
    assert_eq!(loaded.tokenizer.id(), tokenizer().id());
    assert_eq!(loaded.model_id.len(), 32);
    assert_eq!(CheckpointFiles::from_model(&loaded.model, &loaded.tokenizer).unwrap(), files);
}

#[test]
fn a_directory_is_replaced_as_a_whole() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("model");
    let files = files();
    files.write_dir(&directory).unwrap();
    std::fs::write(directory.join("notes.txt"), "mine").unwrap();
    let read = CheckpointFiles::read_dir(&directory).unwrap();
    assert_eq!(read.files.len(), 3);
    assert_eq!(read.model_id(), files.model_id());
    assert_eq!(logits(&read.load(HeadInit::Required).unwrap().model), logits(&model()));
    files.write_dir(&directory).unwrap();
    assert!(!directory.join("notes.txt").exists());
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn sharded_weights_load_through_their_index() {
    let head = weights(|tensors| tensors.retain(|name, _| name.starts_with("score.")));
    let backbone = weights(|tensors| tensors.retain(|name, _| !name.starts_with("score.")));
    let model = model();
    let parameters = model.parameters().keys().map(|name| {
        let file = if name.starts_with("score.") { "model-2.safetensors" } else { "model-1.safetensors" };
        (name.clone(), serde_json::Value::from(file))
    });
    let index = serde_json::json!({"metadata": {}, "weight_map": parameters.collect::<serde_json::Map<_, _>>()});
    let mut all = files().files;
    all.retain(|(file, _)| file != WEIGHTS_FILE);
    all.push(("model-1.safetensors".to_owned(), backbone));
    all.push(("model-2.safetensors".to_owned(), head));
    all.push((INDEX_FILE.to_owned(), index.to_string().into_bytes()));
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("sharded");
    CheckpointFiles::new(all).write_dir(&directory).unwrap();
    let loaded = CheckpointFiles::read_dir(&directory).unwrap().load(HeadInit::Required).unwrap();
    assert_eq!(logits(&loaded.model), logits(&model));
}

#[test]
fn half_precision_is_read_as_single() {
    let rounded = |dtype: DType| {
        let content = weights(|tensors| {
            for tensor in tensors.values_mut() {
                *tensor = tensor.to_dtype(dtype).unwrap();
            }
        });
        replaced(WEIGHTS_FILE, content).load(HeadInit::Required).unwrap()
    };
    for dtype in [DType::BF16, DType::F16] {
        let found = logits(&rounded(dtype).model);
        for (left, right) in found.iter().flatten().zip(logits(&model()).iter().flatten()) {
            assert!((left - right).abs() < 1e-2, "{dtype:?}: {left} instead of {right}");
        }
    }
}

#[test]
fn a_pretrained_backbone_gets_a_random_head_when_asked() {
    let content = weights(|tensors| {
        tensors.retain(|name, _| !name.starts_with("score."));
        let head = Tensor::zeros((300, 16), DType::F32, &Device::Cpu).unwrap();
        tensors.insert("lm_head.weight".to_owned(), head);
    });
    let files = replaced(WEIGHTS_FILE, content);
    let error = files.load(HeadInit::Required).unwrap_err().to_string();
    assert!(error.contains("score.bias") && error.contains("missing"), "{error}");
    let first = files.load(HeadInit::RandomIfMissing(1)).unwrap();
    let second = files.load(HeadInit::RandomIfMissing(1)).unwrap();
    assert_eq!(logits(&first.model), logits(&second.model));
}

#[test]
fn damage_is_reported_by_name() {
    let norm = "model.norm.weight";
    let tensor = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let broken = |content: Vec<u8>| replaced(WEIGHTS_FILE, content).load(HeadInit::Required).unwrap_err().to_string();
    let missing = broken(weights(|tensors| drop(tensors.remove(norm))));
    assert!(missing.contains(norm) && missing.contains("[16]"), "{missing}");
    let misshapen = broken(weights(|tensors| drop(tensors.insert(norm.to_owned(), tensor(&[17])))));
    assert!(misshapen.contains(norm) && misshapen.contains("[17]") && misshapen.contains("[16]"), "{misshapen}");
    let extra = broken(weights(|tensors| drop(tensors.insert("model.extra".to_owned(), tensor(&[1])))));
    assert!(extra.contains("model.extra"), "{extra}");
    let integers = broken(weights(|tensors| {
        tensors.insert(norm.to_owned(), Tensor::zeros(16, DType::U32, &Device::Cpu).unwrap());
    }));
    assert!(integers.contains("U32"), "{integers}");
    assert!(broken(b"not safetensors".to_vec()).contains(WEIGHTS_FILE));
    let no_config = CheckpointFiles::new(vec![]).load(HeadInit::Required).unwrap_err().to_string();
    assert!(no_config.contains(CONFIG_FILE), "{no_config}");
    let directory = CheckpointFiles::read_dir(Path::new("no-such-folder")).unwrap_err().to_string();
    assert!(directory.contains("no-such-folder"), "{directory}");
    let index = br#"{"weight_map": {"a": "../secret.safetensors"}}"#;
    assert!(CheckpointFiles::weight_files(Some(index)).unwrap_err().to_string().contains("not in its folder"));
}

#[test]
fn a_tokenizer_with_more_ids_than_rows_is_refused() {
    let words = (0..200).map(|n| format!("{n:b} {n:b}").replace('0', "ab").replace('1', "c"));
    let big = StepTokenizer::train(words, 340).unwrap();
    assert!(big.vocab_size() > 300);
    let error = CheckpointFiles::from_model(&model(), &big).unwrap_err().to_string();
    assert!(error.contains("do not belong together"), "{error}");
}
