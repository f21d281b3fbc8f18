//! Laws of reading a table's rows in any order: what comes, what it takes, and what happens when stores and disks fail.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod cache;
mod failures;
mod faulty;
mod order;
mod s3;
mod table;
