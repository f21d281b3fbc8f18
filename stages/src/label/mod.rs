//! Splits code into steps and labels them: LABELS.md in code, without I/O, clock or randomness.
//!
//! [`segment`] splits one text (mode `natural`); [`label_pair`] splits and labels both versions of a pair in any mode;
//! [`code_difference`] says what two versions differ in. Inside, from the bottom up:
//!
//! - `lexer` reads a text once, from left to right, and reports tokens, statements and lines;
//! - `segment` hears it and writes down boundaries; `chunk` sums up what lies between them;
//! - `lines` hears it and keeps the lines of code in normal form; `intern` numbers them; `align` matches the numbers;
//! - `hunks` says which lines the differences mark; `natural` and `paper` put labels on steps, `cleaned` cleans them.

mod align;
mod chunk;
mod cleaned;
mod difference;
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

pub use align::{AlignmentKind, Block, Popularity, align, matching_blocks};
pub use difference::{CodeDifference, DIFFERENCE_VERSION, code_difference};
pub use modes::{Label, LabelMode, UnknownLabelMode};
pub use normal::normal_code;
pub use pair::{LabelOptions, NoSample, PairLabels, label_pair};
pub use segment::segment;
pub use sources::Sources;
pub use steps::{Comments, SegmentOptions, Step, VersionLabels};
pub use strip::strip_comments;
pub use unpaired::label_unpaired;
