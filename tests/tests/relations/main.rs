//! The shipped relations, each against the `.slt` file beside its `.sql` file (sqllogictest's format).
//!
//! A file makes its small inputs, says `LOAD RELATION <name>`, and queries the relation by its name. Rows are hand-made: a file says
//! what its relation means. `SECPRM_UPDATE_SLT=1` writes what the relations answer into the files, to be read before it is kept.

#![allow(clippy::unwrap_used)]

mod columns;
mod database;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secprm::relation::{RelationKind, embedded_files};
use sqllogictest::{Runner, default_column_validator, default_normalizer, default_validator};

use database::Database;

fn sql_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql")
}

fn shipped() -> BTreeSet<PathBuf> {
    let file =
        |(kind, name, _): (RelationKind, &str, &str)| sql_folder().join(kind.folder()).join(format!("{name}.slt"));
    embedded_files().map(file).collect()
}

fn found(extension: &str) -> BTreeSet<PathBuf> {
    let folders = ["tables", "views", "checks"].map(|folder| sql_folder().join(folder));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect()
}

#[test]
fn every_shipped_relation_has_its_slt_and_every_sql_file_is_shipped() {
    assert_eq!(found("slt"), shipped());
    let files: BTreeSet<PathBuf> = found("sql").into_iter().map(|path| path.with_extension("slt")).collect();
    assert_eq!(files, shipped());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_relation_answers_as_its_slt_says() {
    let update = std::env::var_os("SECPRM_UPDATE_SLT").is_some();
    let mut failures = Vec::new();
    for path in shipped() {
        let mut runner = Runner::new(Database::open);
        let outcome = if update {
            let updated = runner
                .update_test_file(&path, " ", default_validator, default_normalizer, default_column_validator)
                .await;
            updated.map_err(|error| error.to_string())
        } else {
            runner.run_file_async(&path).await.map_err(|error| error.to_string())
        };
        failures.extend(outcome.err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
