//! Reads a dataset's files and replaces its slices in the four ingest tables.
//!
//! Reads raw files; takes the dataset out of `sources`, writes `pairs`, `provenance` and `ingest_rejects`, then `sources`. Each table
//! changes in one commit. The fingerprint of `sources` says that all four are complete, so a run that was killed in between starts this
//! dataset again and writes the same rows over. A concurrent reader sees each table before or after, and a release sees all four together.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use secprm_storage::{CommitNote, Fingerprint, Part, SourceFile, Table, TableSpec, Warehouse, slice_key};

use super::columns::{push_pair, push_reject};
use super::identity::{PairIds, RecordSum, id_text, slice_count, slice_of};
use super::listing::{Listing, Source, content_seed, fingerprint_of};
use super::read::{FileEnd, ReadRow, Reading, start_reading};
use super::reader::{DatasetKind, DatasetReader, reader_for};
use super::tables::{SOURCES, ingest_tables};
use crate::error::Result;
use crate::tables::{Cell, SliceChanges, TableRows};

/// Bounds on memory and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestOptions {
    /// A record of more bytes is a reject.
    pub max_record_bytes: usize,
    /// Raw bytes that one slice aims at.
    pub slice_bytes: u64,
    /// Files that are read at once.
    pub threads: usize,
    /// Whether slices are rewritten that are as they were: repairs a table that lost files.
    pub rewrite: bool,
}

/// What a dataset's ingest did.
#[derive(Debug, Clone)]
pub struct Ingested {
    /// The four tables after their commits.
    pub tables: Vec<Table>,
    /// Raw records read.
    pub records: u64,
    /// Pairs made of them.
    pub pairs: u64,
    /// Rejects made of them.
    pub rejects: u64,
    /// Raw bytes read.
    pub bytes: u64,
}

/// Reads all files of a dataset and replaces its slices; `heads` are the newest versions of the ingest tables, by name.
///
/// Slices whose pairs are as they were keep their fingerprint, so that nothing that depends on them is computed again.
///
/// # Errors
/// [`crate::StageError::Source`] if a file is not what its dataset says, [`crate::StageError::Read`] if one cannot be read to its end; nothing is
/// committed then.
pub async fn ingest_dataset(
    warehouse: &Warehouse,
    kind: DatasetKind,
    listings: &[Listing],
    options: &IngestOptions,
    heads: &BTreeMap<String, Table>,
    note: &CommitNote,
) -> Result<Ingested> {
    let specs = ingest_tables();
    let mut writing = Writing::start(warehouse, &specs, kind, listings, options)?;
    let reader: Arc<dyn DatasetReader> = reader_for(kind).into();
    let mut readings = futures::stream::iter(every_file(listings).into_iter().map(|(source, file)| {
        let reading = start_reading(
            reader.clone(),
            source.location.clone(),
            file.clone(),
            options.max_record_bytes,
            source.granularities.clone(),
        );
        async move { reading.await.map(|reading| (source, file, reading)) }
    }))
    .buffered(options.threads.max(1));
    let mut hashes = Vec::new();
    let mut bytes = 0;
    while let Some(started) = readings.next().await {
        let (source, file, Reading { mut rows, end }) = started?;
        let before = writing.made;
        let mut pending = Vec::new();
        let mut accounted = Accounted::default();
        while let Some(chunk) = rows.recv().await {
            chunk.iter().for_each(|row| accounted.add(row));
            writing.take_chunk(chunk, &file.name, &mut pending).await?;
        }
        let FileEnd { records, hash } = end.await??;
        writing.write_provenance(&pending, &file.name, &hash).await?;
        let made = Made { pairs: writing.made.pairs - before.pairs, rejects: writing.made.rejects - before.rejects };
        let became = Became { records, accounted: accounted.records, made };
        writing.push_source(&source.url, &file, &hash, &became);
        writing.records += records;
        bytes += file.size;
        hashes.push((source.key(), file.name, hash));
    }
    drop(readings);
    let fingerprint = fingerprint_of(kind, &hashes, options);
    let (records, Made { pairs, rejects }) = (writing.records, writing.made);
    let tables = writing.commit(warehouse, &specs, heads, fingerprint, options.rewrite, note).await?;
    Ok(Ingested { tables, records, pairs, rejects, bytes })
}

fn every_file(listings: &[Listing]) -> Vec<(Source, SourceFile)> {
    let files =
        listings.iter().flat_map(|listing| listing.files.iter().map(|file| (listing.source.clone(), file.clone())));
    files.collect()
}

