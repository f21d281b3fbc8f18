//! Reads SARIF files on blocking threads and hands on what each result became, in file order.

use std::sync::Arc;

use secprm_storage::{Location, SourceFile};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::finding::{Finding, FindingRejectReason, read_result};
use super::pairs::{KnownPairs, PairPlace};
use super::results::{read_results, read_runs};
use super::sarif::RunContext;
use crate::error::{Result, StageError};
use crate::ingest::{Access, open, send, shown};

/// Rows that are handed on at once.
const CHUNK_ROWS: usize = 1024;

/// Bytes of a result that a reject keeps.
const KEPT_OF_RAW: usize = 4096;

/// What became of a place of a result.
#[derive(Debug)]
pub struct ReadFinding {
    /// The result in the file, from 0.
    pub row: u64,
    /// The analyser and its version.
    pub tool: Arc<ToolName>,
    /// A finding in a pair, or why it is none.
    pub outcome: Result<PlacedFinding, FindingReject>,
}

/// An analyser's name and version.
#[derive(Debug, PartialEq, Eq)]
pub struct ToolName {
    /// As it calls itself.
    pub name: String,
    /// Where it tells.
    pub version: Option<String>,
}

/// A finding and the file of a pair it is in.
#[derive(Debug)]
pub struct PlacedFinding {
    /// The finding.
    pub finding: Finding,
    /// The file.
    pub place: PairPlace,
}

/// A result that is not carried on.
#[derive(Debug)]
pub struct FindingReject {
    /// Why.
    pub reason: FindingRejectReason,
    /// What was found.
    pub detail: String,
    /// The result, as far as it is kept.
    pub raw: String,
}

/// What is known once a file was read to its end.
#[derive(Debug)]
pub struct AnalysisEnd {
    /// Results in the file.
    pub results: u64,
    /// The analyser of each run, in the order of the file.
    pub tools: Vec<Arc<ToolName>>,
    /// BLAKE3 of the file.
    pub hash: String,
}

/// A file being read.
pub struct AnalysisReading {
    /// Its rows, chunk by chunk, in file order.
    pub rows: mpsc::Receiver<Vec<ReadFinding>>,
    /// Its end, once the rows are through.
    pub end: JoinHandle<Result<AnalysisEnd>>,
}

/// Starts reading a file, twice from first to last (see [`read_runs`]); at most three chunks are held in memory.
pub async fn start_reading(
    location: &Location,
    file: &SourceFile,
    max_result_bytes: u64,
    pairs: Arc<KnownPairs>,
) -> Result<AnalysisReading> {
    let mut first = open(location, file, Access::Stream).await?;
    let mut second = open(location, file, Access::Stream).await?;
    let name = location.display(file);
    let (sender, rows) = mpsc::channel(2);
    let end = tokio::task::spawn_blocking(move || {
        let unreadable = |source| StageError::Read { file: name.clone(), source };
        let runs = read_runs(&name, first.input().stream(&name)?)?;
        let hash = first.finish().map_err(unreadable)?;
        let tools: Vec<Arc<ToolName>> = runs.iter().map(tool_name).collect();
        let mut row = 0;
        let mut chunk = Vec::new();
        let results = read_results(&name, second.input().stream(&name)?, max_result_bytes, &mut |run, json| {
            let (Some(run), Some(tool)) = (runs.get(run), tools.get(run)) else { return Err(changed(&name)) };
            read_result(json, run, &mut |found| {
                chunk.push(ReadFinding { row, tool: tool.clone(), outcome: placed(found, &pairs, json) });
            });
            row += 1;
            if chunk.len() >= CHUNK_ROWS {
                send(&sender, std::mem::take(&mut chunk), &name)?;
            }
            Ok(())
        })?;
        if second.finish().map_err(unreadable)? != hash {
            return Err(changed(&name));
        }
        send(&sender, chunk, &name)?;
        Ok(AnalysisEnd { results, tools, hash })
    });
    Ok(AnalysisReading { rows, end })
}

fn tool_name(run: &RunContext) -> Arc<ToolName> {
    Arc::new(ToolName { name: run.tool.clone(), version: run.tool_version.clone() })
}

fn placed(
    found: Result<Finding, (FindingRejectReason, String)>,
    pairs: &KnownPairs,
    json: &str,
) -> Result<PlacedFinding, FindingReject> {
    let placed = found.and_then(|finding| Ok(PlacedFinding { place: pairs.place(&finding.uri)?, finding }));
    placed.map_err(|(reason, detail)| {
        let kept = json.as_bytes().get(..KEPT_OF_RAW).unwrap_or(json.as_bytes());
        FindingReject { reason, detail, raw: shown(kept) }
    })
}

fn changed(file: &str) -> StageError {
    StageError::Read { file: file.to_owned(), source: std::io::Error::other("it changed while it was read; run again") }
}
