//! Tables that Rust writes: rows on their way into one, and which of its slices a commit replaces.

use std::collections::{BTreeMap, BTreeSet};

use secprm_storage::{
    CommitMode, CommitNote, Fingerprint, Part, PartWriter, SliceCommit, Table, TableSpec, Warehouse, slice_values,
};

use super::{Rows, SLICE_COLUMNS};
use crate::error::Result;

/// Rows on their way into one table.
pub struct TableRows {
    /// Those that were not handed to the writer yet.
    pub rows: Rows,
    writer: PartWriter,
}

impl TableRows {
    /// Starts without rows.
    pub fn start(warehouse: &Warehouse, spec: &TableSpec) -> Result<Self> {
        Ok(TableRows { rows: Rows::new(spec.schema.clone()), writer: warehouse.part_writer(spec)? })
    }

    /// Hands rows to the writer once enough have been collected; call it after a row or a few.
    pub async fn flush_if_full(&mut self) -> Result<()> {
        if self.rows.is_full() { self.flush().await } else { Ok(()) }
    }

    /// Writes what is left and returns the parts.
    pub async fn finish(mut self) -> Result<Vec<Part>> {
        self.flush().await?;
        Ok(self.writer.finish().await?)
    }

    async fn flush(&mut self) -> Result<()> {
        if let Some(batch) = self.rows.finish()? {
            self.writer.write(&batch).await?;
        }
        Ok(())
    }
}

/// Names the slice of a key (`sven/0`) to a commit: with the fingerprint of its new rows, or none where it is no more.
pub fn slice_commit(key: &str, fingerprint: Option<Fingerprint>) -> SliceCommit {
    let columns = SLICE_COLUMNS.map(str::to_owned).into_iter();
    SliceCommit { partition: columns.zip(slice_values(key)).collect(), fingerprint }
}

/// The slices of a table that a commit replaces or takes away.
#[derive(Debug)]
pub struct SliceChanges {
    changed: BTreeSet<String>,
    commits: Vec<SliceCommit>,
}

impl SliceChanges {
    /// Compares the slices that a table has, of those whose keys begin with `prefix`, with what they are now, by key.
    ///
    /// A slice whose fingerprint is as it was is left alone, and with it everything that reads the slice, unless `rewrite` says otherwise.
    pub async fn find(
        head: Option<&Table>,
        slices: &BTreeMap<String, Fingerprint>,
        prefix: &str,
        rewrite: bool,
    ) -> Result<SliceChanges> {
        let existing = match head {
            Some(head) => head.fingerprints().await?,
            None => BTreeMap::new(),
        };
        let changed = slices.iter().filter(|(key, print)| rewrite || existing.get(*key) != Some(print));
        let gone = existing.keys().filter(|key| key.starts_with(prefix) && !slices.contains_key(*key));
        Ok(SliceChanges {
            changed: changed.clone().map(|(key, _)| key.clone()).collect(),
            commits: changed
                .map(|(key, print)| slice_commit(key, Some(*print)))
                .chain(gone.map(|key| slice_commit(key, None)))
                .collect(),
        })
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Whether a slice is replaced.
    pub fn replaces(&self, key: &str) -> bool {
        self.changed.contains(key)
    }

    /// Commits the parts of the replaced slices; without a change the table stays at its version.
    pub async fn commit(
        self,
        warehouse: &Warehouse,
        spec: &TableSpec,
        head: Option<&Table>,
        parts: Vec<Part>,
        note: &CommitNote,
    ) -> Result<Table> {
        match head {
            Some(head) if self.is_empty() => Ok(head.clone()),
            _ => Ok(warehouse.commit(spec, head, parts, &CommitMode::ReplaceSlices(self.commits), note).await?),
        }
    }
}
