//! Stage `ingest`: configured sources into `pairs`, `provenance`, `ingest_rejects` and `sources`. Its unit is a dataset.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use async_trait::async_trait;
use secprm_stages::ingest::{
    DatasetKind, IngestOptions, KnownFile, KnownFiles, Listing, SOURCES, Source, dataset_fingerprint, ingest_dataset,
    ingest_tables, list_dataset, reader_for, remove_dataset, unread_fingerprint,
};
use secprm_storage::{Table, slice_key};

use super::note_files;
use crate::catalog::Rows;
use crate::config::Project;
use crate::error::{Error, Result};
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

/// Reads raw datasets.
pub struct IngestStage {
    declaration: Declaration,
    sources: BTreeMap<DatasetKind, Vec<Source>>,
    options: IngestOptions,
}

impl IngestStage {
    /// Makes the stage of a project's sources.
    pub fn new(project: &Project, sources: BTreeMap<DatasetKind, Vec<Source>>) -> Self {
        let limits = &project.config.limits;
        let mut inputs = BTreeMap::new();
        for (kind, sources) in &sources {
            inputs.insert(format!("reader {kind}"), reader_for(*kind).version().to_string());
            for source in sources {
                inputs.insert(format!("granularity of {}", source.url), format!("{:?}", source.granularities));
            }
        }
        inputs.insert("[limits] max_record_bytes".to_owned(), limits.max_record_bytes.to_string());
        inputs.insert("[limits] slice_mib".to_owned(), limits.slice_mib.to_string());
        IngestStage {
            declaration: Declaration {
                name: "ingest".to_owned(),
                reads: Vec::new(),
                writes: ingest_tables().into_iter().map(|spec| spec.name).collect(),
                scope: Scope::Slice,
                inputs,
                manual: false,
            },
            sources,
            options: IngestOptions {
                max_record_bytes: limits.max_record_bytes,
                slice_bytes: (limits.slice_mib as u64) << 20,
                threads: crate::threads(limits.threads),
                rewrite: false,
            },
        }
    }

    async fn list(&self, kind: DatasetKind) -> Result<Vec<Listing>> {
        let sources = self.sources.get(&kind).map_or(&[][..], Vec::as_slice);
        Ok(list_dataset(kind, sources).await?)
    }
}

#[async_trait]
impl Stage for IngestStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn assess(&self, world: &World) -> Result<Assessment> {
        let known = known_files(world, SOURCES).await?;
        let existing = match world.head(SOURCES) {
            Some(table) => table.fingerprints().await?,
            None => BTreeMap::new(),
        };
        let mut assessment = Assessment { inputs: self.declaration.inputs.clone(), ..Assessment::default() };
        for kind in self.sources.keys() {
            let listings = self.list(*kind).await?;
            let read = dataset_fingerprint(*kind, &listings, &known, &self.options).await?;
            let fingerprint = read.unwrap_or_else(|| unread_fingerprint(*kind, &listings, &self.options));
            for listing in &listings {
                note_files(&mut assessment.inputs, "source", &listing.source.location, &listing.files);
            }
            assessment.units.insert(kind.as_str().to_owned(), fingerprint);
            if existing.get(&slice_key([kind.as_str(), "0"])) != Some(&fingerprint) {
                assessment.stale.insert(kind.as_str().to_owned(), fingerprint);
            }
        }
        let datasets: BTreeSet<String> =
            existing.keys().filter_map(|key| Some(key.rsplit_once('/')?.0.to_owned())).collect();
        assessment.removed = datasets.into_iter().filter(|dataset| !assessment.units.contains_key(dataset)).collect();
        Ok(assessment)
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let note = world.note("ingest");
        let options = IngestOptions { rewrite: work.is_full_refresh, ..self.options.clone() };
        for kind in self.sources.keys().filter(|kind| work.stale.contains_key(kind.as_str())) {
            let listings = self.list(*kind).await?;
            let ingested = ingest_dataset(&world.warehouse, *kind, &listings, &options, &world.heads(), &note).await?;
            world.advance(&ingested.tables);
        }
        for dataset in &work.removed {
            let tables = remove_dataset(&world.warehouse, dataset, &world.heads(), &note).await?;
            world.advance(&tables);
        }
        Ok(self.declaration.writes.iter().filter_map(|name| world.head(name)).collect())
    }
}

/// What earlier runs know of files, from the table `sources` or one with its columns.
pub(super) async fn known_files(world: &World, name: &str) -> Result<KnownFiles> {
    let Some(table) = world.head(name) else { return Ok(KnownFiles::new()) };
    let session = world.sessions.open(&BTreeMap::from([(name.to_owned(), table)]), Rows::All)?;
    let batches = session.table(name).await?.collect().await?;
    let mut known = KnownFiles::new();
    for batch in &batches {
        read_known(batch, &mut known)
            .ok_or_else(|| Error::bug(format!("the table {name} has other columns than this version writes")))?;
    }
    Ok(known)
}

fn read_known(batch: &RecordBatch, known: &mut KnownFiles) -> Option<()> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let [urls, files, hashes, tags] = [text("url")?, text("source_file")?, text("source_hash")?, text("e_tag")?];
    let sizes = batch.column_by_name("size")?.as_primitive_opt::<Int64Type>()?;
    let times = batch.column_by_name("modified_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    for row in 0..batch.num_rows() {
        let file = KnownFile {
            size: sizes.value(row) as u64,
            modified_micros: times.value(row),
            e_tag: tags.is_valid(row).then(|| tags.value(row).to_owned()),
            hash: hashes.value(row).to_owned(),
        };
        known.insert((urls.value(row).to_owned(), files.value(row).to_owned()), file);
    }
    Some(())
}
