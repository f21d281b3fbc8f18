//! Models as files in the layout of Hugging Face's `Qwen2ForTokenClassification`: `config.json`, `tokenizer.json` and
//! `model.safetensors`, or several safetensors with an index.
//!
//! The files' bytes are the primitive, so that a caller can keep them in any store; [`CheckpointFiles::read_dir`] and
//! [`CheckpointFiles::write_dir`] are the local form.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;

use crate::config::Qwen2Config;
use crate::error::{ModelError, Result};
use crate::parameters::{is_head, parameter_shapes, random_parameter};
use crate::qwen2::StepModel;
use crate::tokenizer::StepTokenizer;

/// Name of the architecture's file.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the tokenizer's file.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Name of the weights' file where there is one.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// Name of the file that lists the weights' files where there are several.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// Says what to do where a checkpoint holds a backbone without our head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadInit {
    /// It is an error.
    Required,
    /// The head is drawn from this seed; the checkpoint is a pretrained backbone.
    RandomIfMissing(u64),
}

/// Holds a loaded model with what it needs to read text.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The model, in f32.
    pub model: StepModel,
    /// The tokenizer it was trained with.
    pub tokenizer: StepTokenizer,
    /// Identity of the files it came from, see [`CheckpointFiles::model_id`].
    pub model_id: String,
}

