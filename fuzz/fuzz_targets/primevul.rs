#![no_main]

use libfuzzer_sys::fuzz_target;
use secprm_fuzz::read;
use secprm_stages::ingest::DatasetKind;

// The same bytes as a file of pairs and as one of single functions.
fuzz_target!(|bytes: &[u8]| {
    read(DatasetKind::PrimeVul, "primevul_train.jsonl", bytes);
    read(DatasetKind::PrimeVul, "primevul_train_paired.jsonl", bytes);
});
