//! `secprm.toml`: what is read, how it is labelled, trained and scored, and where everything goes.

mod audit;
mod checks;
mod load;
mod mix;
mod nearest;
mod parameters;
mod train;

pub use audit::AuditConfig;
pub use checks::{CheckLimits, ChecksConfig, Severity};
pub use load::{DEFAULT_FILE, Project};
pub use mix::{MixConfig, Part};
pub use nearest::nearest;
pub use train::{ModelConfig, TrainSection, When};

use secprm_model::{Aggregation, DeviceChoice, Tie};
use secprm_stages::findings::Level;
use secprm_stages::ingest::{DatasetKind, Granularity};
use secprm_stages::label::{Comments, Given, LabelMode, LabelOptions, Propagate};
use secprm_stages::splits::SplitBy;
use serde::{Deserialize, Serialize};

/// The whole configuration. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Layout version of the file; 1.
    pub version: u32,
    /// Where tables and models go: a folder, relative to the file, or the URL of one in an object store.
    pub warehouse: String,
    /// The raw datasets.
    #[serde(default)]
    pub source: Vec<SourceConfig>,
    /// What static analysers found in the pairs' code.
    #[serde(default)]
    pub analysis: Vec<AnalysisConfig>,
    /// How code is cut into steps and labelled.
    #[serde(default)]
    pub label: LabelConfig,
    /// How splits are assigned.
    #[serde(default)]
    pub split: SplitConfig,
    /// What of the datasets is trained on, and how often.
    #[serde(default)]
    pub mix: MixConfig,
    /// How text becomes tokens.
    #[serde(default)]
    pub tokenizer: TokenizerConfig,
    /// The backbone.
    #[serde(default)]
    pub model: ModelConfig,
    /// The training job.
    #[serde(default)]
    pub train: TrainSection,
    /// How step rewards become verdicts.
    #[serde(default)]
    pub score: ScoreConfig,
    /// The shortcut audit.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Severities and limits of the data checks.
    #[serde(default)]
    pub checks: ChecksConfig,
    /// Bounds on memory and records, and what is computed on.
    #[serde(default)]
    pub limits: LimitsConfig,
}

/// One raw dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The dataset's layout.
    pub dataset: DatasetKind,
    /// File, folder or glob; a path relative to the configuration file, or an object-store URL.
    pub url: String,
    /// What pairs are made of, where the dataset offers several: ReposVul and PreciseBugs.
    #[serde(default = "every_granularity")]
    pub granularity: Vec<Granularity>,
}

fn every_granularity() -> Vec<Granularity> {
    Granularity::ALL.to_vec()
}

/// Findings of static analysers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalysisConfig {
    /// SARIF file, folder or glob; a path relative to the configuration file, or an object-store URL.
    pub url: String,
}

/// `[label]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelConfig {
    /// The label modes to compute side by side.
    pub modes: Vec<LabelMode>,
    /// A chunk of more lines is cut at a statement end (rule 2).
    pub max_step_lines: usize,
    /// A chunk of more bytes is cut at a statement end (rule 2).
    pub max_step_bytes: usize,
    /// Texts that, alone in a chunk, join the step before it (rule 4).
    pub suffix_texts: Vec<String>,
    /// Texts that, alone in a chunk, join the step after it (rule 4).
    pub prefix_texts: Vec<String>,
    /// The levels of static analysers' findings that label (rule 10).
    pub analyzer_levels: Vec<Level>,
    /// Whether comments are kept or stripped before code is cut into steps (rule 3).
    pub comments: Comments,
    /// What is marked of the functions that call a vulnerable one (rule 8).
    pub propagate: Propagate,
    /// The largest share of a sample's steps that rule 8 may mark.
    pub max_propagated_share: f64,
    /// Which labels that come with a pair count (rule 10).
    pub given: Vec<Given>,
}

impl Default for LabelConfig {
    fn default() -> Self {
        let LabelOptions { segment, comments, propagate, max_propagated_share, given, .. } = LabelOptions::default();
        LabelConfig {
            modes: vec![LabelMode::Natural],
            max_step_lines: segment.max_step_lines as usize,
            max_step_bytes: segment.max_step_bytes,
            suffix_texts: segment.suffix_texts,
            prefix_texts: segment.prefix_texts,
            comments,
            propagate,
            max_propagated_share,
            given,
            analyzer_levels: vec![Level::Error, Level::Warning],
        }
    }
}

/// `[split]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// What decides a pair's split.
    pub by: SplitBy,
    /// The share of all pairs past which a group loses its near-duplicate edges, and is reported if it is as large without.
    pub max_group_share: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        SplitConfig { by: SplitBy::Group, max_group_share: 0.05 }
    }
}

/// `[tokenizer]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerConfig {
    /// A Hugging Face `tokenizer.json`; without one a byte-level BPE is trained on the training split.
    pub path: Option<String>,
    /// Size of the vocabulary that is trained when no path is given.
    pub vocab_size: usize,
    /// Longest window of tokens; longer samples are cut at step boundaries.
    pub max_tokens: usize,
    /// The constant sentence before the first step.
    pub prompt: String,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        TokenizerConfig {
            path: None,
            vocab_size: 2048,
            max_tokens: 1024,
            prompt: "Review this code for security vulnerabilities, one step at a time.".to_owned(),
        }
    }
}

/// `[score]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// The aggregations a verdict is written for.
    pub aggregations: Vec<Aggregation>,
    /// Temperature of the softmax over steps.
    pub tau: f64,
    /// `p_secure` below it is called vulnerable.
    pub threshold: f64,
    /// What a tie is called.
    pub tie: Tie,
}

impl Default for ScoreConfig {
    fn default() -> Self {
        ScoreConfig { aggregations: vec![Aggregation::Risk], tau: 0.1, threshold: 0.5, tie: Tie::Secure }
    }
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Memory that queries may take before they spill to disk, in MiB.
    pub memory_mib: usize,
    /// Threads; 0 takes what the machine has.
    pub threads: usize,
    /// What models are trained and score on.
    pub device: DeviceChoice,
    /// A raw record of more bytes is a reject.
    pub max_record_bytes: usize,
    /// Bytes of source code a slice (the unit of refresh) aims at, in MiB.
    pub slice_mib: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            memory_mib: 2048,
            threads: 0,
            device: DeviceChoice::Auto,
            max_record_bytes: 64 << 20,
            slice_mib: 64,
        }
    }
}
