//! Stage `audit`: what structure and words alone tell of the labels, into `audit_metrics`.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{ArrowPrimitiveType, Int32Type, Int64Type};
use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use secprm_stages::audit::{AUDIT_METRICS, DatasetAudit, PairReader, SplitSize, audit, write_audit};
use secprm_stages::splits::{SPLIT_GROUPS, Split};
use secprm_storage::{Table, slice_key};

use super::relation::whole;
use crate::catalog::Rows;
use crate::config::{AuditConfig, Project};
use crate::error::{Error, Result};
use crate::relation::Scope;
use crate::stage::{Assessment, Declaration, Stage, World};

const SAMPLES: &str = "samples";

/// Steps that an audit takes along with a pair, on average over a split: pairs of repositories have thousands.
const STEPS_PER_PAIR: usize = 32;

/// What each split has in all.
const SIZES: &str = "SELECT dataset, label_mode, split, count(*) AS samples, CAST(sum(n_steps) AS BIGINT) AS steps FROM samples \
    WHERE split IN ('train', 'test') GROUP BY dataset, label_mode, split";

/// Audits the labels for shortcuts.
pub struct AuditStage {
    declaration: Declaration,
    config: AuditConfig,
}

/// A dataset and a label mode.
type Unit = (String, String);

/// What is to be audited of a split.
#[derive(Debug, Clone, Default)]
struct Choice {
    size: SplitSize,
    /// Slice and identifier of the last pair that is taken; all before it are taken too.
    last: Option<(i32, String)>,
}

type Choices = BTreeMap<Unit, BTreeMap<Split, Choice>>;

impl AuditStage {
    /// Makes the stage of a project.
    pub fn new(project: &Project) -> Self {
        let config = project.config.audit.clone();
        let inputs = BTreeMap::from([
            ("audit stage".to_owned(), "2".to_owned()),
            ("[audit] max_pairs".to_owned(), config.max_pairs.to_string()),
            ("[audit] seed".to_owned(), config.seed.to_string()),
        ]);
        let declaration = Declaration {
            name: "audit".to_owned(),
            reads: vec![SAMPLES.to_owned(), SPLIT_GROUPS.to_owned()],
            writes: vec![AUDIT_METRICS.to_owned()],
            scope: Scope::Global,
            inputs,
            manual: false,
        };
        AuditStage { declaration, config }
    }

    /// Chooses pairs that both versions of gave a sample, by their slice and identifier. Both are hashes, so any pairs are as good as any
    /// others, and this order takes them from as few slices as can be.
    fn chosen(&self) -> String {
        let (most_pairs, most_steps) = (self.config.max_pairs, self.config.max_pairs.saturating_mul(STEPS_PER_PAIR));
        format!(
            "WITH both_versions AS ( \
               SELECT dataset, label_mode, split, slice, pair_id, sum(n_steps) AS steps FROM samples \
               WHERE split IN ('train', 'test') \
               GROUP BY dataset, label_mode, split, slice, pair_id HAVING count(*) = 2), \
             numbered AS ( \
               SELECT *, row_number() OVER (PARTITION BY dataset, label_mode, split ORDER BY slice, pair_id) AS place, \
                 sum(steps) OVER (PARTITION BY dataset, label_mode, split ORDER BY slice, pair_id) AS steps_so_far, \
                 count(*) OVER (PARTITION BY dataset, label_mode, split) AS pairs \
               FROM both_versions) \
             SELECT dataset, label_mode, split, slice, pair_id, pairs FROM numbered \
             WHERE place <= {most_pairs} AND (steps_so_far <= {most_steps} OR place = 1)"
        )
    }

    async fn choose(&self, session: &SessionContext) -> Result<Choices> {
        let mut choices = Choices::new();
        let mut sizes = session.sql(SIZES).await?.execute_stream().await?;
        while let Some(batch) = sizes.next().await.transpose()? {
            let [samples, steps] = ["samples", "steps"].map(|name| numbers::<Int64Type>(&batch, name));
            let (samples, steps) = (samples?, steps?);
            for (row, key) in keys(&batch)?.into_iter().enumerate() {
                let choice = choice_of(&mut choices, key);
                choice.size.samples = samples.value(row).unsigned_abs();
                choice.size.steps = steps.value(row).unsigned_abs();
            }
        }
        let mut chosen = session.sql(&self.chosen()).await?.execute_stream().await?;
        while let Some(batch) = chosen.next().await.transpose()? {
            let (slices, pairs) = (numbers::<Int32Type>(&batch, "slice")?, numbers::<Int64Type>(&batch, "pairs")?);
            let ids = texts(&batch, "pair_id")?;
            for (row, key) in keys(&batch)?.into_iter().enumerate() {
                let choice = choice_of(&mut choices, key);
                choice.size.pairs = pairs.value(row).unsigned_abs();
                choice.last = choice.last.take().max(Some((slices.value(row), ids.value(row).to_owned())));
            }
        }
        Ok(choices)
    }
}

