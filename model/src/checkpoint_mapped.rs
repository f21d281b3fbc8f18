//! Checkpoints opened by mapping their files: the system pages bytes in as tensors are copied out of them, so that the
//! process never holds a file, and each tensor only in the dtype and on the device it is wanted.

use std::fs::File;
use std::path::Path;

use candle_core::{DType, Device};
use memmap2::Mmap;

use crate::checkpoint::{CONFIG_FILE, Checkpoint, HeadInit, TOKENIZER_FILE, model_id, require_room};
use crate::checkpoint_dir::{at, file_names};
use crate::checkpoint_tensors::CheckpointTensors;
use crate::config::Qwen2Config;
use crate::error::{ModelError, Result};
use crate::tokenizer::StepTokenizer;

impl Checkpoint {
    /// Opens a checkpoint's directory: its model on `device` in `dtype`, from one file of weights or several.
    ///
    /// Gives what [`crate::CheckpointFiles::load`] gives, with the same identity. The files must not be changed meanwhile, which
    /// [`crate::CheckpointFiles::write_dir`] never does.
    ///
    /// # Errors
    /// Names the file that can't be read, or the tensor that is missing, extra, misshapen or of another type.
    pub fn open(directory: &Path, device: &Device, dtype: DType, head: HeadInit) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::BF16 | DType::F16) {
            return Err(ModelError::Checkpoint(format!("a model in {dtype:?} can't be had, only F32, BF16 and F16")));
        }
        let files = mapped(directory)?;
        let text = |wanted: &str| {
            let file = files.iter().find(|(name, _)| name == wanted);
            let content = file.map(|(_, content)| content.as_ref()).unwrap_or_default();
            std::str::from_utf8(content).map_err(|_| ModelError::Checkpoint(format!("{wanted} is not UTF-8")))
        };
        let config = Qwen2Config::from_json(text(CONFIG_FILE)?)?;
        let tokenizer = StepTokenizer::from_json(text(TOKENIZER_FILE)?)?;
        require_room(&config, &tokenizer)?;
        let mut tensors = CheckpointTensors::new(config, device.clone(), dtype);
        for (name, content) in files.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
            tensors.read(name, content)?;
        }
        Ok(Self { model: tensors.into_model(head)?, tokenizer, model_id: id_of(&files) })
    }

    /// Returns the identity that [`Self::open`] would find, without loading a tensor.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn identify(directory: &Path) -> Result<String> {
        Ok(id_of(&mapped(directory)?))
    }
}

/// The files that a checkpoint's directory needs, by name.
fn mapped(directory: &Path) -> Result<Vec<(String, Mmap)>> {
    let names = file_names(directory)?.into_iter();
    names.map(|name| map(&directory.join(&name)).map(|content| (name, content))).collect()
}

fn id_of(files: &[(String, Mmap)]) -> String {
    model_id(files.iter().map(|(name, content)| (name.as_str(), content.as_ref())))
}

