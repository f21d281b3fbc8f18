//! Reads the SARIF files of all analyses and replaces `finding_rejects`, `findings` and `analyses`.
//!
//! Reads SARIF files; writes the three tables in that order. The first and the last carry the fingerprint of all that was read, so a
//! run that was killed in between leaves them unlike and starts again, whatever the files are by then. The slices of `findings`
//! carry a fingerprint of their own rows: one that is written again as it was makes nothing after it stale.

use std::collections::BTreeMap;
use std::sync::Arc;

use secprm_storage::{CommitMode, CommitNote, Fingerprint, SourceFile, Table, TableSpec, Warehouse, slice_key};

use super::listing::{Analysis, AnalysisListing, fingerprint_of};
use super::pairs::KnownPairs;
use super::read::{AnalysisEnd, AnalysisReading, FindingReject, PlacedFinding, ReadFinding, ToolName, start_reading};
use super::tables::finding_tables;
use crate::error::Result;
use crate::ingest::{RecordSum, id_text};
use crate::tables::{Cell, Rows, SliceChanges, TableRows};

/// Version of what is made of a SARIF file and of the names in the exported tree; part of the fingerprint.
pub const FINDINGS_VERSION: u32 = 1;

/// Bounds on memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingOptions {
    /// A file with a result of more bytes is an error.
    pub max_result_bytes: u64,
}

/// Reads all files, finds each finding's pair and replaces the three tables; returns their new versions.
///
/// `heads` are the newest versions of the tables by name, `pairs` all pairs, and `pairs_fingerprint` stands for them in the tables'
/// fingerprint.
///
/// # Errors
/// [`crate::StageError::Source`] if a file is no SARIF, [`crate::StageError::Read`] if one cannot be read to its end; nothing is
/// committed then.
pub async fn read_analyses(
    warehouse: &Warehouse,
    listings: &[AnalysisListing],
    (pairs, pairs_fingerprint): (Arc<KnownPairs>, &str),
    options: &FindingOptions,
    heads: &BTreeMap<String, Table>,
    note: &CommitNote,
) -> Result<Vec<Table>> {
    let specs = finding_tables();
    let mut writing = Writing::start(warehouse, &specs)?;
    let mut hashes = Vec::new();
    for listing in listings {
        let Analysis { url, location } = &listing.analysis;
        for file in &listing.files {
            let reading = start_reading(location, file, options.max_result_bytes, pairs.clone()).await?;
            let hash = writing.take_file(reading, url, file).await?;
            hashes.push((url.clone(), file.name.clone(), hash));
        }
    }
    let fingerprint = fingerprint_of(&hashes, pairs_fingerprint, options);
    writing.commit(warehouse, &specs, heads, fingerprint, note).await
}

/// The three tables while files are being read.
struct Writing {
    rejects: TableRows,
    findings: TableRows,
    analyses: TableRows,
    sums: BTreeMap<String, RecordSum>,
}

/// What became of a file's results.
#[derive(Default)]
struct Became {
    accounted: u64,
    last: Option<u64>,
    findings: u64,
    rejects: u64,
}

impl Writing {
    fn start(warehouse: &Warehouse, specs: &[TableSpec; 3]) -> Result<Self> {
        let [rejects, findings, analyses] = specs;
        Ok(Writing {
            rejects: TableRows::start(warehouse, rejects)?,
            findings: TableRows::start(warehouse, findings)?,
            analyses: TableRows::start(warehouse, analyses)?,
            sums: BTreeMap::new(),
        })
    }

    /// Takes all rows of a file and returns its hash.
    async fn take_file(&mut self, reading: AnalysisReading, url: &str, file: &SourceFile) -> Result<String> {
        let AnalysisReading { mut rows, end } = reading;
        let mut became = Became::default();
        while let Some(chunk) = rows.recv().await {
            for ReadFinding { row, tool, outcome } in chunk {
                became.accounted += u64::from(became.last.replace(row) != Some(row));
                match outcome {
                    Ok(placed) => {
                        self.push_finding(&placed, &tool, &file.name);
                        became.findings += 1;
                    }
                    Err(reject) => {
                        push_reject(&mut self.rejects.rows, &reject, row, &tool, &file.name);
                        became.rejects += 1;
                    }
                }
            }
            for table in [&mut self.findings, &mut self.rejects] {
                table.flush_if_full().await?;
            }
        }
        let end = end.await??;
        push_analysis(&mut self.analyses.rows, url, file, &end, &became);
        Ok(end.hash)
    }

