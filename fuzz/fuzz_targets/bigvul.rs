#![no_main]

use libfuzzer_sys::fuzz_target;
use secprm_fuzz::read;
use secprm_stages::ingest::DatasetKind;

// By its first bytes: the Parquet mirror, or else CSV.
fuzz_target!(|bytes: &[u8]| {
    let path = if bytes.starts_with(b"PAR1") { "data/train-00000-of-00001.parquet" } else { "MSR_data_cleaned.csv" };
    read(DatasetKind::BigVul, path, bytes);
});
