//! `secprm init`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::DEFAULT_FILE;
use crate::error::{Error, Result};
use crate::relation::RelationKind;

/// A configuration that works at once, with every key explained.
const TEMPLATE: &str = include_str!("../config/template.toml");

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The project's folder; made if it is missing.
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
}

/// Writes `secprm.toml` and `sql/{tables,views,checks}`; never overwrites.
pub fn init(args: &InitArgs) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| Error::usage(format!("cannot write {}: {error}", path.display()));
    let file = args.folder.join(DEFAULT_FILE);
    if file.exists() {
        return Err(Error::usage(format!("{} exists", file.display())).hint("edit it, or name another folder"));
    }
    for kind in [RelationKind::Table, RelationKind::View, RelationKind::Check] {
        let folder = args.folder.join("sql").join(kind.folder());
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    }
    std::fs::write(&file, TEMPLATE).map_err(|error| failed(&file, error))?;
    let enter = if args.folder == Path::new(".") { String::new() } else { format!("`cd {}`, ", args.folder.display()) };
    eprintln!("wrote {}; next: {enter}`secprm plan`, then `secprm run`", file.display());
    Ok(())
}
