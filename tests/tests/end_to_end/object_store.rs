//! Raw data and warehouses in an object store: the same rows as on disk, and one writer at a time.
//!
//! Needs a server that speaks S3 and the standard variables that lead to it (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on);
//! without `AWS_ENDPOINT_URL` the tests say that they are skipped. `.ci/run` starts one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use object_store::{ObjectStoreExt, PutPayload};
use secprm::error::Kind;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};
use secprm_storage::Location;

use super::project::TestProject;

/// Makes a bucket on the server that the environment names, if it names one. A store has no call for it, so this one is plain HTTP.
fn bucket(name: &str) -> Option<String> {
    let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") else {
        eprintln!("skipped: AWS_ENDPOINT_URL names no server");
        return None;
    };
    let host = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "PUT /{name} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlreadyOwnedByYou"), "{answer}");
    Some(format!("s3://{name}"))
}

fn samples() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/sven").display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_in_an_object_store_gives_the_same_pairs_as_on_disk() {
    let Some(bucket) = bucket("secprm-sources") else { return };
    let store = Location::parse(&format!("{bucket}/sven"), Path::new("/")).unwrap();
    for file in Location::parse(&samples(), Path::new("/")).unwrap().list().await.unwrap() {
        let bytes = std::fs::read(Path::new(&samples()).join(&file.name)).unwrap();
        let path = object_store::path::Path::from(format!("sven/{}", file.name));
        store.store().put(&path, PutPayload::from(bytes)).await.unwrap();
    }
    let pairs = async |url: &str| {
        let project = TestProject::new(&[("sven", url)], "[train]\nwhen = \"manual\"\n");
        let (world, dag) = project.open().world(Progress::silent()).await.unwrap();
        run(world.clone(), dag, &RunOptions { select: vec!["ingest".to_owned()], ..RunOptions::default() })
            .await
            .unwrap();
        let session = world.sessions.open(&world.heads(), secprm::catalog::Rows::All).unwrap();
        let rows = session.sql("SELECT pair_id FROM base.pairs ORDER BY pair_id").await.unwrap();
        rows.to_string().await.unwrap()
    };
    let on_disk = pairs(&samples()).await;
    assert_eq!(pairs(&format!("{bucket}/sven")).await, on_disk);
    assert_eq!(pairs(&format!("{bucket}/sven/**/*.jsonl")).await, on_disk);
    let missing = Location::parse(&format!("{bucket}/nowhere"), Path::new("/")).unwrap().list().await;
    assert_eq!(missing.unwrap_err().kind(), secprm_storage::ErrorKind::NotFound);
}

const TRAINING: &str = "[train]\ncache = \"cache\"\ncheckpoint_every = 2\nevaluate_every = 0\n\
    [[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 2\nmax_steps = 12\nlearning_rate = 1e-3\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_in_an_object_store_holds_what_one_on_disk_does_and_trains_the_same_model() {
    let Some(bucket) = bucket("secprm-warehouses") else { return };
    let local = TestProject::new(&[("sven", &samples())], TRAINING);
    let remote = TestProject::new(&[("sven", &samples())], TRAINING);
    // A folder of its own for each run of the test.
    let name = remote.path("").file_name().unwrap().to_str().unwrap().replace('.', "");
    remote.move_warehouse(&format!("{bucket}/{name}"));
    local.run_selected(&[]).await;
    remote.run_selected(&[]).await;
    for query in [
        "SELECT model_id FROM models",
        "SELECT sample_id FROM samples ORDER BY sample_id",
        "SELECT CAST(avg(p_secure) AS VARCHAR) FROM step_scores",
        "SELECT CAST(count(*) AS VARCHAR) FROM rejects",
    ] {
        assert_eq!(remote.texts(query).await, local.texts(query).await, "{query}");
    }
    assert!(!remote.path("warehouse").exists());
    assert!(remote.path("cache").read_dir().unwrap().next().is_some(), "no shard was cached");
    assert!(remote.run_selected(&[]).await.stages.is_empty());
    // The checkpoints of the run that is done are gone, the model is there.
    let (warehouse, model) = (remote.open().warehouse, local.texts("SELECT model_id FROM models").await);
    assert!(warehouse.exists(&format!("checkpoints/{}/model.safetensors", model[0])).await.unwrap());
    let left = warehouse.store().list_with_delimiter(Some(&"training".into())).await.unwrap();
    assert!(left.common_prefixes.is_empty() && left.objects.is_empty());

    // Two at a time: nothing keeps the second out, and its first commit on what the other has changed stops it.
    let (first, dag) = remote.open().world(Progress::silent()).await.unwrap();
    let (second, other_dag) = remote.open().world(Progress::silent()).await.unwrap();
    let anew = RunOptions { select: vec!["ingest+".to_owned()], full_refresh: true, ..RunOptions::default() };
    let (one, other) = tokio::join!(run(first, dag, &anew), run(second, other_dag, &anew));
    let (done, stopped) = if one.is_ok() { (one, other) } else { (other, one) };
    assert!(done.unwrap().is_published);
    let error = stopped.err().unwrap();
    assert_eq!(error.kind(), Kind::Transient, "{error}");
    assert!(error.to_string().contains("another writer changed table"), "{error}");
}
