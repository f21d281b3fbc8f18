//! Raw data in an object store gives the rows that the same data on disk gives.
//!
//! Needs a server that speaks S3 and the standard variables that lead to it (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on);
//! without `AWS_ENDPOINT_URL` the test says that it is skipped. `.ci/run` starts one.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use arrow::array::AsArray;
use object_store::{ObjectStoreExt, PutPayload};
use secprm::open::open;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};
use secprm_storage::Location;

const BUCKET: &str = "secprm-sources";

/// A store has no call that makes a bucket, so this one is plain HTTP.
fn make_bucket(endpoint: &str) {
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlreadyOwnedByYou"), "{answer}");
}

async fn pair_ids(url: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("version = 1\nwarehouse = \"./warehouse\"\n[[source]]\ndataset = \"sven\"\nurl = \"{url}\"\n");
    let file = folder.path().join("secprm.toml");
    std::fs::write(&file, text).unwrap();
    let (world, dag) = open(Some(&file)).unwrap().world(Progress::silent()).await.unwrap();
    let options = RunOptions { select: vec!["ingest".to_owned()], ..RunOptions::default() };
    run(world.clone(), dag, &options).await.unwrap();
    let session = world.sessions.open(&world.heads(), secprm::catalog::Rows::All).unwrap();
    let batches =
        session.sql("SELECT pair_id FROM base.pairs ORDER BY pair_id").await.unwrap().collect().await.unwrap();
    let ids = batches.iter().flat_map(|batch| {
        let column = batch.column(0).as_string::<i32>();
        (0..batch.num_rows()).map(|row| column.value(row).to_owned()).collect::<Vec<_>>()
    });
    ids.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_an_object_store_gives_the_same_pairs_as_on_disk() {
    let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") else {
        eprintln!("skipped: AWS_ENDPOINT_URL names no server");
        return;
    };
    make_bucket(&endpoint);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/sven");
    let bucket = Location::parse(&format!("s3://{BUCKET}/sven"), Path::new("/")).unwrap();
    for file in Location::parse(samples.to_str().unwrap(), Path::new("/")).unwrap().list().await.unwrap() {
        let bytes = std::fs::read(samples.join(&file.name)).unwrap();
        let path = object_store::path::Path::from(format!("sven/{}", file.name));
        bucket.store().put(&path, PutPayload::from(bytes)).await.unwrap();
    }
    let on_disk = pair_ids(samples.to_str().unwrap()).await;
    assert_eq!(pair_ids(&format!("s3://{BUCKET}/sven")).await, on_disk);
    assert_eq!(pair_ids(&format!("s3://{BUCKET}/sven/**/*.jsonl")).await, on_disk);
    let missing = Location::parse(&format!("s3://{BUCKET}/nowhere"), Path::new("/")).unwrap().list().await;
    assert_eq!(missing.unwrap_err().kind(), secprm_storage::ErrorKind::NotFound);
}