/// Takes a dataset that is no longer configured out of the ingest tables.
pub async fn remove_dataset(
    warehouse: &Warehouse,
    dataset: &str,
    heads: &BTreeMap<String, Table>,
    note: &CommitNote,
) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for spec in ingest_tables() {
        let Some(head) = heads.get(&spec.name) else { continue };
        let changes = SliceChanges::find(Some(head), &BTreeMap::new(), &prefix_of(dataset), false).await?;
        if !changes.is_empty() {
            tables.push(changes.commit(warehouse, &spec, Some(head), Vec::new(), note).await?);
        }
    }
    Ok(tables)
}

/// The four tables while a dataset is being read.
struct Writing {
    dataset: &'static str,
    seed: String,
    slices: u32,
    ids: PairIds,
    pairs: TableRows,
    provenance: TableRows,
    rejects: TableRows,
    sources: TableRows,
    pair_sums: BTreeMap<i32, RecordSum>,
    provenance_sums: BTreeMap<i32, RecordSum>,
    reject_sum: RecordSum,
    records: u64,
    made: Made,
}

/// What was made of records.
#[derive(Clone, Copy, Default)]
struct Made {
    pairs: u64,
    rejects: u64,
}

/// What became of a file's records.
struct Became {
    records: u64,
    accounted: u64,
    made: Made,
}

/// Counts the records that something was made of, apart from the reader's own count; rows come in the order of the file.
#[derive(Default)]
struct Accounted {
    records: u64,
    next: u64,
}

impl Accounted {
    fn add(&mut self, row: &ReadRow) {
        let end = row.row + u64::from(row.records);
        if end > self.next {
            self.records += end - row.row.max(self.next);
            self.next = end;
        }
    }
}

/// A table's rows before their commit, and what its slices were made from.
struct NewRows<'spec> {
    spec: &'spec TableSpec,
    parts: Vec<Part>,
    slices: BTreeMap<String, Fingerprint>,
}

/// A pair whose provenance waits for the hash of its file. There is one for every pair of a file, so it is small.
struct Pending {
    pair_id: u128,
    records: u32,
    row: u64,
    byte_offset: u64,
    slice: i32,
}

impl Writing {
    fn start(
        warehouse: &Warehouse,
        specs: &[TableSpec; 4],
        kind: DatasetKind,
        listings: &[Listing],
        options: &IngestOptions,
    ) -> Result<Self> {
        let bytes: u64 = listings.iter().flat_map(|listing| &listing.files).map(|file| file.size).sum();
        let seed = content_seed(kind, options);
        let [pairs, provenance, rejects, sources] = specs;
        Ok(Writing {
            dataset: kind.as_str(),
            reject_sum: RecordSum::seeded(&[&seed, "rejects"]),
            seed,
            slices: slice_count(bytes, options.slice_bytes),
            ids: PairIds::default(),
            pairs: TableRows::start(warehouse, pairs)?,
            provenance: TableRows::start(warehouse, provenance)?,
            rejects: TableRows::start(warehouse, rejects)?,
            sources: TableRows::start(warehouse, sources)?,
            pair_sums: BTreeMap::new(),
            provenance_sums: BTreeMap::new(),
            records: 0,
            made: Made::default(),
        })
    }

    async fn take_chunk(&mut self, chunk: Vec<ReadRow>, file: &str, pending: &mut Vec<Pending>) -> Result<()> {
        for ReadRow { row, records, byte_offset, outcome } in chunk {
            match outcome {
                Ok(read) => {
                    let id = self.ids.next_id(self.dataset, read.key);
                    let (pair_id, slice) = (id_text(id), slice_of(id, self.slices));
                    push_pair(&mut self.pairs.rows, &read, &pair_id, self.dataset, slice);
                    self.made.pairs += 1;
                    let seed = &self.seed;
                    let sum = self.pair_sums.entry(slice).or_insert_with(|| RecordSum::seeded(&[seed, "pairs"]));
                    sum.add(pair_id.as_bytes());
                    pending.push(Pending { pair_id: id, records, row, byte_offset, slice });
                }
                Err(reject) => {
                    push_reject(&mut self.rejects.rows, &reject, file, row, byte_offset, self.dataset);
                    self.made.rejects += 1;
                    self.reject_sum.add(format!("{file}\n{row}\n{byte_offset}\n{reject:?}").as_bytes());
                }
            }
            for table in [&mut self.pairs, &mut self.rejects] {
                table.flush_if_full().await?;
            }
        }
        Ok(())
    }

