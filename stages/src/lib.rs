//! The stages of secprm: what happens to the data between raw records and metrics.
//!
//! Along the data: [`ingest`] reads raw records into pairs; [`findings`] reads what static analysers say of them; [`splits`] groups
//! them and gives each group a split; [`label`] cuts code into steps and labels them (pure); [`functions`] makes the verbs of label,
//! model and evaluation callable from SQL; [`train`] and [`score`] run the model; [`evaluate`] measures (pure); [`audit`] measures what
//! structure alone gives away.

pub mod audit;
pub mod evaluate;
pub mod findings;
pub mod functions;
pub mod ingest;
pub mod label;
pub mod language;
pub mod score;
pub mod splits;
pub mod tables;
pub mod train;

mod eight;
mod error;

pub use error::{Result, StageError};
