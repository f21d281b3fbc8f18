//! The pipeline in process, from raw records to what is asked in SQL.
#![allow(clippy::unwrap_used)]

mod commits;
mod dataflow;
mod mixture;
mod project;
mod splits;
