//! `[checks]`: how severe the data checks are, and from where on they complain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// `[checks]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// Severities that differ from what the check's own header says, by check name.
    pub severity: BTreeMap<String, Severity>,
    /// From where on checks complain.
    pub limits: CheckLimits,
}

/// What a check's failing rows mean for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Reported; the release is published.
    Warn,
    /// Nothing is published; exit code 3.
    Error,
    /// The check does not run.
    Off,
}

/// `[checks.limits]`: what is still fine. Checks name them as parameters, `$missing_cwe_share` for example.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckLimits {
    /// Pairs of one fixing commit (check `commit_fan_out`).
    pub pairs_per_commit: u32,
    /// Lines of code of one version that equal the line before them (check `repeated_lines`).
    pub repeated_lines: u32,
    /// Share of a dataset's pairs without a CWE (check `missing_cwe`).
    pub missing_cwe_share: f64,
    /// Share of a dataset's vulnerable samples with a file that could not be parsed (check `unparsed_files`).
    pub unparsed_share: f64,
    /// Share of a dataset's raw records that are rejects (check `reject_rate`).
    pub reject_share: f64,
    /// Share of a dataset's steps that fit in no window of `max_tokens` (check `lost_steps`).
    pub lost_step_share: f64,
    /// Change of a number of rows against the previous release, as a share of it (check `drift`).
    pub row_drift: f64,
    /// Change of a rate against the previous release, in absolute terms (check `drift`).
    pub rate_drift: f64,
}

impl Default for CheckLimits {
    fn default() -> Self {
        CheckLimits {
            pairs_per_commit: 50,
            repeated_lines: 3,
            missing_cwe_share: 0.2,
            unparsed_share: 0.05,
            reject_share: 0.05,
            lost_step_share: 0.01,
            row_drift: 0.2,
            rate_drift: 0.05,
        }
    }
}

impl CheckLimits {
    /// Returns the limits that are shares, by their names.
    pub fn shares(&self) -> [(&'static str, f64); 6] {
        [
            ("missing_cwe_share", self.missing_cwe_share),
            ("unparsed_share", self.unparsed_share),
            ("reject_share", self.reject_share),
            ("lost_step_share", self.lost_step_share),
            ("row_drift", self.row_drift),
            ("rate_drift", self.rate_drift),
        ]
    }

    /// Refuses shares that are none.
    ///
    /// # Errors
    /// Of kind usage, naming the key.
    pub fn validate(&self) -> Result<()> {
        // A table can grow to many times its size, so that a drift may be past 1.
        match self.shares().into_iter().find(|(_, share)| !(share.is_finite() && *share >= 0.0)) {
            Some((name, share)) => Err(Error::usage(format!("[checks.limits] {name} = {share} is no share"))
                .hint("a share is 0 or more: 0.05 lets 5 % pass")),
            None => Ok(()),
        }
    }
}
