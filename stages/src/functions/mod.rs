//! The domain's verbs as DataFusion functions: what the `.sql` files call.

mod access;
mod code_keys;
mod detection;
mod evidence;
mod identifiers;
mod label_arguments;
mod labels;
mod metadata;
mod of_length;
mod rewards;
mod scalar;
mod step_lists;
mod tokens;
mod unread_lists;

pub use tokens::{TOKENIZER_FUNCTIONS, TokenizerRegistry};

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;

use crate::label::{DIFFERENCE_VERSION, EVIDENCE_VERSION, LabelMode};
use crate::splits::CODE_KEYS_VERSION;

/// Returns all functions of a row's values; those about tokens look their tokenizer up in `registry`.
pub fn functions(registry: &TokenizerRegistry) -> Vec<ScalarUDF> {
    vec![
        identifiers::stable_id(),
        identifiers::hash_bucket(),
        identifiers::fingerprint(),
        code_keys::code_keys(),
        metadata::language_of(),
        metadata::parse_cwe(),
        labels::label_pair(),
        labels::segment(),
        tokens::count_tokens(registry.clone()),
        tokens::encode_example(registry.clone()),
        rewards::sequence_reward(),
        rewards::p_secure(),
        rewards::predict_secure(),
        detection::count_zeros(),
        of_length::of_length(),
        step_lists::step_hashes(),
        step_lists::prefix_hashes(),
        step_lists::labels_without_evidence(),
    ]
}

/// Registers all functions with a session, and the rule that belongs to one of them.
pub fn register(context: &SessionContext, registry: &TokenizerRegistry) {
    functions(registry).into_iter().for_each(|function| context.register_udf(function));
    context.register_udaf(detection::detection_metrics());
    context.add_optimizer_rule(Arc::new(unread_lists::UnreadLists));
}

/// Returns the version of a function's rules; a relation that calls it is computed again when it grows.
///
/// Functions that are not ours, and ours without rules that could change, have version 0.
pub fn function_version(name: &str) -> u32 {
    match name {
        "label_pair" | "segment" => {
            DIFFERENCE_VERSION + EVIDENCE_VERSION + LabelMode::ALL.iter().map(|mode| mode.rule_version()).sum::<u32>()
        }
        "code_keys" => DIFFERENCE_VERSION + CODE_KEYS_VERSION,
        "encode_example" => 2,
        "count_tokens" | "detection_metrics" | "sequence_reward" | "p_secure" | "predict_secure" => 1,
        _ => 0,
    }
}
