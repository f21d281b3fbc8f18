//! Models as files in the layout of Hugging Face's `Qwen2ForTokenClassification`: `config.json`, `tokenizer.json` and
//! `model.safetensors`, or several safetensors with an index.
//!
//! The files' bytes are the primitive, so that a caller can keep them in any store; [`CheckpointFiles::read_dir`] and
//! [`CheckpointFiles::write_dir`] are the local form. [`Checkpoint::open`] maps files instead of reading them.

use std::collections::BTreeMap;

use candle_core::{DType, Device};
use safetensors::tensor::TensorView;
use serde::Deserialize;

use crate::checkpoint_tensors::CheckpointTensors;
use crate::config::Qwen2Config;
use crate::error::{ModelError, Result};
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
    /// The model.
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
    /// Writes a model and its tokenizer as files, weights in the model's dtype. Equal models give equal bytes.
    ///
    /// # Errors
    /// The tokenizer has ids that the model does not know.
    pub fn from_model(model: &StepModel, tokenizer: &StepTokenizer) -> Result<Self> {
        require_room(model.config(), tokenizer)?;
        let mut bytes = BTreeMap::new();
        for (name, parameter) in model.parameters() {
            let size = parameter.elem_count() * parameter.dtype().size_in_bytes();
            let mut little_endian = Vec::with_capacity(size);
            parameter.write_bytes(&mut little_endian)?;
            bytes.insert(name.as_str(), (parameter.dims().to_vec(), little_endian));
        }
        let refused = |error: safetensors::SafeTensorError| ModelError::Checkpoint(format!("{WEIGHTS_FILE}: {error}"));
        let mut views = Vec::with_capacity(bytes.len());
        for (name, (shape, data)) in &bytes {
            views.push((*name, TensorView::new(model.dtype().into(), shape.clone(), data).map_err(refused)?));
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
            (CONFIG_FILE.to_owned(), config_json(model)?.into_bytes()),
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
        model_id(self.files.iter().map(|(name, content)| (name.as_str(), content.as_slice())))
    }

    /// As [`Self::load_on`], on the CPU in f32.
    ///
    /// # Errors
    /// As [`Self::load_on`].
    pub fn load(&self, head: HeadInit) -> Result<Checkpoint> {
        self.load_on(&Device::Cpu, DType::F32, head)
    }

    /// Loads the model (from f32, bf16 or f16) to a device in a dtype, and the tokenizer.
    ///
    /// For large models there is [`Checkpoint::open`], which never has the files in memory.
    ///
    /// A language-model head is ignored, so that pretrained backbones load with [`HeadInit::RandomIfMissing`].
    ///
    /// # Errors
    /// Names the file or tensor that is missing, extra, misshapen or of another type.
    pub fn load_on(&self, device: &Device, dtype: DType, head: HeadInit) -> Result<Checkpoint> {
        let config = Qwen2Config::from_json(self.text(CONFIG_FILE)?)?;
        let tokenizer = StepTokenizer::from_json(self.text(TOKENIZER_FILE)?)?;
        require_room(&config, &tokenizer)?;
        let mut tensors = CheckpointTensors::new(config, device.clone(), dtype);
        // A single file wins, as in Hugging Face's loader.
        let index = self.get(INDEX_FILE).filter(|_| self.get(WEIGHTS_FILE).is_none());
        for file in Self::weight_files(index)? {
            tensors.read(&file, self.require(&file)?)?;
        }
        Ok(Checkpoint { model: tensors.into_model(head)?, tokenizer, model_id: self.model_id() })
    }

    fn require(&self, name: &str) -> Result<&[u8]> {
        let present = || self.files.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(", ");
        self.get(name).ok_or_else(|| ModelError::Checkpoint(format!("{name} is missing among: {}", present())))
    }

    fn text(&self, name: &str) -> Result<&str> {
        std::str::from_utf8(self.require(name)?).map_err(|_| ModelError::Checkpoint(format!("{name} is not UTF-8")))
    }
}

/// Computes the identity of files that come in the order of their names.
pub(crate) fn model_id<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let is_read =
        |name: &str| [CONFIG_FILE, TOKENIZER_FILE, INDEX_FILE].contains(&name) || name.ends_with(".safetensors");
    let mut hasher = blake3::Hasher::new();
    for (name, content) in files.filter(|(name, _)| is_read(name)) {
        for part in [name.as_bytes(), content] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Writes `config.json` with the dtype the weights are in.
fn config_json(model: &StepModel) -> Result<String> {
    let json = model.config().to_json();
    let invalid = |source| ModelError::Json { what: CONFIG_FILE.to_owned(), source };
    let mut document: serde_json::Value = serde_json::from_str(&json).map_err(invalid)?;
    document["torch_dtype"] = torch_name(model.dtype())?.into();
    Ok(format!("{document:#}\n"))
}

fn torch_name(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("float32"),
        DType::BF16 => Ok("bfloat16"),
        DType::F16 => Ok("float16"),
        other => Err(ModelError::Checkpoint(format!("weights in {other:?} are not written, only F32, BF16 and F16"))),
    }
}

pub(crate) fn require_room(config: &Qwen2Config, tokenizer: &StepTokenizer) -> Result<()> {
    if tokenizer.vocab_size() <= config.vocab_size {
        return Ok(());
    }
    let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
    let reason =
        format!("the tokenizer has {tokens} ids, the model's embedding {rows} rows: they do not belong together");
    Err(ModelError::Checkpoint(reason))
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
