//! Measurements as lines of JSON, and lines of several programs as one table.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::Result;

static ALL_WITHIN: AtomicBool = AtomicBool::new(true);

/// One number that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// The program: `secprm` or `pytorch`.
    pub who: String,
    /// The part it belongs to.
    pub part: String,
    /// What was measured; the same text for the same thing in both programs.
    pub what: String,
    /// The number; none where the part failed.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: String,
    /// What it may be at most.
    #[serde(default)]
    pub limit: Option<f64>,
    /// Why there is no number.
    #[serde(default)]
    pub failure: Option<String>,
}

impl Measurement {
    fn is_within(&self) -> bool {
        match (self.value, self.limit) {
            (None, _) => false,
            (Some(value), Some(limit)) => value <= limit,
            (Some(value), None) => value.is_finite(),
        }
    }
}

/// Prints a number.
pub fn number(part: &str, what: &str, value: f64, unit: &str) {
    print(part, what, value, unit, None);
}

/// Prints a number that must not be above a limit.
pub fn limited(part: &str, what: &str, value: f64, unit: &str, limit: f64) {
    print(part, what, value, unit, Some(limit));
}

fn print(part: &str, what: &str, value: f64, unit: &str, limit: Option<f64>) {
    // JSON has no word for a number that is none.
    let value = value.is_finite().then_some(value);
    let failure = value.is_none().then(|| "not a finite number".to_owned());
    emit(&Measurement {
        who: "secprm".to_owned(),
        part: part.to_owned(),
        what: what.to_owned(),
        value,
        unit: unit.to_owned(),
        limit,
        failure,
    });
}

/// Prints that a part gave no number.
pub fn failure(part: &str, reason: &str) {
    emit(&Measurement {
        who: "secprm".to_owned(),
        part: part.to_owned(),
        what: "runs to its end".to_owned(),
        value: None,
        unit: String::new(),
        limit: None,
        failure: Some(reason.to_owned()),
    });
}

fn emit(measurement: &Measurement) {
    if !measurement.is_within() {
        ALL_WITHIN.store(false, Ordering::Relaxed);
    }
    match serde_json::to_string(measurement) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("{error}"),
    }
}

/// Tells whether everything that this process printed was within its limit.
pub fn all_within() -> bool {
    ALL_WITHIN.load(Ordering::Relaxed)
}

/// Prints a table of the lines in files, a row a thing that was measured, a column a program.
pub fn table(files: &[String]) -> Result<bool> {
    let mut rows: Vec<(String, String, String)> = Vec::new();
    let mut cells: BTreeMap<((String, String, String), String), Measurement> = BTreeMap::new();
    for file in files {
        let content = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        for line in content.lines().filter(|line| line.starts_with('{')) {
            let found: Measurement = serde_json::from_str(line).map_err(|error| format!("{file}: {error}"))?;
            let row = (found.part.clone(), found.what.clone(), found.unit.clone());
            if !rows.contains(&row) {
                rows.push(row.clone());
            }
            cells.insert((row, found.who.clone()), found);
        }
    }
    println!("{:<10} {:<52} {:>12} {:>12} {:>10} {:<9}", "part", "what", "secprm", "pytorch", "at most", "unit");
    let mut all_within = true;
    for row in rows {
        let cell = |who: &str| cells.get(&(row.clone(), who.to_owned()));
        let shown = |who: &str| match cell(who) {
            None => String::new(),
            Some(found) => found.value.map_or_else(|| "failed".to_owned(), short),
        };
        let ours = cell("secprm");
        let is_within = ours.is_none_or(Measurement::is_within);
        all_within &= is_within;
        let limit = ours.and_then(|found| found.limit).map(short).unwrap_or_default();
        let mark = if is_within { "" } else { "  <-- " };
        let reasons: Vec<&str> = ["secprm", "pytorch"]
            .iter()
            .filter_map(|who| cell(who).and_then(|found| found.failure.as_deref()))
            .collect();
        println!(
            "{:<10} {:<52} {:>12} {:>12} {limit:>10} {:<9}{mark}{}",
            row.0,
            row.1,
            shown("secprm"),
            shown("pytorch"),
            row.2,
            reasons.join("; ")
        );
    }
    Ok(all_within)
}

/// Four digits, or a power of ten for small numbers.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 0.01 => format!("{value:.1e}"),
        size if size < 100.0 => format!("{value:.3}"),
        _ => format!("{value:.0}"),
    }
}
