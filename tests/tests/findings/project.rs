//! A project of pairs that a test writes, its tables, and the tree of its code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use secprm::catalog::Rows;
use secprm::open::open;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};
use secprm::stage::World;
use secprm_stages::findings::{CODE_COLUMNS, WrittenCode, write_code};

/// A project in a temporary folder; its raw records are in `data`, its SARIF files in `findings`.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// Writes the records and a configuration without analyses.
    pub fn new(records: &[String]) -> Project {
        let project = Project { folder: tempfile::tempdir().unwrap() };
        project.write("data/train/cwe-125.jsonl", &records.join("\n"));
        project.configure("");
        project
    }

    /// Writes the configuration anew, with some more sections.
    pub fn configure(&self, extra: &str) {
        let source = "[[source]]\ndataset = \"sven\"\nurl = \"data\"\n[limits]\nslice_mib = 1\n";
        self.write("secprm.toml", &format!("version = 1\nwarehouse = \"./warehouse\"\n{source}{extra}"));
    }

    /// Returns the path of a file or folder in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, folders included.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs the stages up to `samples` and returns which were executed.
    pub async fn run(&self) -> Vec<String> {
        self.try_run().await.unwrap()
    }

    /// The same, where it may fail.
    pub async fn try_run(&self) -> Result<Vec<String>, secprm::error::Error> {
        let (world, dag) = open(Some(&self.path("secprm.toml")))?.world(Progress::silent()).await?;
        let options =
            RunOptions { select: vec!["+samples".to_owned(), "findings".to_owned()], ..RunOptions::default() };
        let outcome = run(world, dag, &options).await?;
        Ok(outcome.stages.into_iter().map(|stage| stage.stage).collect())
    }

    /// Returns the tables as they are.
    pub async fn world(&self) -> Arc<World> {
        open(Some(&self.path("secprm.toml"))).unwrap().world(Progress::silent()).await.unwrap().0
    }

    /// Writes the vulnerable versions to the folder `code`.
    pub async fn export_code(&self) -> WrittenCode {
        let world = self.world().await;
        let session = world.sessions.open(&world.heads(), Rows::All).unwrap();
        let pairs = session.table("pairs").await.unwrap().select_columns(&CODE_COLUMNS).unwrap();
        write_code(pairs.execute_stream().await.unwrap(), &self.path("code")).await.unwrap()
    }

    /// Answers a query of one column of text.
    pub async fn texts(&self, query: &str) -> BTreeSet<String> {
        let world = self.world().await;
        let session = world.sessions.open(&world.heads(), Rows::All).unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        let rows = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            (0..batch.num_rows()).map(|row| column.value(row).to_owned())
        });
        rows.collect()
    }

    /// Answers a query of one number.
    pub async fn count(&self, query: &str) -> i64 {
        let world = self.world().await;
        let session = world.sessions.open(&world.heads(), Rows::All).unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }
}

/// Returns a record in SVEN's layout.
pub fn record(name: &str, before: &str, after: &str, file: &str) -> String {
    serde_json::json!({
        "func_name": name, "func_src_before": before, "func_src_after": after,
        "commit_link": format!("github.com/owner/repository/commit/{name}"), "file_name": file, "vul_type": "cwe-125",
    })
    .to_string()
}

/// Lists the files below a folder, sorted.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}
