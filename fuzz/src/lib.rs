//! What every reader promises, whatever the bytes: `read` panics where a promise is broken, which is what the fuzzer looks for.

use bytes::Bytes;
use secprm_stages::ingest::{
    Access, DatasetKind, FileContext, Granularity, Located, RandomAccess, RawInput, Subset, reader_for,
};

/// Small, so that the fuzzer finds records that are too large.
const MAX_RECORD_BYTES: usize = 64 << 10;

/// Reads bytes as a file of a dataset.
///
/// # Panics
/// If a record is neither a pair nor a reject, rows come out of order, a pair has no code, or its files or lines lie outside of its code.
pub fn read(kind: DatasetKind, path: &str, bytes: &[u8]) {
    let reader = reader_for(kind);
    assert!(reader.accepts(path), "the reader of {kind} has no file {path}");
    let context = FileContext {
        path: path.to_owned(),
        max_record_bytes: MAX_RECORD_BYTES,
        granularities: Granularity::ALL.to_vec(),
    };
    let mut stream = bytes;
    let random = RandomAccess::in_memory(Bytes::copy_from_slice(bytes));
    let input = match reader.access(path) {
        Access::Stream => RawInput::Stream(&mut stream),
        Access::Random => RawInput::Random(&random),
    };
    let mut accounted = 0;
    let mut last = 0;
    let records = reader.read(&context, input, &mut |located| {
        assert!(located.row >= last, "row {} comes after row {last}", located.row);
        last = located.row;
        accounted = accounted.max(located.row + u64::from(located.records));
        check(&located);
        Ok(())
    });
    // An error says that the file as a whole is none of its dataset, or ends in the middle.
    if let Ok(records) = records {
        assert_eq!(records, accounted, "records that were read, and records that something was made of");
    }
}

fn check(located: &Located) {
    let Ok(pair) = &located.outcome else { return };
    let codes = [pair.vulnerable_code.as_deref(), pair.secure_code.as_deref()];
    match pair.subset {
        Subset::Paired => assert!(codes.iter().all(Option::is_some), "a pair has one version"),
        Subset::Unpaired => assert_eq!(codes.iter().flatten().count(), 1, "an unpaired row has one version"),
    }
    let mut starts = [0, 0];
    for file in &pair.files {
        let ends = [file.vulnerable_end, file.secure_end];
        for ((code, start), end) in codes.iter().zip(starts).zip(ends) {
            assert!(code.is_none_or(|code| code.get(start..end).is_some()), "a file ends outside of its version");
        }
        starts = ends;
    }
    assert!(pair.expert_lines.is_sorted_by(|one, next| one < next), "the experts' lines are in order");
    assert!(pair.expert_lines.first() != Some(&0), "lines count from 1");
}
