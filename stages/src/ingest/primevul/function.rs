//! A line of PrimeVul: one function.

use serde::Deserialize;

use crate::ingest::cwe::cwe_identifiers;
use crate::ingest::flaw::Flaw;
use crate::ingest::json_records::{FieldType, diagnose};
use crate::ingest::links::is_blank;
use crate::ingest::record::{Granularity, Pair, RejectReason, Subset};
use crate::language::Language;

/// The fields a record must have; whatever else it tells may be missing.
const REQUIRED: [(&str, FieldType); 2] = [("func", FieldType::Text), ("target", FieldType::Number)];

/// A version of a function.
pub struct Function {
    /// Whether it is the vulnerable version (`target` 1) or not (`target` 0).
    pub is_vulnerable: bool,
    /// The commit that fixed it, where it is known.
    pub commit_id: Option<String>,
    code: String,
    project: Option<String>,
    cve: Option<String>,
    cwe: Vec<String>,
    file_path: Option<String>,
}

/// The keys that are read. The others are passed over unread: `func_hash` is a number that no 64-bit integer holds.
#[derive(Deserialize)]
struct Line {
    func: String,
    target: i64,
    project: Option<String>,
    commit_id: Option<String>,
    cve: Option<String>,
    cwe: Option<Weaknesses>,
    file_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "cwe is neither an array of strings nor a string")]
enum Weaknesses {
    Several(Vec<Option<String>>),
    One(String),
}

impl Function {
    /// Reads a line.
    ///
    /// # Errors
    /// A flaw where it is no JSON object with `func` and `target`, or `target` is neither 0 nor 1.
    pub fn read(bytes: &[u8]) -> Result<Function, Flaw> {
        let line: Line = serde_json::from_slice(bytes).map_err(|error| diagnose(bytes, &error, &REQUIRED))?;
        // Fields can also be read off an array, by position, which is not what this layout is.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err((RejectReason::NotAnObject, "the record is an array, not an object".to_owned()));
        }
        let is_vulnerable = match line.target {
            0 => false,
            1 => true,
            other => return Err((RejectReason::InvalidValue, format!("target is {other}, neither 0 nor 1"))),
        };
        let cwe = match line.cwe {
            Some(Weaknesses::Several(texts)) => texts.into_iter().flatten().collect::<Vec<String>>().join(" "),
            Some(Weaknesses::One(text)) => text,
            None => String::new(),
        };
        Ok(Function {
            is_vulnerable,
            commit_id: known(line.commit_id),
            code: line.func,
            project: known(line.project),
            cve: known(line.cve),
            cwe: cwe_identifiers(&cwe),
            file_path: known(line.file_name),
        })
    }

    /// Makes an unpaired row of a function.
    ///
    /// # Errors
    /// A flaw where it has no code.
    pub fn alone(self, split: Option<&str>) -> Result<Pair, Flaw> {
        if is_blank(&self.code) {
            return Err((RejectReason::EmptyCode, "func holds no code".to_owned()));
        }
        let mut pair = self.described(Subset::Unpaired, split);
        match self.is_vulnerable {
            true => pair.vulnerable_code = Some(self.code),
            false => pair.secure_code = Some(self.code),
        }
        Ok(pair)
    }

    /// Makes a pair of the vulnerable version and its fixed one; what only one of them tells holds for both.
    ///
    /// # Errors
    /// A flaw where neither has any code.
    pub fn paired(self, fixed: Function, split: Option<&str>) -> Result<Pair, Flaw> {
        if is_blank(&self.code) && is_blank(&fixed.code) {
            return Err((RejectReason::EmptyCode, "func holds no code in either record".to_owned()));
        }
        let told = self.described(Subset::Paired, split);
        let told_by_fixed = fixed.described(Subset::Paired, split);
        Ok(Pair {
            // The file may be known from the fixed version alone.
            language: if told.file_path.is_some() { told.language } else { told_by_fixed.language },
            cwe: if told.cwe.is_empty() { told_by_fixed.cwe } else { told.cwe },
            cve: told.cve.or(told_by_fixed.cve),
            project: told.project.or(told_by_fixed.project),
            commit_id: told.commit_id.or(told_by_fixed.commit_id),
            file_path: told.file_path.or(told_by_fixed.file_path),
            vulnerable_code: Some(self.code),
            secure_code: Some(fixed.code),
            ..told
        })
    }

    /// All but the code.
    fn described(&self, subset: Subset, split: Option<&str>) -> Pair {
        Pair {
            upstream_split: split.map(str::to_owned),
            cwe: self.cwe.clone(),
            cve: self.cve.clone(),
            project: self.project.clone(),
            commit_id: self.commit_id.clone(),
            file_path: self.file_path.clone(),
            ..Pair::bare(subset, Granularity::Function, language_of(self.file_path.as_deref()))
        }
    }
}

/// PrimeVul holds C and C++ alone: what is not C++ by its file's name is C.
fn language_of(file_name: Option<&str>) -> Language {
    match file_name.map(Language::from_path) {
        Some(Language::Cpp) => Language::Cpp,
        _ => Language::C,
    }
}

/// PrimeVul writes `None` where it does not know.
fn known(text: Option<String>) -> Option<String> {
    text.filter(|text| !matches!(text.trim(), "" | "None"))
}