/// Maps a file for reading.
// The one unsafe call of this crate: reading a file as memory is only sound while nobody truncates or rewrites it.
// Checkpoints of ours are written beside their place and renamed into it, and never changed there; a user leaves a pretrained folder alone
// while it is opened.
#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).map_err(at(path))?;
    // SAFETY: the file is opened for reading and, see above, its bytes do not change while the map lives.
    unsafe { Mmap::map(&file) }.map_err(at(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::checkpoint::{CheckpointFiles, WEIGHTS_FILE};
    use crate::qwen2::StepModel;

    fn model(dtype: DType) -> StepModel {
        let config = Qwen2Config { hidden_size: 16, intermediate_size: 24, head_dim: 4, ..Qwen2Config::small(300) };
        StepModel::random_on(config, 5, dtype, &Device::Cpu).unwrap()
    }

    fn written(dtype: DType) -> (tempfile::TempDir, CheckpointFiles) {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = StepTokenizer::train(["int main(void) { return 0; }"].iter(), 260).unwrap();
        let files = CheckpointFiles::from_model(&model(dtype), &tokenizer).unwrap();
        files.write_dir(&folder.path().join("model")).unwrap();
        (folder, files)
    }

    fn open(folder: &tempfile::TempDir, dtype: DType) -> Result<Checkpoint> {
        Checkpoint::open(&folder.path().join("model"), &Device::Cpu, dtype, HeadInit::Required)
    }

    fn bytes(model: &StepModel) -> Vec<u8> {
        let mut bytes = Vec::new();
        model.parameters().values().for_each(|parameter| parameter.write_bytes(&mut bytes).unwrap());
        bytes
    }

    #[test]
    fn a_mapped_checkpoint_is_the_one_that_is_read() {
        let (folder, files) = written(DType::F32);
        let opened = open(&folder, DType::F32).unwrap();
        let read = files.load(HeadInit::Required).unwrap();
        assert_eq!(opened.model_id, read.model_id);
        assert_eq!(Checkpoint::identify(&folder.path().join("model")).unwrap(), read.model_id);
        assert_eq!(bytes(&opened.model), bytes(&read.model));
        assert_eq!(opened.tokenizer.id(), read.tokenizer.id());
    }

    #[test]
    fn half_precision_is_written_and_opened_bit_by_bit() {
        let (folder, files) = written(DType::BF16);
        let config: serde_json::Value = serde_json::from_slice(files.get(CONFIG_FILE).unwrap()).unwrap();
        assert_eq!(config["torch_dtype"], "bfloat16");
        let opened = open(&folder, DType::BF16).unwrap().model;
        assert_eq!(opened.dtype(), DType::BF16);
        assert_eq!(bytes(&opened), bytes(&model(DType::BF16)));
        assert!(files.get(WEIGHTS_FILE).unwrap().len() < 2 * opened.parameter_count() + 8192);
        let logits = opened.forward(&[1, 299, 7, 30, 2], &[1, 4]).unwrap().to_dtype(DType::F32).unwrap();
        let single = open(&folder, DType::F32).unwrap().model.forward(&[1, 299, 7, 30, 2], &[1, 4]).unwrap();
        let difference = (logits - single).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(difference < 5e-3, "{difference}");
    }

    #[test]
    fn damage_is_reported_with_what_is_there_and_what_is_expected() {
        let (folder, _) = written(DType::F32);
        let weights = folder.path().join("model").join(WEIGHTS_FILE);
        let whole = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
        let error_with = |change: &dyn Fn(&mut std::collections::HashMap<String, candle_core::Tensor>)| {
            let mut tensors = whole.clone();
            change(&mut tensors);
            candle_core::safetensors::save(&tensors, &weights).unwrap();
            open(&folder, DType::BF16).unwrap_err().to_string()
        };
        let norm = "model.norm.weight";
        let zeros = |size: usize| candle_core::Tensor::zeros(size, DType::F32, &Device::Cpu).unwrap();
        let missing = error_with(&|tensors| drop(tensors.remove(norm)));
        assert!(missing.contains("missing") && missing.contains(norm) && missing.contains("[16]"), "{missing}");
        let misshapen = error_with(&|tensors| drop(tensors.insert(norm.to_owned(), zeros(17))));
        assert!(misshapen.contains("[17]") && misshapen.contains("[16]") && misshapen.contains(norm), "{misshapen}");
        let extra = error_with(&|tensors| drop(tensors.insert("model.extra".to_owned(), zeros(3))));
        assert!(extra.contains("model.extra [3]") && extra.contains(WEIGHTS_FILE), "{extra}");
        fs::remove_file(&weights).unwrap();
        assert!(open(&folder, DType::F32).unwrap_err().to_string().contains(WEIGHTS_FILE));
        assert!(open(&folder, DType::U8).unwrap_err().to_string().contains("U8"));
    }
}
