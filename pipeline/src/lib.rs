//! secprm: raw vulnerability datasets to step-labelled tables, a trained process reward model, scores and metrics.
//!
//! A [`config::Project`] says what is read and where it goes. [`stages`] and the files under `sql/` ([`relation`]) make the [`dag`];
//! [`freshness`] decides what is stale, [`plan`] says so beforehand, [`run`] does it, [`checks`] audit it and a [`release`] makes it
//! visible. [`catalog`] is how SQL sees tables and views. [`explain`] says why a step is labelled as it is. [`cli`] is the command.

pub mod catalog;
pub mod checks;
pub mod cli;
pub mod config;
pub mod dag;
pub mod error;
pub mod explain;
pub mod freshness;
mod heap;
pub mod history;
mod information_schema;
mod lazy_schema;
mod lazy_table;
pub mod mixture;
pub mod open;
pub mod output;
pub mod plan;
pub mod progress;
pub mod relation;
pub mod release;
pub mod run;
pub mod schemas;
pub mod sources;
pub mod stage;
pub mod stages;
pub mod summary;

/// Returns the number of threads to use: as configured, or what the machine has for 0.
pub fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}