#[async_trait]
impl Stage for AuditStage {
    fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Audits a dataset in a label mode at a time, so that only its pairs are in memory, and of their text only words and lengths.
    async fn run(&self, world: &World, work: &Assessment) -> Result<Vec<Table>> {
        let mut heads = world.heads();
        heads.retain(|name, _| self.declaration.reads.contains(name));
        let choices = self.choose(&world.sessions.open(&heads, Rows::All)?).await?;
        let mut audits = Vec::new();
        for ((dataset, label_mode), splits) in choices.iter().filter(|_| self.config.max_pairs > 0) {
            let mut reader = PairReader::default();
            let session = world.sessions.open(&heads, Rows::Slices(&slices_of(dataset, splits)))?;
            let mut batches = session.sql(&rows_of(dataset, label_mode, splits)).await?.execute_stream().await?;
            while let Some(batch) = batches.next().await.transpose()? {
                reader.read(&batch)?;
            }
            let seed = self.config.seed;
            let numbers = tokio::task::spawn_blocking(move || {
                let [train, test] = reader.finish();
                audit(&train, &test, seed)
            });
            audits.push(DatasetAudit {
                dataset: dataset.clone(),
                label_mode: label_mode.clone(),
                numbers: numbers.await.map_err(|error| Error::bug(error.to_string()))??,
                sizes: splits.iter().map(|(split, choice)| (*split, choice.size)).collect(),
            });
        }
        let (head, note) = (world.head(AUDIT_METRICS), world.note("audit"));
        Ok(vec![write_audit(&world.warehouse, &audits, head.as_ref(), whole(work)?, &note).await?])
    }
}

fn choice_of(choices: &mut Choices, (unit, split): (Unit, Split)) -> &mut Choice {
    choices.entry(unit).or_default().entry(split).or_default()
}

/// The slices that chosen pairs are in: all up to that of the last pair.
fn slices_of(dataset: &str, splits: &BTreeMap<Split, Choice>) -> BTreeSet<String> {
    let last = splits.values().filter_map(|choice| choice.last.as_ref()).map(|(slice, _)| *slice).max();
    (0..=last.unwrap_or(0)).map(|slice| slice_key([dataset, &slice.to_string()])).collect()
}

/// The samples of chosen pairs. The code comes last, since the side that a join holds in memory must not be the one with the code.
fn rows_of(dataset: &str, label_mode: &str, splits: &BTreeMap<Split, Choice>) -> String {
    let mut taken = vec!["false".to_owned()];
    for (split, choice) in splits {
        if let Some((slice, pair_id)) = &choice.last {
            let split = split.as_str();
            taken.push(format!(
                "(s.split = '{split}' AND (s.slice < {slice} OR (s.slice = {slice} AND s.pair_id <= '{pair_id}')))"
            ));
        }
    }
    format!(
        "SELECT s.pair_id, coalesce(g.group_id, s.pair_id) AS group_id, s.role, s.split, s.completions, s.labels, s.supervised \
         FROM (SELECT pair_id, group_id FROM {SPLIT_GROUPS} WHERE dataset = '{dataset}') AS g \
         RIGHT JOIN {SAMPLES} AS s ON g.pair_id = s.pair_id \
         WHERE s.dataset = '{dataset}' AND s.label_mode = '{label_mode}' AND ({})",
        taken.join(" OR ")
    )
}

/// Dataset, label mode and split of each row.
fn keys(batch: &RecordBatch) -> Result<Vec<(Unit, Split)>> {
    let [datasets, modes, splits] = ["dataset", "label_mode", "split"].map(|name| texts(batch, name));
    let (datasets, modes, splits) = (datasets?, modes?, splits?);
    let key = |row: usize| {
        let split =
            Split::parse(splits.value(row)).ok_or_else(|| Error::bug("audit: a split that was not asked for"))?;
        Ok(((datasets.value(row).to_owned(), modes.value(row).to_owned()), split))
    };
    (0..batch.num_rows()).map(key).collect()
}

fn texts<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch StringArray> {
    column(batch, name)?.as_string_opt().ok_or_else(|| unreadable(name))
}

fn numbers<'batch, T: ArrowPrimitiveType>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch PrimitiveArray<T>> {
    column(batch, name)?.as_primitive_opt().ok_or_else(|| unreadable(name))
}

fn column<'batch>(batch: &'batch RecordBatch, name: &str) -> Result<&'batch ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| unreadable(name))
}

fn unreadable(column: &str) -> Error {
    Error::bug(format!("audit: the column {column} is missing or of another type"))
}
