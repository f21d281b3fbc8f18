//! The pairs of our own sample data, which everything generated is made of.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

/// A pair of versions of a function or file.
pub struct SamplePair {
    /// The ending of its file's name, which stands for its language; endings of one language are one.
    pub ending: String,
    /// Whether it is a whole file.
    pub is_file: bool,
    /// The vulnerable version.
    pub vulnerable: String,
    /// The fixed version.
    pub secure: String,
}

/// Reads the pairs of all datasets but BigVul, whose functions are of PrimeVul's kind.
///
/// # Errors
/// If a file cannot be read. Records that are broken on purpose are passed over.
pub fn sample_pairs(folder: &Path) -> io::Result<Vec<SamplePair>> {
    let mut pairs = Vec::new();
    for record in records(&folder.join("sven/train"))?.iter().chain(&records(&folder.join("sven/val"))?) {
        pairs.extend(pair(&record["file_name"], false, &record["func_src_before"], &record["func_src_after"]));
    }
    for neighbours in records(&folder.join("primevul"))?.windows(2) {
        let [first, second] = neighbours else { continue };
        let targets = (first["target"].as_u64(), second["target"].as_u64());
        if targets == (Some(1), Some(0)) && first["commit_id"] == second["commit_id"] {
            pairs.extend(pair(&first["file_name"], false, &first["func"], &second["func"]));
        }
    }
    for record in records(&folder.join("reposvul"))? {
        for file in record["details"].as_array().into_iter().flatten() {
            pairs.extend(functions_of(file));
        }
    }
    for entry in sorted(&folder.join("precisebugs/CVEs"))? {
        let entry: Value = serde_json::from_slice(&fs::read(entry.join("BugEntry.json"))?).unwrap_or_default();
        let [names, buggy, fixing] = ["filenames", "buggy_code", "fixing_code"].map(|key| entry[key].as_array());
        let (Some(names), Some(buggy), Some(fixing)) = (names, buggy, fixing) else { continue };
        for ((name, vulnerable), secure) in names.iter().zip(buggy).zip(fixing) {
            pairs.extend(pair(name, true, vulnerable, secure));
        }
    }
    Ok(pairs)
}

/// Returns the records of all `.jsonl` files of a folder that are JSON.
fn records(folder: &Path) -> io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for file in sorted(folder)?.iter().filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        let bytes = fs::read(file)?;
        found.extend(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok()));
    }
    Ok(found)
}

fn sorted(folder: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    let in_folder = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let entries: io::Result<Vec<_>> = fs::read_dir(folder).map_err(in_folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}

/// Pairs the functions of one of ReposVul's files by their first line, which no fix in the samples changes.
fn functions_of(file: &Value) -> Vec<SamplePair> {
    let texts = |key: &str| -> Vec<&str> {
        let functions = file[key].as_array().into_iter().flatten();
        functions.filter_map(|function| function["function"].as_str()).collect()
    };
    let after = texts("function_after");
    let paired = texts("function_before").into_iter().filter_map(|vulnerable| {
        let secure = after.iter().find(|secure| secure.lines().next() == vulnerable.lines().next())?;
        pair(&file["file_name"], false, &vulnerable.into(), &(*secure).into())
    });
    paired.collect()
}

fn pair(file: &Value, is_file: bool, vulnerable: &Value, secure: &Value) -> Option<SamplePair> {
    let (vulnerable, secure) = (vulnerable.as_str()?.to_owned(), secure.as_str()?.to_owned());
    let ending = match file.as_str()?.rsplit('.').next()? {
        "h" | "None" => "c",
        "cc" | "hpp" | "cxx" => "cpp",
        ending => ending,
    };
    Some(SamplePair { ending: ending.to_owned(), is_file, vulnerable, secure })
}
