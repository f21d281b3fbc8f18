//! Stage `findings`: static analysers' results into `findings`, `finding_rejects` and `analyses`. Its unit is all files together.
//!
//! Without an `[[analysis]]` it reads nothing and, unless there were analyses before, writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use secprm_stages::findings::{
    ANALYSES, Analysis, FINDING_REJECTS, FINDINGS_VERSION, FindingOptions, KNOWN_PAIR_COLUMNS, KnownPairs,
    analyses_fingerprint, finding_tables, list_analyses, read_analyses, unread_analyses_fingerprint,
};
use secprm_stages::ingest::PAIRS;
use secprm_storage::Table;

use super::ingest::known_files;
use super::note_files;
use crate::catalog::Rows;
use crate::config::Project;
use crate::error::Result;
use crate::freshness::table_hash;
use crate::relation::{BASE_SCHEMA, Scope};
use crate::stage::{Assessment, Declaration, Stage, World};

/// Reads SARIF files.
pub struct FindingsStage {
    declaration: Declaration,
    analyses: Vec<Analysis>,
    options: FindingOptions,
}

impl FindingsStage {
    /// Makes the stage of a project's analyses.
    pub fn new(project: &Project, analyses: Vec<Analysis>) -> Self {
        let limit = project.config.limits.max_record_bytes;
        let inputs = BTreeMap::from([
            ("findings stage".to_owned(), FINDINGS_VERSION.to_string()),
            ("[limits] max_record_bytes".to_owned(), limit.to_string()),
        ]);
        let reads = if analyses.is_empty() { Vec::new() } else { vec![PAIRS.to_owned()] };
        let declaration = Declaration {
            name: "findings".to_owned(),
            reads,
            writes: finding_tables().into_iter().map(|spec| spec.name).collect(),
            scope: Scope::Global,
            inputs,
            manual: false,
        };
        FindingsStage { declaration, analyses, options: FindingOptions { max_result_bytes: limit as u64 } }
    }

    /// What stands for the pairs in the fingerprint: nothing where none is looked up.
    async fn pairs_hash(&self, world: &World) -> Result<String> {
        match self.analyses.is_empty() {
            true => Ok(String::new()),
            false => table_hash(world.head(PAIRS).as_ref()).await,
        }
    }

    async fn known_pairs(&self, world: &World) -> Result<KnownPairs> {
        let mut known = KnownPairs::default();
        let (false, Some(pairs)) = (self.analyses.is_empty(), world.head(PAIRS)) else { return Ok(known) };
        let session = world.sessions.open(&BTreeMap::from([(PAIRS.to_owned(), pairs)]), Rows::All)?;
        let frame = session.table(format!("{BASE_SCHEMA}.{PAIRS}")).await?.select_columns(&KNOWN_PAIR_COLUMNS)?;
        let mut batches = frame.execute_stream().await?;
        while let Some(batch) = batches.next().await {
            known.add(&batch?)?;
        }
        Ok(known)
    }
}

#[async_trait]
impl Stage for FindingsStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn assess(&self, world: &World) -> Result<Assessment> {
        let mut assessment = Assessment { inputs: self.declaration.inputs.clone(), ..Assessment::default() };
        if self.analyses.is_empty() && world.head(ANALYSES).is_none() {
            return Ok(assessment);
        }
        let listings = list_analyses(&self.analyses).await?;
        let pairs = self.pairs_hash(world).await?;
        let known = known_files(world, ANALYSES).await?;
        let read = analyses_fingerprint(&listings, &known, &pairs, &self.options).await?;
        let fingerprint = read.unwrap_or_else(|| unread_analyses_fingerprint(&listings, &pairs, &self.options));
        for listing in &listings {
            note_files(&mut assessment.inputs, "analysis", &listing.analysis.location, &listing.files);
        }
        assessment.inputs.insert(format!("table {PAIRS}"), pairs);
        assessment.units.insert(String::new(), fingerprint);
        // Committed first and last: that both agree says that all three tables are of these files.
        for name in [FINDING_REJECTS, ANALYSES] {
            let existing = match world.head(name) {
                Some(table) => table.fingerprints().await?,
                None => BTreeMap::new(),
            };
            if existing.get("") != Some(&fingerprint) {
                assessment.stale.insert(String::new(), fingerprint);
            }
        }
        Ok(assessment)
    }

    async fn run(&self, world: &World, _work: &Assessment) -> Result<Vec<Table>> {
        let listings = list_analyses(&self.analyses).await?;
        let pairs_hash = self.pairs_hash(world).await?;
        let pairs = Arc::new(self.known_pairs(world).await?);
        let (heads, note) = (world.heads(), world.note(&self.declaration.name));
        let known = (pairs, pairs_hash.as_str());
        Ok(read_analyses(&world.warehouse, &listings, known, &self.options, &heads, &note).await?)
    }
}
