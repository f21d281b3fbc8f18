//! A project of its own for each test.

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use secprm::open::{Opened, open};
use secprm::progress::Progress;
use secprm::run::{RunOptions, RunOutcome, run};

/// Publishes data and trains nothing.
pub const NO_TRAINING: &str = "[train]\nwhen = \"manual\"\n";

/// A configuration in a temporary folder, and the warehouse beside it.
pub struct TestProject {
    folder: tempfile::TempDir,
}

impl TestProject {
    /// Writes a configuration with some sources, each a dataset and its url, and further sections.
    pub fn new(sources: &[(&str, &str)], sections: &str) -> TestProject {
        let project = TestProject { folder: tempfile::tempdir().unwrap() };
        project.configure(sources, sections);
        project
    }

    /// Writes the configuration anew.
    pub fn configure(&self, sources: &[(&str, &str)], sections: &str) {
        let sources: String = sources
            .iter()
            .map(|(dataset, url)| format!("[[source]]\ndataset = \"{dataset}\"\nurl = \"{url}\"\n"))
            .collect();
        let text = format!("version = 1\nwarehouse = \"./warehouse\"\n{sources}{sections}");
        std::fs::write(self.path("secprm.toml"), text).unwrap();
    }

    /// Moves the warehouse to a URL.
    pub fn move_warehouse(&self, url: &str) {
        let text = std::fs::read_to_string(self.path("secprm.toml")).unwrap();
        std::fs::write(self.path("secprm.toml"), text.replace("./warehouse", url)).unwrap();
    }

    /// Returns the path of a file or folder in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens the project as a command does.
    pub fn open(&self) -> Opened {
        open(Some(&self.path("secprm.toml"))).unwrap()
    }

    /// Runs it, which must succeed.
    pub async fn run(&self, options: &RunOptions) -> RunOutcome {
        let (world, dag) = self.open().world(Progress::silent()).await.unwrap();
        run(world, dag, options).await.unwrap()
    }

    /// Runs all stages, or those selected.
    pub async fn run_selected(&self, select: &[&str]) -> RunOutcome {
        let select = select.iter().map(|word| (*word).to_owned()).collect();
        self.run(&RunOptions { select, ..RunOptions::default() }).await
    }

    /// Returns the one number that a query over the release gives.
    pub async fn count(&self, query: &str) -> i64 {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    /// Returns the texts that a query over the release gives.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let (session, _) = self.open().session(None).await.unwrap();
        let batches = session.sql(query).await.unwrap().collect().await.unwrap();
        let texts = batches.iter().flat_map(|batch| {
            let column = batch.column(0).as_string::<i32>();
            (0..batch.num_rows()).map(|row| column.value(row).to_owned())
        });
        texts.collect()
    }
}

/// Returns the names of the stages that a run executed.
pub fn stages(outcome: &RunOutcome) -> Vec<&str> {
    outcome.stages.iter().map(|stage| stage.stage.as_str()).collect()
}

/// Returns the folder of a real dataset; says that the test is skipped where there is none.
pub fn real_data(dataset: &str) -> Option<String> {
    let folder = match std::env::var_os("SECPRM_REAL_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = folder.join(dataset);
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder.canonicalize().unwrap().display().to_string())
}
