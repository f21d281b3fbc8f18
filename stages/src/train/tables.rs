//! The tables about models.

use arrow::datatypes::DataType;
use secprm_storage::TableSpec;

use crate::tables::{Column, utc_timestamp, whole_table};

/// The tokenizer of a release.
pub const TOKENIZERS: &str = "tokenizers";
/// Checkpoints; the newest is what scores.
pub const MODELS: &str = "models";
/// Training history, a row an optimiser step.
pub const TRAIN_METRICS: &str = "train_metrics";

/// Returns the declarations of `tokenizers`, `models` and `train_metrics`.
pub fn model_tables() -> [TableSpec; 3] {
    let text = || DataType::Utf8;
    let int = DataType::Int64;
    let float = DataType::Float64;
    let tokenizers: Vec<Column> = vec![
        ("tokenizer_id", text(), false, "Hash of the tokenizer's JSON"),
        ("vocab_size", int.clone(), false, "Number of tokens"),
        ("origin", text(), false, "trained (on the training split) or the path it was read from"),
        ("tokenizer_json", text(), false, "The tokenizer in Hugging Face's format"),
    ];
    let models: Vec<Column> = vec![
        ("model_id", text(), false, "Hash of the checkpoint's files"),
        ("parent_id", text(), true, "The checkpoint that training started from"),
        ("created_at", utc_timestamp(), false, "When training ended"),
        ("run_id", text(), false, "The run that trained it"),
        ("url", text(), false, "The checkpoint's folder below the warehouse, in Hugging Face layout"),
        ("tokenizer_id", text(), false, "The tokenizer it reads with"),
        ("label_mode", text(), false, "The labels it was trained on"),
        ("config", text(), false, "Architecture, as config.json"),
        ("train_config", text(), false, "Training settings, as JSON"),
        ("data", text(), false, "Fingerprint of the shards it was trained on"),
        ("parameters", int.clone(), false, "Number of parameters"),
        ("steps", int.clone(), false, "Optimiser steps"),
        ("tokens", int.clone(), false, "Tokens seen over all epochs"),
        ("first_loss", float.clone(), true, "Loss of the first step; near ln 2 with a fresh head"),
        ("last_loss", float.clone(), true, "Mean loss of the last epoch"),
        ("version", text(), false, "Version of secprm"),
    ];
    let train_metrics: Vec<Column> = vec![
        ("model_id", text(), false, "The checkpoint that came out"),
        ("step", int.clone(), false, "Optimiser step from 0, over all stages"),
        ("stage", text(), false, "Stage of training"),
        ("epoch", int.clone(), false, "Epoch within the stage, from 0"),
        ("loss", float.clone(), false, "Loss of the batch before the update (FORMULAS, equation 3)"),
        ("learning_rate", float.clone(), false, "Rate of this update"),
        ("grad_norm", float.clone(), false, "Norm of all gradients before clipping"),
        ("tokens", int.clone(), false, "Tokens of the batch"),
        ("supervised_steps", int.clone(), false, "Supervised steps of the batch"),
        ("seconds", float.clone(), false, "Wall time of the step"),
        ("tokens_per_second", float.clone(), false, "Tokens of the batch by its wall time"),
        ("supervised_steps_per_second", float.clone(), false, "Supervised steps of the batch by its wall time"),
        ("data_wait", float.clone(), false, "Share of the wall time spent waiting for examples, in [0, 1]"),
        ("memory_bytes", int, true, "Resident memory of the first rank's process after the step"),
        (
            "mfu",
            float.clone(),
            true,
            "Model FLOPs utilisation: what the batch needs by what the hardware can do, where [train] peak_tflops says so",
        ),
        ("held_out_loss", float.clone(), true, "Loss on held-out examples after the step, where it was evaluated"),
        (
            "held_out_f1",
            float,
            true,
            "Step F1 on held-out examples, positive is vulnerable; null where no step is or is called so",
        ),
        ("skipped", DataType::Boolean, false, "Whether numbers were not finite, so that no update was made"),
    ];
    [
        whole_table(TOKENIZERS, "The tokenizer of a release", tokenizers),
        whole_table(MODELS, "A checkpoint; the newest is what scores", models),
        whole_table(TRAIN_METRICS, "An optimiser step of the newest checkpoint's training", train_metrics),
    ]
}
