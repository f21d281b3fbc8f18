//! Generated raw data of every layout: the same for one seed, and through ingest exactly the broken records are rejects.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use secprm::open::{Opened, open};
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};
use secprm_tests::generate::{Compression, Dataset, Request, Size, Summary, generate};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");

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

/// A warehouse that has ingested one folder.
struct Ingested(tempfile::TempDir);

impl Ingested {
    async fn new(dataset: Dataset, data: &Path) -> Ingested {
        let folder = tempfile::tempdir().unwrap();
        let (name, url) = (dataset.name(), data.display());
        let text =
            format!("version = 1\nwarehouse = \"./warehouse\"\n[[source]]\ndataset = \"{name}\"\nurl = \"{url}\"\n");
        fs::write(folder.path().join("secprm.toml"), text).unwrap();
        let ingested = Ingested(folder);
        let (world, dag) = ingested.open().world(Progress::silent()).await.unwrap();
        let options = RunOptions { select: vec!["ingest".to_owned()], ..RunOptions::default() };
        run(world, dag, &options).await.unwrap();
        ingested
    }

    fn open(&self) -> Opened {
        open(Some(&self.0.path().join("secprm.toml"))).unwrap()
    }

    async fn count(&self, query: &str) -> u64 {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0).unsigned_abs()
    }

    async fn texts(&self, query: &str) -> BTreeSet<String> {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        let rows = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            (0..batch.num_rows()).map(|row| column.value(row).to_owned())
        });
        rows.collect()
    }
}

/// Generates plain and compressed files and ingests both.
async fn exactly_the_broken_records_are_rejects(dataset: Dataset, records: u64, compression: Compression) {
    let data = tempfile::tempdir().unwrap();
    let plain = write(dataset, records, 5, None, &data.path().join("plain"));
    let compressed = write(dataset, records, 5, Some(compression), &data.path().join("compressed"));
    assert_eq!((plain.records, plain.broken), (records, records / 100));
    assert_eq!((compressed.records, compressed.broken, compressed.bytes), (plain.records, plain.broken, plain.bytes));

    let from_plain = Ingested::new(dataset, &data.path().join("plain")).await;
    assert_eq!(from_plain.count("SELECT sum(records) FROM sources").await, plain.records);
    assert_eq!(from_plain.count("SELECT sum(records) - sum(accounted) FROM sources").await, 0);
    let why = "SELECT concat_ws(' ', source_file, source_row, reason, detail) FROM ingest_rejects";
    let rejects = from_plain.texts(why).await;
    assert_eq!(from_plain.count("SELECT count(*) FROM ingest_rejects").await, plain.broken, "{rejects:#?}");
    let rows = from_plain.texts("SELECT concat_ws(' ', source_file, source_row) FROM ingest_rejects").await;
    assert_eq!(rows.len() as u64, plain.broken, "{rejects:#?}");

    let from_compressed = Ingested::new(dataset, &data.path().join("compressed")).await;
    let ids = "SELECT pair_id FROM pairs";
    assert_eq!(from_compressed.texts(ids).await, from_plain.texts(ids).await);
    assert_eq!(from_compressed.count("SELECT count(*) FROM ingest_rejects").await, plain.broken);
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
