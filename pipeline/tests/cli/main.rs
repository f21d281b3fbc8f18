//! The command as a user meets it: what is printed where, and with which exit code.
//!
//! Snapshots hold whole transcripts, with what differs from run to run (folders, times, hashes) replaced.

#![allow(clippy::unwrap_used)]

mod data;
mod ledger;
mod mistakes;
mod mixtures;
mod plans;
mod project;
mod runs;
mod statistics;
mod training;
