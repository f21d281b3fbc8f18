//! What the readers of PrimeVul and BigVul make of real records and of files in the exact layouts.
//!
//! Skipped where the data folder is not there.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use secprm_stages::ingest::{
    Access, DatasetKind, FileContext, Granularity, Located, Pair, RandomAccess, RawInput, Subset, reader_for,
};
use secprm_stages::language::Language;

fn folder(dataset: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = folder.join(dataset);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no folder {}", folder.display());
    None
}

/// Reads a file and checks that each of its records is in exactly one pair or reject.
fn read(kind: DatasetKind, file: &Path) -> (u64, Vec<Located>) {
    let reader = reader_for(kind);
    let path = file.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(reader.accepts(&path), "{path}");
    let access = reader.access(&path);
    let context = FileContext { path, max_record_bytes: 1 << 20, granularities: vec![Granularity::Function] };
    let bytes = fs::read(file).unwrap();
    let mut stream = bytes.as_slice();
    let random = RandomAccess::in_memory(bytes.clone().into());
    let input = match access {
        Access::Stream => RawInput::Stream(&mut stream),
        Access::Random => RawInput::Random(&random),
    };
    let mut found: Vec<Located> = Vec::new();
    let count = reader
        .read(&context, input, &mut |located| {
            found.push(located);
            Ok(())
        })
        .unwrap();
    let mut next = 0;
    for located in &found {
        assert_eq!(located.row, next);
        next += u64::from(located.records);
    }
    assert_eq!(next, count);
    (count, found)
}

fn pairs(found: Vec<Located>) -> Vec<Pair> {
    found.into_iter().map(|located| *located.outcome.unwrap()).collect()
}

#[test]
fn primevul_is_seven_pairs() {
    let Some(folder) = folder("primevul/PrimeVul_v0.1") else { return };
    let mut all = Vec::new();
    for (name, split, expected) in
        [("primevul_test_paired.jsonl", "test", 3), ("primevul_valid_paired.jsonl", "valid", 4)]
    {
        let (count, found) = read(DatasetKind::PrimeVul, &folder.join(name));
        assert_eq!((count, found.len() as u64), (expected * 2, expected), "{name}");
        let found = pairs(found);
        assert!(found.iter().all(|pair| pair.upstream_split.as_deref() == Some(split)));
        all.extend(found);
    }
    for pair in &all {
        assert_eq!((pair.subset, pair.granularity, pair.cwe.len()), (Subset::Paired, Granularity::Function, 1));
        assert_ne!(pair.vulnerable_code, pair.secure_code);
        assert!(pair.cve.is_some() && pair.project.is_some());
        assert_eq!(pair.commit_id.as_ref().map(String::len), Some(40));
    }
    use Language::{C, Cpp};
    assert_eq!(all.iter().map(|pair| pair.language).collect::<Vec<_>>(), [C, C, C, Cpp, C, Cpp, Cpp]);
}

#[test]
fn bigvuls_csv_is_ten_pairs_and_three_secure_rows() {
    let Some(folder) = folder("bigvul") else { return };
    let (count, found) = read(DatasetKind::BigVul, &folder.join("MSR_data_cleaned.csv"));
    let rows = pairs(found);
    assert_eq!((count, rows.len()), (13, 13));
    let paired: Vec<&Pair> = rows.iter().filter(|row| row.subset == Subset::Paired).collect();
    assert_eq!((paired.len(), paired.iter().filter(|pair| pair.vulnerable_code == pair.secure_code).count()), (10, 1));
    assert!(rows.iter().all(|row| row.upstream_split.is_none() && row.file_path.as_deref() == Some("src/a.c")));
    assert_eq!(rows.iter().filter(|row| row.published_at.is_none()).count(), 1);
    assert_eq!(rows.iter().filter(|row| row.cve.is_none() && row.cwe.is_empty()).count(), 1);
    assert_eq!(rows[12].secure_code.as_deref(), Some("const char *q(void)\n{\n\treturn \"a,\\\"b\\\"\";\n}\n"));
}

#[test]
fn bigvuls_mirror_tells_the_same_code_as_the_csv() {
    let Some(folder) = folder("bigvul") else { return };
    let (_, from_csv) = read(DatasetKind::BigVul, &folder.join("MSR_data_cleaned.csv"));
    let mut codes: Vec<_> = pairs(from_csv).into_iter().map(|pair| (pair.vulnerable_code, pair.secure_code)).collect();
    let mut mirrored = Vec::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join("hf/data")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let (_, found) = read(DatasetKind::BigVul, &file);
        for pair in pairs(found) {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with(pair.upstream_split.as_deref().unwrap()));
            mirrored.push((pair.vulnerable_code, pair.secure_code));
        }
    }
    codes.sort();
    mirrored.sort();
    assert_eq!(mirrored, codes);
}
