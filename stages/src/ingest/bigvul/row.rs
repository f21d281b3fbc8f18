//! A row of BigVul, out of whichever of the two layouts, and the pair it is.

use super::columns::COLUMN_COUNT;
use crate::ingest::cwe::cwe_identifiers;
use crate::ingest::dates::parse_moment;
use crate::ingest::flaw::Flaw;
use crate::ingest::links::{is_blank, non_empty};
use crate::ingest::record::{Granularity, Pair, RejectReason, Subset};
use crate::language::Language;

/// Letters of a bad value that a reject's detail shows.
const SHOWN_OF_VALUE: usize = 40;

/// The fields of a row as text, in the order of [`super::columns::COLUMNS`]; empty where there is no value.
pub type Row<'row> = [&'row str; COLUMN_COUNT];

/// Makes a pair of a row with `vul` 1, also where both versions are the same, and an unpaired secure row of one with `vul` 0.
///
/// # Errors
/// A flaw where `vul` or the date cannot be read, or there is no code. A date that is none hints at shifted columns, and dropping it
/// would silently change a split by time: so it is a flaw too.
pub fn pair_of(row: Row<'_>, split: Option<&str>) -> Result<Pair, Flaw> {
    let [cve, cwe, publish_date, commit_id, file_name, func_after, func_before, lang, project, vul] = row;
    let is_vulnerable = match vul.trim() {
        "0" => false,
        "1" => true,
        "" => return Err((RejectReason::MissingField, "vul has no value".to_owned())),
        _ => return Err((RejectReason::InvalidValue, format!("vul is \"{}\", neither 0 nor 1", start_of(vul)))),
    };
    let (subset, vulnerable_code, secure_code) = match is_vulnerable {
        true => (Subset::Paired, Some(func_before), func_after),
        false => (Subset::Unpaired, None, func_before),
    };
    if is_blank(secure_code) && vulnerable_code.is_none_or(is_blank) {
        return Err((RejectReason::EmptyCode, "func_before (and func_after, where vul is 1) holds no code".to_owned()));
    }
    Ok(Pair {
        upstream_split: split.map(str::to_owned),
        cwe: cwe_identifiers(cwe),
        cve: non_empty(cve.trim()),
        project: non_empty(project.trim()),
        commit_id: non_empty(commit_id.trim()),
        published_at: publication(publish_date.trim())?,
        file_path: non_empty(file_name.trim()),
        vulnerable_code: vulnerable_code.map(str::to_owned),
        secure_code: Some(secure_code.to_owned()),
        ..Pair::bare(subset, Granularity::Function, language_of(lang.trim(), file_name))
    })
}

/// The language by the file's name. `lang` decides where that tells nothing, and for headers, which both languages have.
fn language_of(lang: &str, file_name: &str) -> Language {
    let by_name = Language::from_path(file_name);
    let is_header = file_name.to_ascii_lowercase().ends_with(".h");
    if by_name != Language::Text && !is_header {
        return by_name;
    }
    match lang.to_ascii_lowercase().as_str() {
        "" => Language::C,
        "c++" | "cxx" => Language::Cpp,
        other => other.parse().unwrap_or(Language::Text),
    }
}

/// Microseconds since 1970 at the start of a day, UTC; `None` for no date.
fn publication(date: &str) -> Result<Option<i64>, Flaw> {
    match parse_moment(date) {
        None if !date.is_empty() => {
            let detail = format!("Publish Date is \"{}\", not of the form 2019-01-31", start_of(date));
            Err((RejectReason::InvalidValue, detail))
        }
        micros => Ok(micros),
    }
}

fn start_of(value: &str) -> String {
    value.chars().take(SHOWN_OF_VALUE).collect()
}
