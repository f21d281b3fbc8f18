//! Stage `splits`: all pairs into groups, and each group into a split: `splits`, `near_duplicates` and `split_groups`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::StreamExt;
use secprm_stages::ingest::PAIRS;
use secprm_stages::splits::{
    NEAR_DUPLICATES, Names, SPLIT_GROUPS, SPLITS, SplitOptions, place, read_keys, read_pairs, split_tables,
    write_splits,
};
use secprm_storage::Table;

use super::relation::whole;
use crate::catalog::Rows;
use crate::config::Project;
use crate::error::{Error, Result};
use crate::freshness::assess;
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

/// Table of the keys of each pair's code; `sql/tables/code_keys.sql`.
const CODE_KEYS: &str = "code_keys";

/// Assigns splits.
pub struct SplitsStage {
    declaration: Declaration,
    options: SplitOptions,
}

impl SplitsStage {
    /// Makes the stage of a project.
    pub fn new(project: &Project) -> Self {
        let split = &project.config.split;
        let options = SplitOptions { by: split.by, max_group_share: split.max_group_share };
        let inputs = BTreeMap::from([
            ("splits stage".to_owned(), "2".to_owned()),
            ("[split] by".to_owned(), split.by.as_str().to_owned()),
            ("[split] max_group_share".to_owned(), split.max_group_share.to_string()),
        ]);
        let declaration = Declaration {
            name: SPLITS.to_owned(),
            // Earlier splits are read too. They are no input: what a run made of its inputs makes nothing stale.
            reads: vec!["pairs".to_owned(), CODE_KEYS.to_owned()],
            writes: split_tables().into_iter().map(|spec| spec.name).collect(),
            scope: Scope::Global,
            inputs,
            manual: false,
        };
        SplitsStage { declaration, options }
    }

    /// The narrow columns of all pairs, and the splits that earlier runs gave them by the same rule; none of those if `is_anew`.
    fn query(&self, is_anew: bool) -> String {
        let rule = if is_anew { "" } else { self.options.by.as_str() };
        format!(
            "SELECT p.pair_id, p.dataset, p.slice, p.commit_id, p.cve, p.project, p.upstream_split, \
             coalesce(p.committed_at, p.published_at) AS dated_at, e.split AS earlier_split, e.split_source AS earlier_source \
             FROM base.pairs AS p \
             LEFT JOIN (SELECT s.pair_id, s.split, s.split_source FROM {SPLITS} AS s \
             INNER JOIN {SPLIT_GROUPS} AS g ON s.pair_id = g.pair_id WHERE g.split_by = '{rule}') AS e ON p.pair_id = e.pair_id"
        )
    }
}

#[async_trait]
impl Stage for SplitsStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// The fingerprint of `split_groups` speaks for all tables; those of the slices of `splits` say what is in them, for others to read.
    async fn assess(&self, world: &World) -> Result<Assessment> {
        let speaks = Declaration { writes: vec![SPLIT_GROUPS.to_owned()], ..self.declaration.clone() };
        let mut assessment = assess(&speaks, &world.heads()).await?;
        if [SPLITS, NEAR_DUPLICATES].iter().any(|table| world.head(table).is_none()) {
            assessment.stale.clone_from(&assessment.units);
        }
        Ok(assessment)
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let mut heads = world.heads();
        heads.retain(|name, _| self.declaration.reads.contains(name) || self.declaration.writes.contains(name));
        let session = world.sessions.open(&heads, Rows::All)?;
        let mut batches = session.sql(&self.query(work.is_full_refresh)).await?.execute_stream().await?;
        let rows = heads.get(PAIRS).map_or(0, Table::rows);
        let mut pairs = Vec::with_capacity(usize::try_from(rows).unwrap_or_default());
        let mut names = Names::default();
        while let Some(batch) = batches.next().await {
            read_pairs(&batch?, &mut pairs, &mut names)?;
        }
        drop(names);
        pairs.sort_unstable_by_key(|pair| pair.pair_id);
        let keys = format!("SELECT pair_id, code_hashes, signatures FROM {CODE_KEYS}");
        let mut batches = session.sql(&keys).await?.execute_stream().await?;
        while let Some(batch) = batches.next().await {
            read_keys(&batch?, &mut pairs)?;
        }
        let options = self.options;
        let placement = tokio::task::spawn_blocking(move || place(pairs, &options)).await;
        let placement = placement.map_err(|error| Error::bug(error.to_string()))?;
        let (fingerprint, note) = (whole(work)?, world.note(SPLITS));
        let rewrite = work.is_full_refresh;
        Ok(write_splits(&world.warehouse, &placement, options.by, &heads, fingerprint, rewrite, &note).await?)
    }
}
