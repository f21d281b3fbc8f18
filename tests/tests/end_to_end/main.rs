//! The pipeline in process, from raw records to what is asked in SQL.
#![allow(clippy::unwrap_used)]

mod audit;
mod commits;
mod dataflow;
mod defects;
mod documented;
mod mixture;
mod object_store;
mod project;
mod splits;
mod training;
