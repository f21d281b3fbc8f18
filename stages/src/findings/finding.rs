//! What one SARIF result says: findings, one for each of its places, or why it is none.

use serde::{Deserialize, Serialize};

use super::dialects::{could_not_read, last_location_is_the_place};
use super::sarif::{Region, ResultLocation, RunContext, SarifResult};

/// How serious an analyser calls a finding: SARIF's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A serious problem.
    Error,
    /// A problem.
    Warning,
    /// A minor problem, or a chance to do better.
    Note,
    /// No problem at all.
    None,
}

impl Level {
    /// Returns the name in the column `level`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
            Level::None => "none",
        }
    }
}

/// Why a result, or one of its places, is no finding. Closed: tables and docs list exactly these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingRejectReason {
    /// The result is not of SARIF's shape.
    InvalidResult,
    /// The result says that all is well, that somebody set it aside, or that it is no longer there.
    NotAFinding,
    /// The analyser says that it could not read the code.
    CodeNotRead,
    /// Nothing says which lines of which file.
    NoLine,
    /// The file is not below a folder that is named by a known pair.
    FindingWithoutPair,
    /// The pair is known but has no such file.
    FindingWithoutFile,
}

impl FindingRejectReason {
    /// Lists every reason, in the order of declaration.
    pub const ALL: [FindingRejectReason; 6] = [
        FindingRejectReason::InvalidResult,
        FindingRejectReason::NotAFinding,
        FindingRejectReason::CodeNotRead,
        FindingRejectReason::NoLine,
        FindingRejectReason::FindingWithoutPair,
        FindingRejectReason::FindingWithoutFile,
    ];

    /// Returns the name in the column `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingRejectReason::InvalidResult => "invalid_result",
            FindingRejectReason::NotAFinding => "not_a_finding",
            FindingRejectReason::CodeNotRead => "code_not_read",
            FindingRejectReason::NoLine => "no_line",
            FindingRejectReason::FindingWithoutPair => "finding_without_pair",
            FindingRejectReason::FindingWithoutFile => "finding_without_file",
        }
    }
}

/// Why something is no finding, and in words what was found.
pub type Flaw = (FindingRejectReason, String);

/// One place that a rule of an analyser complains about, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, if the analyser names it.
    pub rule_id: Option<String>,
    /// How serious it is.
    pub level: Level,
    /// What the analyser says.
    pub message: Option<String>,
    /// The file's uri, put together from its bases.
    pub uri: String,
    /// The first line, from 1.
    pub start_line: i32,
    /// The last line.
    pub end_line: i32,
}

/// Reads one result, as JSON, and hands each of its places to `each`: at least one finding or flaw.
pub fn read_result(json: &str, run: &RunContext, each: &mut dyn FnMut(Result<Finding, Flaw>)) {
    let result = match serde_json::from_str::<SarifResult>(json) {
        Ok(result) => result,
        Err(error) => return each(Err((FindingRejectReason::InvalidResult, error.to_string()))),
    };
    if let Some(why) = set_aside(&result) {
        return each(Err((FindingRejectReason::NotAFinding, why)));
    }
    let message = result.message.as_ref().and_then(|message| message.text.as_deref());
    if could_not_read(&run.tool, run.rule_id(&result)) {
        return each(Err((
            FindingRejectReason::CodeNotRead,
            message.unwrap_or("the analyser does not say why").to_owned(),
        )));
    }
    let mut locations = result.locations.as_deref().unwrap_or_default();
    if last_location_is_the_place(&run.tool) {
        locations = locations.get(locations.len().saturating_sub(1)..).unwrap_or_default();
    }
    if locations.is_empty() {
        return each(Err((FindingRejectReason::NoLine, "the result has no location".to_owned())));
    }
    for location in locations {
        each(place(location, run).map(|(uri, start_line, end_line)| Finding {
            rule_id: run.rule_id(&result).map(str::to_owned),
            level: run.level(&result),
            message: message.map(str::to_owned),
            uri,
            start_line,
            end_line,
        }));
    }
}

/// Says why a result is not meant to be looked at.
fn set_aside(result: &SarifResult) -> Option<String> {
    match result.kind.as_deref() {
        None | Some("fail") => {}
        Some(kind) => return Some(format!("the result's kind is {kind}")),
    }
    if result.baseline_state.as_deref() == Some("absent") {
        return Some("the result is absent from this run".to_owned());
    }
    let suppressions = result.suppressions.as_deref().unwrap_or_default();
    let is_accepted =
        suppressions.iter().all(|suppression| suppression.status.as_deref().is_none_or(|status| status == "accepted"));
    (!suppressions.is_empty() && is_accepted).then(|| "the result is suppressed".to_owned())
}

fn place(location: &ResultLocation, run: &RunContext) -> Result<(String, i32, i32), Flaw> {
    let no_line = |what: &str| (FindingRejectReason::NoLine, what.to_owned());
    let physical = location.physical_location.as_ref().ok_or_else(|| no_line("a location names no file"))?;
    let artifact = physical.artifact_location.as_ref().ok_or_else(|| no_line("a location names no file"))?;
    let uri = run.uri(artifact).ok_or_else(|| no_line("a location's file has no uri"))?;
    let region = physical.region.as_ref().ok_or_else(|| no_line("the finding is about a whole file"))?;
    let (start_line, end_line) = lines(region)?;
    Ok((uri, start_line, end_line))
}

fn lines(region: &Region) -> Result<(i32, i32), Flaw> {
    let invalid = |line: i64| (FindingRejectReason::InvalidResult, format!("{line} is no line of a region"));
    let of = |line: i64| i32::try_from(line).ok().filter(|line| *line > 0).ok_or_else(|| invalid(line));
    let start =
        region.start_line.ok_or_else(|| (FindingRejectReason::NoLine, "a region has no startLine".to_owned()))?;
    let end = region.end_line.unwrap_or(start);
    // A region that ends before the first character of a line does not reach into it.
    let end = if end > start && region.end_column == Some(1) { end - 1 } else { end };
    if end < start {
        return Err(invalid(end));
    }
    Ok((of(start)?, of(end)?))
}
