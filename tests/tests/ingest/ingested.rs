//! A warehouse that has ingested some sources and done nothing else, so its tables are read as they are, without a release.

use std::fmt::Write;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use secprm::open::open;
use secprm::progress::Progress;
use secprm::run::{RunOptions, run};

/// The tables of ingest.
pub struct Ingested {
    session: SessionContext,
    _folder: tempfile::TempDir,
}

impl Ingested {
    /// Ingests sources, each a dataset and its url.
    pub async fn new(sources: &[(&str, &str)]) -> Ingested {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "version = 1\nwarehouse = \"./warehouse\"\n".to_owned();
        for (dataset, url) in sources {
            writeln!(text, "[[source]]\ndataset = \"{dataset}\"\nurl = \"{url}\"").unwrap();
        }
        let config = folder.path().join("secprm.toml");
        std::fs::write(&config, text).unwrap();
        let (world, dag) = open(Some(&config)).unwrap().world(Progress::silent()).await.unwrap();
        let options = RunOptions { select: vec!["ingest".to_owned()], ..RunOptions::default() };
        run(world.clone(), dag, &options).await.unwrap();
        let session = SessionContext::new();
        for table in ["pairs", "provenance", "ingest_rejects", "sources"] {
            session.register_table(table, world.head(table).unwrap().provider().unwrap()).unwrap();
        }
        Ingested { session, _folder: folder }
    }

    /// Returns the one number that a query gives.
    pub async fn number(&self, query: &str) -> i64 {
        let batches = self.session.sql(query).await.unwrap().collect().await.unwrap();
        batches[0].column(0).as_primitive::<Int64Type>().value(0)
    }

    /// Returns the texts in the first column that a query gives.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let batches = self.session.sql(query).await.unwrap().collect().await.unwrap();
        let rows = batches.iter().flat_map(|batch| {
            let column = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
            let column = column.as_string::<i32>().clone();
            (0..batch.num_rows()).map(move |row| column.value(row).to_owned())
        });
        rows.collect()
    }
}
