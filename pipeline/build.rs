//! Lists the files of the sample datasets, so that the binary can hold them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    // Asked for now and not when this script was compiled, since a target folder may serve several checkouts.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let samples = package.join("../tests/samples").canonicalize()?;
    println!("cargo::rerun-if-changed={}", samples.display());
    let mut table = String::from("[\n");
    for dataset in entries(&samples)?.iter().filter(|entry| entry.is_dir()) {
        let mut files = Vec::new();
        collect(dataset, &mut files)?;
        let _ = writeln!(table, "({:?}, [", name_below(&samples, dataset));
        for file in files {
            let _ = writeln!(table, "({:?}, include_bytes!({file:?}).as_slice()),", name_below(dataset, &file));
        }
        table.push_str("].as_slice()),\n");
    }
    table.push(']');
    let target = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    fs::write(target.join("samples.rs"), table)
}

/// Collects the files below a folder, in order; what explains them to people is not data.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in entries(folder)? {
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if entry.extension().is_none_or(|ending| ending != "md") {
            files.push(entry);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn name_below(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}
