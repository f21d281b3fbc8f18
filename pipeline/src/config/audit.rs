//! `[audit]`: how far the shortcut audit goes.

use serde::{Deserialize, Serialize};

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditConfig {
    /// Pairs of a dataset and split that the audit takes, in each label mode; 0 turns it off.
    pub max_pairs: usize,
    /// By how much structure may be better than whole-code length alone before the check `shortcut_excess` reports it.
    pub margin: f64,
    /// Seed of the classifiers and of the bootstrap.
    pub seed: u64,
}

impl Default for AuditConfig {
    fn default() -> Self {
        AuditConfig { max_pairs: 2000, margin: 0.05, seed: 0 }
    }
}
