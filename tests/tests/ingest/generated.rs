//! Generated raw data of every layout: the same for one seed, and through ingest exactly the broken records are rejects.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use secprm_tests::generate::{Compression, Dataset, Request, Size, Summary, generate};

use super::ingested::Ingested;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");

const WHY: &str = "SELECT concat_ws(' ', source_file, CAST(source_row AS STRING), reason, detail) FROM ingest_rejects";

fn write(dataset: Dataset, records: u64, seed: u64, compression: Option<Compression>, out: &Path) -> Summary {
    let request =
        Request { dataset, size: Size::Records(records), seed, broken: 0.01, out: out.to_owned(), compression };
    generate(&request, Path::new(SAMPLES)).unwrap()
}

/// The files below a folder and what is in them.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(contents(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// Generates plain and compressed files and ingests both.
async fn exactly_the_broken_records_are_rejects(dataset: Dataset, records: u64, compression: Compression) {
    let data = tempfile::tempdir().unwrap();
    let plain = write(dataset, records, 5, None, &data.path().join("plain"));
    let compressed = write(dataset, records, 5, Some(compression), &data.path().join("compressed"));
    assert_eq!((plain.records, plain.broken), (records, records / 100));
    assert_eq!((compressed.records, compressed.broken, compressed.bytes), (plain.records, plain.broken, plain.bytes));

    let url = |folder: &str| data.path().join(folder).display().to_string();
    let from_plain = Ingested::new(&[(dataset.name(), &url("plain"))]).await;
    let count = |number: u64| i64::try_from(number).unwrap();
    assert_eq!(from_plain.number("SELECT sum(records) FROM sources").await, count(plain.records));
    assert_eq!(from_plain.number("SELECT sum(records) - sum(accounted) FROM sources").await, 0);
    let rejects = from_plain.texts(WHY).await;
    assert_eq!(rejects.len() as u64, plain.broken, "{rejects:#?}");
    let rows = "SELECT count(DISTINCT concat_ws(' ', source_file, source_row)) FROM ingest_rejects";
    assert_eq!(from_plain.number(rows).await, count(plain.broken), "{rejects:#?}");

    let from_compressed = Ingested::new(&[(dataset.name(), &url("compressed"))]).await;
    let ids = "SELECT pair_id FROM pairs ORDER BY pair_id";
    assert!(from_compressed.texts(ids).await == from_plain.texts(ids).await);
    assert_eq!(from_compressed.number("SELECT count(*) FROM ingest_rejects").await, count(plain.broken));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sven_exactly_the_broken_records_are_rejects() {
    exactly_the_broken_records_are_rejects(Dataset::Sven, 400, Compression::Zstd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_primevul_exactly_the_broken_records_are_rejects() {
    exactly_the_broken_records_are_rejects(Dataset::PrimeVul, 900, Compression::Gzip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_reposvul_exactly_the_broken_records_are_rejects() {
    exactly_the_broken_records_are_rejects(Dataset::ReposVul, 100, Compression::Zstd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_precisebugs_exactly_the_broken_records_are_rejects() {
    exactly_the_broken_records_are_rejects(Dataset::PreciseBugs, 200, Compression::Gzip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_bigvul_exactly_the_broken_records_are_rejects() {
    exactly_the_broken_records_are_rejects(Dataset::BigVul, 200, Compression::Zstd).await;
}

#[test]
fn a_seed_decides_every_byte() {
    for dataset in Dataset::ALL {
        let data = tempfile::tempdir().unwrap();
        let written: Vec<_> = [("a", 5), ("b", 5), ("c", 6)]
            .map(|(name, seed)| {
                let out = data.path().join(name);
                let summary = write(dataset, 60, seed, None, &out);
                let contents = contents(&out);
                assert_eq!(summary.files, contents.len() as u64);
                assert_eq!(summary.bytes, contents.values().map(|bytes| bytes.len() as u64).sum::<u64>());
                contents
            })
            .into();
        assert!(written[0] == written[1], "{dataset:?}");
        assert!(written[0] != written[2], "{dataset:?}");
    }
}

#[test]
fn about_as_many_bytes_are_written_as_were_asked_for() {
    for (dataset, bytes) in Dataset::ALL.into_iter().zip([4_000_000, 4_000_000, 40_000_000, 20_000_000, 20_000_000]) {
        let data = tempfile::tempdir().unwrap();
        let (size, out) = (Size::Bytes(bytes), data.path().to_owned());
        let request = Request { dataset, size, seed: 1, broken: 0.0, out, compression: None };
        let summary = generate(&request, Path::new(SAMPLES)).unwrap();
        assert!((bytes * 2 / 3..bytes * 3 / 2).contains(&summary.bytes), "{summary:?}");
    }
}
