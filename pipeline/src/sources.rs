//! The configured sources and analyses as locations; `samples:` names the sample datasets that are embedded in the binary.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use secprm_stages::findings::Analysis;
use secprm_stages::ingest::{DatasetKind, Source};
use secprm_storage::Location;

use crate::config::Project;
use crate::error::{Error, Result};

/// Start of a url that names an embedded dataset.
const SAMPLES: &str = "samples:";

/// A dataset's name and its files, each with its path in the dataset's folder.
type Samples = (&'static str, &'static [(&'static str, &'static [u8])]);

/// What lies in `tests/samples`, listed by the build script.
const EMBEDDED: &[Samples] = &include!(concat!(env!("OUT_DIR"), "/samples.rs"));

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

/// Returns the configured analyses.
///
/// # Errors
/// Of kind usage: a url that is no location.
pub fn analyses(project: &Project) -> Result<Vec<Analysis>> {
    let analyses = project.config.analysis.iter().map(|analysis| {
        let location = Location::parse(&analysis.url, &project.folder).map_err(|error| {
            Error::from(error)
                .hint("`url` of an [[analysis]] is a SARIF file, folder or glob: a path or an object-store URL")
        })?;
        Ok(Analysis { url: secprm_storage::redact(&analysis.url), location })
    });
    analyses.collect()
}

async fn embedded(name: &str) -> Result<Location> {
    let Some((_, files)) = EMBEDDED.iter().find(|(dataset, _)| *dataset == name) else {
        let names: Vec<String> = EMBEDDED.iter().map(|(dataset, _)| format!("{SAMPLES}{dataset}")).collect();
        let error = Error::usage(format!("there are no embedded samples of {name}"));
        return Err(error.hint(format!("there are {}", names.join(", "))));
    };
    let store = InMemory::new();
    for (file, bytes) in *files {
        let put = store.put(&Path::from(format!("{name}/{file}")), Bytes::from_static(bytes).into()).await;
        put.map_err(|error| Error::bug(format!("the embedded file {file}: {error}")))?;
    }
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Ok(Location::in_store(&format!("{SAMPLES}{name}"), store, Path::from(name))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_has_samples_in_the_binary() {
        for kind in DatasetKind::ALL {
            let files = EMBEDDED.iter().find(|(dataset, _)| *dataset == kind.as_str()).map(|(_, files)| *files);
            assert!(files.is_some_and(|files| !files.is_empty()), "{kind}");
        }
        assert!(EMBEDDED.iter().all(|(_, files)| files.iter().all(|(file, _)| !file.ends_with(".md"))));
    }
}
