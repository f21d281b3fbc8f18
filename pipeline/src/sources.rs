//! The configured sources as locations; `samples:` names the sample datasets that are embedded in the binary.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use secprm_stages::ingest::{DatasetKind, Source};
use secprm_storage::Location;

use crate::config::Project;
use crate::error::{Error, Result};

/// Start of a url that names an embedded dataset.
const SAMPLES: &str = "samples:";

macro_rules! samples {
    ($dataset:literal, $($file:literal),+ $(,)?) => {
        [$(($file, include_bytes!(concat!("../../tests/samples/", $dataset, "/", $file)).as_slice())),+]
    };
}

const SVEN: [(&str, &[u8]); 18] = samples!(
    "sven",
    "train/cwe-022.jsonl",
    "train/cwe-078.jsonl",
    "train/cwe-079.jsonl",
    "train/cwe-089.jsonl",
    "train/cwe-125.jsonl",
    "train/cwe-190.jsonl",
    "train/cwe-416.jsonl",
    "train/cwe-476.jsonl",
    "train/cwe-787.jsonl",
    "val/cwe-022.jsonl",
    "val/cwe-078.jsonl",
    "val/cwe-079.jsonl",
    "val/cwe-089.jsonl",
    "val/cwe-125.jsonl",
    "val/cwe-190.jsonl",
    "val/cwe-416.jsonl",
    "val/cwe-476.jsonl",
    "val/cwe-787.jsonl",
);

/// Returns each configured dataset's sources.
///
/// # Errors
/// Of kind usage: a url that is no location, an unknown embedded dataset.
pub async fn locations(project: &Project) -> Result<BTreeMap<DatasetKind, Vec<Source>>> {
    let mut datasets: BTreeMap<DatasetKind, Vec<Source>> = BTreeMap::new();
    for source in &project.config.source {
        let location = match source.url.strip_prefix(SAMPLES) {
            Some(name) => embedded(name).await?,
            None => Location::parse(&source.url, &project.folder).map_err(|error| {
                Error::from(error)
                    .hint("`url` of a [[source]] is a file, folder or glob: a path or an object-store URL")
            })?,
        };
        let url = secprm_storage::redact(&source.url);
        let granularities = source.granularity.clone();
        datasets.entry(source.dataset).or_default().push(Source { url, location, granularities });
    }
    Ok(datasets)
}

async fn embedded(name: &str) -> Result<Location> {
    let files = match name {
        "sven" => SVEN,
        _ => return Err(Error::usage(format!("there are no embedded samples of {name}")).hint("there is samples:sven")),
    };
    let store = InMemory::new();
    for (file, bytes) in files {
        let put = store.put(&Path::from(format!("{name}/{file}")), bytes.to_vec().into()).await;
        put.map_err(|error| Error::bug(format!("the embedded file {file}: {error}")))?;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Ok(Location::in_store(&format!("{SAMPLES}{name}"), store, Path::from(name))?)
}
