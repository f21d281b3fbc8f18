#![no_main]

use libfuzzer_sys::fuzz_target;
use secprm_fuzz::read;
use secprm_stages::ingest::DatasetKind;

fuzz_target!(|bytes: &[u8]| read(DatasetKind::Sven, "train/cwe-089.jsonl", bytes));
