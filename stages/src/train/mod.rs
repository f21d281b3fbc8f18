//! Training: shards in, a checkpoint and its history out.

mod events;
mod examples;
mod history;
mod job;
mod recorder;
mod saved;
mod stream;
mod tables;
mod tokenizer;

pub use examples::load_examples;
pub use job::{Habits, ModelStart, Observer, Trained, TrainingJob, check_training, join_training, run_training};
pub use saved::JobFolder;
pub use stream::{StreamedExamples, repeats_of};
pub use tables::{MODELS, TOKENIZERS, TRAIN_METRICS, model_tables};
pub use tokenizer::{tokenizer_of, train_tokenizer, write_tokenizer};