/// Holds the files of a checkpoint by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckpointFiles {
    /// Pairs of name and content, sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl CheckpointFiles {
    /// Writes a model and its tokenizer as files, weights in f32. Equal models give equal bytes.
    ///
    /// # Errors
    /// The tokenizer has ids that the model does not know.
    pub fn from_model(model: &StepModel, tokenizer: &StepTokenizer) -> Result<Self> {
        require_room(model.config(), tokenizer)?;
        let mut bytes = BTreeMap::new();
        for (name, parameter) in model.parameters() {
            let numbers = parameter.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
            let little_endian: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            bytes.insert(name.as_str(), (parameter.dims().to_vec(), little_endian));
        }
        let refused = |error: safetensors::SafeTensorError| ModelError::Checkpoint(format!("{WEIGHTS_FILE}: {error}"));
        let mut views = Vec::with_capacity(bytes.len());
        for (name, (shape, data)) in &bytes {
            views.push((*name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(refused)?));
        }
        // Hugging Face's loader refuses files without this entry.
        let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        let weights = safetensors::serialize(views, Some(metadata)).map_err(refused)?;
        let tokenizer_config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": model.config().max_position_embeddings,
            "clean_up_tokenization_spaces": false,
        });
        Ok(Self::new(vec![
            (CONFIG_FILE.to_owned(), model.config().to_json().into_bytes()),
            (TOKENIZER_FILE.to_owned(), tokenizer.to_json().as_bytes().to_vec()),
            ("tokenizer_config.json".to_owned(), format!("{tokenizer_config:#}\n").into_bytes()),
            (WEIGHTS_FILE.to_owned(), weights),
        ]))
    }

    /// Takes files in any order.
    pub fn new(mut files: Vec<(String, Vec<u8>)>) -> Self {
        files.sort();
        Self { files }
    }

    /// Returns a file's content.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.files.iter().find(|(file, _)| file == name);
        found.map(|(_, content)| content.as_slice())
    }

    /// Returns the names of the weights' files that an index lists, sorted; just [`WEIGHTS_FILE`] without an index.
    ///
    /// # Errors
    /// The index is not valid, or names a file outside of the checkpoint.
    pub fn weight_files(index: Option<&[u8]>) -> Result<Vec<String>> {
        let Some(index) = index else {
            return Ok(vec![WEIGHTS_FILE.to_owned()]);
        };
        let index: Index =
            serde_json::from_slice(index).map_err(|source| ModelError::Json { what: INDEX_FILE.to_owned(), source })?;
        let mut names: Vec<String> = index.weight_map.into_values().collect();
        names.sort();
        names.dedup();
        if let Some(name) = names.iter().find(|name| name.contains(['/', '\\']) || name.as_str() == "..") {
            return Err(ModelError::Checkpoint(format!("{INDEX_FILE} names \"{name}\", which is not in its folder")));
        }
        Ok(names)
    }

    /// Computes the checkpoint's identity: 32 hex digits of BLAKE3 over names and contents, in name order, of the files
    /// that [`Self::load`] reads. Other files, such as `tokenizer_config.json` for other libraries, do not change it.
    pub fn model_id(&self) -> String {
        let is_read =
            |name: &str| [CONFIG_FILE, TOKENIZER_FILE, INDEX_FILE].contains(&name) || name.ends_with(".safetensors");
        let mut hasher = blake3::Hasher::new();
        for (name, content) in self.files.iter().filter(|(name, _)| is_read(name)) {
            for part in [name.as_bytes(), content] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    /// Loads the model in f32 (from f32, bf16 or f16) and the tokenizer.
    ///
    /// A language-model head is ignored, so that pretrained backbones load with [`HeadInit::RandomIfMissing`].
    ///
    /// # Errors
    /// Names the file or tensor that is missing, extra, misshapen or of another type.
    pub fn load(&self, head: HeadInit) -> Result<Checkpoint> {
        let config = Qwen2Config::from_json(self.text(CONFIG_FILE)?)?;
        let tokenizer = StepTokenizer::from_json(self.text(TOKENIZER_FILE)?)?;
        require_room(&config, &tokenizer)?;
        let mut tensors = BTreeMap::new();
        // A single file wins, as in Hugging Face's loader.
        let index = self.get(INDEX_FILE).filter(|_| self.get(WEIGHTS_FILE).is_none());
        for file in Self::weight_files(index)? {
            read_tensors(&file, self.require(&file)?, &mut tensors)?;
        }
        if let HeadInit::RandomIfMissing(seed) = head {
            for (name, shape) in parameter_shapes(&config) {
                if is_head(&name) && !tensors.contains_key(&name) {
                    let tensor = random_parameter(&name, &shape, &config, seed, &Device::Cpu)?;
                    tensors.insert(name, tensor);
                }
            }
        }
        Ok(Checkpoint { model: StepModel::from_tensors(config, tensors)?, tokenizer, model_id: self.model_id() })
    }

    fn require(&self, name: &str) -> Result<&[u8]> {
        let present = || self.files.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(", ");
        self.get(name).ok_or_else(|| ModelError::Checkpoint(format!("{name} is missing among: {}", present())))
    }

    fn text(&self, name: &str) -> Result<&str> {
        std::str::from_utf8(self.require(name)?).map_err(|_| ModelError::Checkpoint(format!("{name} is not UTF-8")))
    }
}

fn require_room(config: &Qwen2Config, tokenizer: &StepTokenizer) -> Result<()> {
    if tokenizer.vocab_size() <= config.vocab_size {
        return Ok(());
    }
    let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
    let reason =
        format!("the tokenizer has {tokens} ids, the model's embedding {rows} rows: they do not belong together");
    Err(ModelError::Checkpoint(reason))
}

/// Reads one safetensors file into `tensors` as f32.
fn read_tensors(file: &str, content: &[u8], tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
    let refused = |reason: String| ModelError::Checkpoint(format!("{file}: {reason}"));
    let parsed = SafeTensors::deserialize(content).map_err(|error| refused(error.to_string()))?;
    for (name, view) in parsed.iter() {
        // Not parameters of a token classifier, but written by the causal model's authors.
        if name == "lm_head.weight" || name.ends_with("rotary_emb.inv_freq") {
            continue;
        }
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(refused(format!("tensor {name} has type {other:?}, only F32, F16 and BF16 are read"))),
        };
        let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?.to_dtype(DType::F32)?;
        if tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(refused(format!("tensor {name} is in another file as well")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
