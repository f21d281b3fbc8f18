//! Metrics, pure: numbers in, numbers out.

mod detection;

pub use detection::{Measure, Verdict, auroc, detection_metrics};
