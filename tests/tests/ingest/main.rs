//! Ingest alone, on the samples in the binary and on generated data.
#![allow(clippy::unwrap_used)]

mod generated;
mod ingested;
mod samples;