    async fn write_provenance(&mut self, pending: &[Pending], file: &str, hash: &str) -> Result<()> {
        for pair in pending {
            let pair_id = id_text(pair.pair_id);
            self.provenance.rows.push(&[
                Cell::Text(Some(&pair_id)),
                Cell::Text(Some(file)),
                Cell::Int(Some(pair.row as i64)),
                Cell::Int(Some(i64::from(pair.records))),
                Cell::Int(Some(pair.byte_offset as i64)),
                Cell::Text(Some(hash)),
                Cell::Text(Some(self.dataset)),
                Cell::Int(Some(i64::from(pair.slice))),
            ]);
            let seed = &self.seed;
            let sum =
                self.provenance_sums.entry(pair.slice).or_insert_with(|| RecordSum::seeded(&[seed, "provenance"]));
            let place = format!("{pair_id}\n{file}\n{} {}\n{}\n{hash}", pair.row, pair.records, pair.byte_offset);
            sum.add(place.as_bytes());
            self.provenance.flush_if_full().await?;
        }
        Ok(())
    }

    fn push_source(&mut self, url: &str, file: &SourceFile, hash: &str, became: &Became) {
        self.sources.rows.push(&[
            Cell::Text(Some(url)),
            Cell::Text(Some(&file.name)),
            Cell::Int(Some(file.size as i64)),
            Cell::Int(Some(file.last_modified_micros)),
            Cell::Text(file.e_tag.as_deref()),
            Cell::Text(Some(hash)),
            Cell::Int(Some(became.records as i64)),
            Cell::Int(Some(became.accounted as i64)),
            Cell::Int(Some(became.made.pairs as i64)),
            Cell::Int(Some(became.made.rejects as i64)),
            Cell::Text(Some(self.dataset)),
            Cell::Int(Some(0)),
        ]);
    }

    async fn commit(
        self,
        warehouse: &Warehouse,
        specs: &[TableSpec; 4],
        heads: &BTreeMap<String, Table>,
        fingerprint: Fingerprint,
        rewrite: bool,
        note: &CommitNote,
    ) -> Result<Vec<Table>> {
        let key_of = |slice: i32| slice_key([self.dataset, &slice.to_string()]);
        let of_slices = |sums: BTreeMap<i32, RecordSum>| -> BTreeMap<String, Fingerprint> {
            sums.into_iter().map(|(slice, sum)| (key_of(slice), sum.fingerprint())).collect()
        };
        let [pairs, provenance, rejects, sources] = specs;
        let pairs = NewRows { spec: pairs, parts: self.pairs.finish().await?, slices: of_slices(self.pair_sums) };
        let provenance = NewRows {
            spec: provenance,
            parts: self.provenance.finish().await?,
            slices: of_slices(self.provenance_sums),
        };
        let reject_sum = BTreeMap::from([(key_of(0), self.reject_sum.fingerprint())]);
        let rejects = NewRows { spec: rejects, parts: self.rejects.finish().await?, slices: reject_sum };
        let complete = BTreeMap::from([(key_of(0), fingerprint)]);
        let sources = NewRows { spec: sources, parts: self.sources.finish().await?, slices: complete };
        let prefix = prefix_of(self.dataset);
        // From here on the dataset counts as incomplete, until `sources` gets its fingerprint back as the last of the four.
        let mut heads = heads.clone();
        if let Some(head) = heads.get(SOURCES) {
            let without = SliceChanges::find(Some(head), &BTreeMap::new(), &prefix, false).await?;
            let head = without.commit(warehouse, sources.spec, Some(head), Vec::new(), note).await?;
            heads.insert(SOURCES.to_owned(), head);
        }
        let replace = async |NewRows { spec, parts, slices }: NewRows<'_>| {
            let head = heads.get(&spec.name);
            let changes = SliceChanges::find(head, &slices, &prefix, rewrite).await?;
            let is_wanted = |part: &Part| {
                part.partition_value("slice").is_some_and(|slice| changes.replaces(&slice_key([self.dataset, slice])))
            };
            let (wanted, unwanted): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(is_wanted);
            for part in unwanted {
                warehouse.discard(spec, &part).await?;
            }
            changes.commit(warehouse, spec, head, wanted, note).await
        };
        let (pairs, provenance, rejects) = futures::try_join!(replace(pairs), replace(provenance), replace(rejects))?;
        Ok(vec![pairs, provenance, rejects, replace(sources).await?])
    }
}

/// How the keys of a dataset's slices begin.
fn prefix_of(dataset: &str) -> String {
    format!("{}/", slice_key([dataset]))
}
