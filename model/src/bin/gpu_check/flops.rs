//! Models of a 7B's shape, batches for them, and what a pass over them costs.

use secprm_model::{PackedBatch, Qwen2Config};

use crate::Result;

/// Returns Qwen2.5-7B's shape with that many layers.
pub fn shape_7b(layers: usize) -> Qwen2Config {
    Qwen2Config {
        vocab_size: 152_064,
        hidden_size: 3584,
        intermediate_size: 18_944,
        num_hidden_layers: layers,
        num_attention_heads: 28,
        num_key_value_heads: 4,
        head_dim: 128,
        rope_theta: 1e6,
        rms_norm_eps: 1e-6,
        initializer_range: 0.02,
        max_position_embeddings: 131_072,
        ..Qwen2Config::small(152_064)
    }
}

/// Makes one sequence with a separator every 32 tokens, and labels for them.
pub fn batch(tokens: usize, vocabulary: usize) -> Result<(PackedBatch, Vec<u8>)> {
    let ids: Vec<u32> = (0..tokens).map(|token| (token * 7919 % vocabulary) as u32).collect();
    let separators: Vec<u32> = (31..tokens as u32).step_by(32).collect();
    let labels = separators.iter().map(|separator| u8::from(separator % 96 != 31)).collect();
    Ok((PackedBatch::of(&ids, &separators)?, labels))
}

/// Counts the operations of causal attention, forward.
pub fn attention_flops(query_width: f64, tokens: f64) -> f64 {
    2.0 * tokens * tokens * query_width
}
