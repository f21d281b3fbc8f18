//! Training: shards in, a checkpoint and its history out.

mod examples;
mod job;
mod tables;
mod tokenizer;

pub use examples::{load_examples, load_mixture};
pub use job::{ModelStart, Trained, TrainingJob, run_training};
pub use tables::{MODELS, TOKENIZERS, TRAIN_METRICS, model_tables};
pub use tokenizer::{tokenizer_of, train_tokenizer, write_tokenizer};
