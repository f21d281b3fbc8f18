//! A stage for each file in `sql/tables/`: the query's rows become the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::Schema;
use futures::StreamExt;
use secprm_stages::functions::function_version;
use secprm_stages::tables::{SLICE_COLUMNS, slice_commit};
use secprm_stages::train::TOKENIZERS;
use secprm_storage::{CommitMode, Fingerprint, SliceCommit, Table, TableSpec};

use crate::catalog::Rows;
use crate::error::{Error, Result};
use crate::freshness::hash_text;
use crate::relation::{BASE_SCHEMA, Library, Relation, Scope};
use crate::stage::{Assessment, Declaration, Stage, World};

/// Materialises a query.
pub struct RelationStage {
    declaration: Declaration,
    relation: Relation,
}

impl RelationStage {
    /// Makes the stage of a relation; its inputs are read off the query and the views on the way.
    pub fn new(relation: Relation, library: &Library) -> Self {
        let (mut reads, views) = library.physical_inputs(&relation);
        let mut inputs = BTreeMap::new();
        for part in std::iter::once(&relation).chain(views) {
            inputs.insert(part.path(), hash_text(&part.text));
            for (name, value) in &part.parameters {
                inputs.insert(format!("parameter {name}"), value.clone());
            }
            for function in &part.functions {
                // The function looks the tokenizer up by itself, so the query does not name its table.
                if function == "count_tokens" && !reads.iter().any(|table| table == TOKENIZERS) {
                    reads.push(TOKENIZERS.to_owned());
                }
                let version = function_version(function);
                if version > 0 {
                    inputs.insert(format!("function {function}"), version.to_string());
                }
            }
        }
        let declaration = Declaration {
            name: relation.name.clone(),
            reads,
            writes: vec![relation.name.clone()],
            scope: relation.header.scope,
            inputs,
            manual: false,
        };
        RelationStage { declaration, relation }
    }

    fn spec(&self, schema: &Schema, library: &Library) -> Result<TableSpec> {
        let partition_columns = match self.relation.header.scope {
            Scope::Slice => SLICE_COLUMNS.map(str::to_owned).to_vec(),
            Scope::Global => Vec::new(),
        };
        for column in &partition_columns {
            if schema.field_with_name(column).is_err() {
                return Err(Error::usage(format!("{}: the query has no column {column}", self.relation.path()))
                    .hint("a relation of scope \"slice\" selects dataset and slice; or give it scope = \"global\""));
            }
        }
        if let Some(name) = self.relation.header.columns.keys().find(|name| schema.field_with_name(name).is_err()) {
            return Err(Error::usage(format!(
                "{}: the header describes a column {name} that the query does not have",
                self.relation.path()
            )));
        }
        let name = format!("{BASE_SCHEMA}.{}", self.relation.name);
        let comment = |column: &String| Some((column.clone(), library.column_comment(&name, column)?.to_owned()));
        Ok(TableSpec {
            name: self.relation.name.clone(),
            schema: Arc::new(schema.clone()),
            partition_columns,
            description: self.relation.header.description.clone(),
            column_comments: schema.fields().iter().filter_map(|field| comment(field.name())).collect(),
        })
    }
}

#[async_trait]
impl Stage for RelationStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let path = self.relation.path();
        let keys: BTreeSet<String> = work.stale.keys().cloned().collect();
        let rows = match self.relation.header.scope {
            Scope::Slice => Rows::Slices(&keys),
            Scope::Global => Rows::All,
        };
        let reads: BTreeMap<String, Table> =
            world.heads().into_iter().filter(|(name, _)| self.declaration.reads.contains(name)).collect();
        let session = world.sessions.open(&reads, rows)?;
        let failed = |error: datafusion::error::DataFusionError| Error::from(error).context(&path);
        let frame = session.sql(&self.relation.sql()).await.map_err(failed)?;
        let spec = self.spec(frame.schema().as_arrow(), world.sessions.library())?;
        let mut writer = world.warehouse.part_writer(&spec)?;
        if !keys.is_empty() {
            let mut batches = frame.execute_stream().await.map_err(failed)?;
            while let Some(batch) = batches.next().await {
                writer.write(&batch.map_err(failed)?).await?;
            }
        }
        let parts = writer.finish().await?;
        let mode = match self.relation.header.scope {
            Scope::Slice => CommitMode::ReplaceSlices(slice_commits(work)),
            Scope::Global => CommitMode::ReplaceAll { fingerprint: whole(work)? },
        };
        let base = world.head(&spec.name);
        let table = world.warehouse.commit(&spec, base.as_ref(), parts, &mode, &world.note(&spec.name)).await?;
        Ok(vec![table])
    }
}

/// The slices of an assessment as a commit replaces them.
pub fn slice_commits(work: &Assessment) -> Vec<SliceCommit> {
    let stale = work.stale.iter().map(|(key, fingerprint)| slice_commit(key, Some(*fingerprint)));
    let removed = work.removed.iter().filter(|key| !key.is_empty()).map(|key| slice_commit(key, None));
    stale.chain(removed).collect()
}

/// The fingerprint of a stage that works whole.
pub fn whole(work: &Assessment) -> Result<Fingerprint> {
    work.stale.get("").copied().ok_or_else(|| Error::bug("a whole table has no fingerprint to commit"))
}
