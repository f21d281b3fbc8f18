//! The shortcut audit: how well do judges that see no meaning tell vulnerable code from fixed code?
//!
//! A model that is trained on labels learns whatever tells them best. Where the way code is cut into steps gives labels away, it learns
//! that. So judges that are told structure alone are fitted to the training split and measured on the test split, beside one that is told
//! the whole code's length and nothing of its steps. That one is the bar, not chance: fixed code is longer than what it fixes, whatever
//! the steps. Along the data:
//!
//! - `read` takes pairs out of `samples`; of text, `pair` keeps shapes and `words` counts words;
//! - `judge` names the judges and tasks, `features` what each judge is told, `rows` the rows of a task;
//! - `fit` and `words` hold the classifiers, `scores` fits and asks them;
//! - `measure` computes metrics, `draws` their intervals by a bootstrap over groups of pairs;
//! - `run` puts it together, `tables` writes it.
//!
//! Everything but `read` and `tables` is pure: the same pairs in any order and the same seed give the same numbers.

mod draws;
mod features;
mod fit;
mod judge;
mod measure;
mod pair;
mod read;
mod rows;
mod run;
mod scores;
mod tables;
#[cfg(test)]
mod tests;
mod words;

pub use judge::{Judge, Task};
pub use pair::{AuditPair, AuditStep, StepShape, Version};
pub use read::PairReader;
pub use run::{AuditNumber, LEAST_PAIRS, audit};
pub use tables::{AUDIT_METRICS, DatasetAudit, SplitSize, audit_metrics_table, write_audit};
pub use words::Words;
