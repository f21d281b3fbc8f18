//! Raw SVEN records to published label tables: ingest, splits and samples, on an empty warehouse, everything written.
//!
//! `SECPRM_REAL_DATA` names the folder that holds `sven/`; without it the embedded samples are used, which are too small to say much.
//! The peer is `benches/peer_paper_flow.py`, the published procedure as LABELS describes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use secprm::config::Project;
use secprm::open::open_project;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};

fn project(folder: &Path, url: &str, mode: &str) -> Project {
    let file = folder.join("secprm.toml");
    let text = format!(
        "version = 1\nwarehouse = \"./warehouse\"\n[[source]]\ndataset = \"sven\"\nurl = \"{url}\"\n[label]\nmodes = [\"{mode}\"]\n[train]\nlabel_mode = \"{mode}\"\nwhen = \"manual\"\n"
    );
    std::fs::write(&file, text).expect("the bench's folder can be written");
    Project::load(Some(&file)).expect("the bench's configuration is valid")
}

/// Runs ingest, splits and samples once on an empty warehouse and returns how long it took, opening included.
fn refresh(runtime: &tokio::runtime::Runtime, url: &str, mode: &str) -> Duration {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = project(folder.path(), url, mode);
    let start = Instant::now();
    runtime.block_on(async {
        let (world, dag) = open_project(project).expect("opens").world(Progress::silent()).await.expect("opens");
        let options = RunOptions { select: vec!["+samples".to_owned()], ..RunOptions::default() };
        run(Arc::clone(&world), dag, &options).await.expect("runs");
    });
    start.elapsed()
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let real = std::env::var_os("SECPRM_REAL_DATA").map(PathBuf::from);
    let (url, bytes) = match &real {
        Some(folder) => (folder.join("sven").display().to_string(), bytes_below(&folder.join("sven"))),
        None => (
            "samples:sven".to_owned(),
            bytes_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/samples/sven")),
        ),
    };
    let mut group = criterion.benchmark_group("refresh");
    group.sample_size(10).throughput(Throughput::Bytes(bytes));
    for mode in ["paper", "natural"] {
        group.bench_function(mode, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| refresh(&runtime, &url, mode)).sum());
        });
    }
    group.finish();
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => bytes_below(&entry.path()),
            _ if entry.path().extension().is_some_and(|extension| extension == "jsonl") => {
                entry.metadata().map_or(0, |data| data.len())
            }
            _ => 0,
        })
        .sum()
}

criterion_group!(refresh_benches, benches);
criterion_main!(refresh_benches);
