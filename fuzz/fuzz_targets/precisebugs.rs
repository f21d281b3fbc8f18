#![no_main]

use libfuzzer_sys::fuzz_target;
use secprm_fuzz::read;
use secprm_stages::ingest::DatasetKind;

// By its first bytes, what a file is: a zip archive, an object, or else a tar archive.
fuzz_target!(|bytes: &[u8]| {
    let path = match bytes {
        [b'P', b'K', ..] => "CVEs.zip",
        [b'{', ..] => "CVEs/CVE-2020-0001/BugEntry.json",
        _ => "CVEs.tar",
    };
    read(DatasetKind::PreciseBugs, path, bytes);
});