    fn push_finding(&mut self, placed: &PlacedFinding, tool: &ToolName, file: &str) {
        let PlacedFinding { finding, place } = placed;
        let seed = FINDINGS_VERSION.to_string();
        let key = slice_key([place.dataset.as_ref(), &place.slice.to_string()]);
        let sum = self.sums.entry(key).or_insert_with(|| RecordSum::seeded(&["findings", &seed]));
        sum.add(format!("{file}\n{tool:?}\n{finding:?}\n{} {}", place.pair_id, place.file_index).as_bytes());
        self.findings.rows.push(&[
            Cell::Text(Some(&id_text(place.pair_id))),
            Cell::Int(Some(place.file_index.into())),
            Cell::Int(Some(finding.start_line.into())),
            Cell::Int(Some(finding.end_line.into())),
            Cell::Text(Some(&tool.name)),
            Cell::Text(tool.version.as_deref()),
            Cell::Text(finding.rule_id.as_deref()),
            Cell::Text(Some(finding.level.as_str())),
            Cell::Text(finding.message.as_deref()),
            Cell::Text(Some(file)),
            Cell::Text(Some(&place.dataset)),
            Cell::Int(Some(place.slice.into())),
        ]);
    }

    async fn commit(
        self,
        warehouse: &Warehouse,
        specs: &[TableSpec; 3],
        heads: &BTreeMap<String, Table>,
        fingerprint: Fingerprint,
        note: &CommitNote,
    ) -> Result<Vec<Table>> {
        let [rejects_spec, findings_spec, analyses_spec] = specs;
        let mode = CommitMode::ReplaceAll { fingerprint };
        let (rejects, findings, analyses) =
            (self.rejects.finish().await?, self.findings.finish().await?, self.analyses.finish().await?);
        let head = |spec: &TableSpec| heads.get(&spec.name);
        let slices = self.sums.into_iter().map(|(key, sum)| (key, sum.fingerprint())).collect();
        // All are written anew: an equal fingerprint makes nothing after them stale.
        let changes = SliceChanges::find(head(findings_spec), &slices, "", true).await?;
        let mut tables = vec![warehouse.commit(rejects_spec, head(rejects_spec), rejects, &mode, note).await?];
        tables.push(changes.commit(warehouse, findings_spec, head(findings_spec), findings, note).await?);
        tables.push(warehouse.commit(analyses_spec, head(analyses_spec), analyses, &mode, note).await?);
        Ok(tables)
    }
}

fn push_reject(rows: &mut Rows, reject: &FindingReject, row: u64, tool: &ToolName, file: &str) {
    rows.push(&[
        Cell::Text(Some(file)),
        Cell::Int(Some(row as i64)),
        Cell::Text(Some(&tool.name)),
        Cell::Text(Some(reject.reason.as_str())),
        Cell::Text(Some(&reject.detail)),
        Cell::Text(Some(&reject.raw)),
    ]);
}

fn push_analysis(rows: &mut Rows, url: &str, file: &SourceFile, end: &AnalysisEnd, became: &Became) {
    let mut tools: Vec<String> = Vec::new();
    for tool in &end.tools {
        let named = [Some(tool.name.as_str()), tool.version.as_deref()];
        let named = named.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if !tools.contains(&named) {
            tools.push(named);
        }
    }
    rows.push(&[
        Cell::Text(Some(url)),
        Cell::Text(Some(&file.name)),
        Cell::Int(Some(file.size as i64)),
        Cell::Int(Some(file.last_modified_micros)),
        Cell::Text(file.e_tag.as_deref()),
        Cell::Text(Some(&end.hash)),
        Cell::Text(Some(&tools.join(", "))),
        Cell::Int(Some(end.results as i64)),
        Cell::Int(Some(became.accounted as i64)),
        Cell::Int(Some(became.findings as i64)),
        Cell::Int(Some(became.rejects as i64)),
    ]);
}
