//! Splits code into steps and labels them: LABELS.md in code, without I/O, clock or randomness.
//!
//! [`segment`] splits one text (mode `natural`); [`CodePair::label`] splits and labels both versions of a pair in any mode;
//! [`code_difference`] says what two versions differ in. Inside, from the bottom up:
//!
//! - `lexer` reads a text once, from left to right, and reports tokens, statements and lines;
//! - `segment` hears it and writes down boundaries; `chunk` sums up what lies between them;
//! - `lines` hears it and keeps the lines of code in normal form; `intern` numbers them; `align` matches the numbers;
//! - `hunks` says which lines the differences mark, `given` which ones come marked, `callers` what calls them;
//! - `evidence` is what the ledger keeps of each reason for a label;
//! - `natural` and `paper` put labels on steps, `cleaned` cleans them; `files` and `version` see to it that a pair may be
//!   made of several files;
//! - `defects` counts what is wrong with labels, for the report.

mod align;
mod callers;
mod chunk;
mod cleaned;
mod defects;
mod difference;
mod evidence;
mod files;
mod given;
mod hunks;
mod intern;
mod lexer;
mod lines;
mod modes;
mod natural;
mod normal;
mod pair;
mod paper;
mod segment;
mod sources;
mod steps;
mod strip;
mod unpaired;
mod version;

pub use align::{AlignmentKind, Block, Popularity, align, matching_blocks};
pub use callers::{Extent, Propagate, Propagation, grammar, possible_definitions};
pub use defects::Defects;
pub use difference::{CodeDifference, DIFFERENCE_VERSION, code_difference};
pub use evidence::{EVIDENCE_VERSION, Evidence, LineSpan, Operation, Reason};
pub use files::{FileEnds, Finding};
pub use given::Given;
pub use modes::{Label, LabelMode, UnknownLabelMode};
pub use normal::NormalCode;
pub use pair::{CodePair, LabelOptions, NoSample, PairLabels, label_pair};
pub use segment::segment;
pub use sources::Sources;
pub use steps::{Comments, SegmentOptions, Step, VersionLabels};
pub use strip::strip_comments;
pub use unpaired::label_unpaired;
