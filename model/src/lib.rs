//! The step reward model: everything between text and rewards.
//!
//! A sample is a prompt and the steps of a program. [`tokenizer`] turns text into ids, [`mod@encode`] lays prompt, steps and
//! separators out in windows, [`qwen2`] gives two logits at each separator, [`loss`], [`optimizer`], [`schedule`] and
//! [`mod@train`] fit them to step labels, [`score`] turns them into step rewards and [`rewards`] aggregates those into one
//! verdict. [`checkpoint`] reads and writes models in the layout of Hugging Face's `Qwen2ForTokenClassification`.
//!
//! No unseeded randomness, and clocks only measure: equal inputs, configuration and number of ranks give equal bits. [`collective`] alone
//! talks to other processes, and watches over them by the clock.

pub mod backward;
pub mod batch;
pub mod blocks;
pub mod checkpoint;
mod checkpoint_dir;
mod checkpoint_mapped;
mod checkpoint_tensors;
pub mod collective;
pub mod config;
pub mod device;
pub mod encode;
pub mod error;
pub mod evaluate;
pub mod exact;
pub mod examples;
mod gradients;
mod layer;
pub mod loss;
pub mod optimizer;
pub mod optimizer_state;
pub mod order;
pub mod parameters;
pub mod qwen2;
pub mod random;
pub mod rewards;
pub mod schedule;
pub mod score;
pub mod self_check;
mod share;
pub mod tokenizer;
pub mod train;
pub mod train_config;
pub mod train_state;
pub mod zero;

pub use batch::PackedBatch;
pub use candle_core::{DType, Device, Tensor};
pub use checkpoint::{Checkpoint, CheckpointFiles, HeadInit};
pub use collective::{Collective, OneRank};
pub use config::Qwen2Config;
pub use device::DeviceChoice;
pub use encode::{EncodeOptions, Encoded, Window, encode};
pub use error::{ErrorKind, ModelError, Result};
pub use evaluate::Evaluation;
pub use examples::{Example, ExampleSource, Listed, MixedExamples, Reading};
pub use optimizer_state::{SavedOptimizer, write_optimizer};
pub use qwen2::StepModel;
pub use rewards::{Aggregation, Tie};
pub use score::{StepScore, score_sequence, score_sequences};
pub use self_check::{SelfCheck, self_check};
pub use tokenizer::StepTokenizer;
pub use train::{Cadence, Snapshot, StepMetrics, TrainObserver, TrainSummary, Training};
pub use train_config::{Precision, Preset, TrainConfig, TrainStage, TrainedParameters};
pub use train_state::TrainState;
