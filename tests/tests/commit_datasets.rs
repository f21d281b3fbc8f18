//! ReposVul and PreciseBugs from raw files to samples, on real records; skipped where the data is absent.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use secprm::open::open;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};

fn real_data() -> Option<PathBuf> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    if !folder.join("reposvul").is_dir() || !folder.join("precisebugs").is_dir() {
        eprintln!("skipped: no folders reposvul and precisebugs in {}", folder.display());
        return None;
    }
    Some(folder.canonicalize().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_commits_give_pairs_of_every_granularity_and_all_are_accounted_for() {
    let Some(data) = real_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("secprm.toml");
    let sources = ["reposvul", "precisebugs"]
        .map(|dataset| format!("[[source]]\ndataset = \"{dataset}\"\nurl = \"{}\"\n", data.join(dataset).display()));
    let text = format!("version = 1\nwarehouse = \"./warehouse\"\n{}[train]\nwhen = \"manual\"\n", sources.concat());
    std::fs::write(&config, text).unwrap();
    let (world, dag) = open(Some(&config)).unwrap().world(Progress::silent()).await.unwrap();
    // The run ends with the checks, `ingest_accounting` among them.
    assert!(run(world, dag, &RunOptions::default()).await.unwrap().is_published);

    let (session, _) = open(Some(&config)).unwrap().session(None).await.unwrap();
    let count = async |query: &str| {
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    };
    assert_eq!(count("SELECT sum(records) FROM sources WHERE dataset = 'reposvul'").await, 25);
    assert_eq!(count("SELECT sum(records) FROM sources WHERE dataset = 'precisebugs'").await, 4);
    assert_eq!(count("SELECT count(*) FROM pairs WHERE dataset = 'reposvul'").await, 77);
    assert_eq!(count("SELECT count(*) FROM pairs WHERE dataset = 'precisebugs'").await, 5);
    assert_eq!(
        count("SELECT count(*) FROM pairs WHERE granularity = 'repository' AND cardinality(files) > 1").await,
        7
    );
    assert_eq!(count("SELECT count(DISTINCT granularity) FROM samples").await, 3);
}
