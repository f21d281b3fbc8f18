//! Writes `splits` slice by slice, where assignments changed, and `split_groups` whole.
//!
//! A concurrent reader sees each table before or after; a release sees both together. A run that was killed between the two commits leaves
//! `split_groups` at its old fingerprint, so that the next run starts again: it finds the same pairs with the same earlier splits, since what
//! counts as earlier is what both tables hold, and writes the same rows.

use std::collections::{BTreeMap, BTreeSet};

use secprm_storage::{CommitMode, CommitNote, Fingerprint, Part, SliceCommit, Table, TableSpec, Warehouse, slice_key};

use super::assign::Placed;
use super::split::SplitBy;
use super::tables::{SPLIT_GROUPS, SPLITS, split_tables};
use crate::error::Result;
use crate::ingest::{RecordSum, id_text};
use crate::tables::{Cell, Rows, SLICE_COLUMNS};

/// Commits the splits of all pairs, which are ordered as `super::place` returns them; `heads` are the newest versions of tables by name.
///
/// A slice of `splits` whose rows are as they were is left alone, and with it everything that reads the slice. `fingerprint` is what the
/// rows were computed from.
///
/// # Errors
/// As writing and committing tables.
pub async fn write_splits(
    warehouse: &Warehouse,
    placed: &[Placed],
    by: SplitBy,
    heads: &BTreeMap<String, Table>,
    fingerprint: Fingerprint,
    note: &CommitNote,
) -> Result<Vec<Table>> {
    let [splits, groups] = split_tables();
    let splits_table = replace_changed(warehouse, &splits, placed, heads.get(SPLITS), note).await?;
    let parts = write_groups(warehouse, &groups, placed, by).await?;
    let mode = CommitMode::ReplaceAll { fingerprint };
    let groups_table = warehouse.commit(&groups, heads.get(SPLIT_GROUPS), parts, &mode, note).await?;
    Ok(vec![splits_table, groups_table])
}

async fn replace_changed(
    warehouse: &Warehouse,
    spec: &TableSpec,
    placed: &[Placed],
    head: Option<&Table>,
    note: &CommitNote,
) -> Result<Table> {
    let existing = match head {
        Some(head) => head.fingerprints().await?,
        None => BTreeMap::new(),
    };
    let mut writer = warehouse.part_writer(spec)?;
    let mut rows = Rows::new(spec.schema.clone());
    let mut commits = Vec::new();
    let mut kept = BTreeSet::new();
    for slice in placed.chunk_by(|one, next| (&one.dataset, one.slice) == (&next.dataset, next.slice)) {
        let Some(Placed { dataset, slice: number, .. }) = slice.first() else { continue };
        let key = slice_key([dataset, number.to_string().as_str()]);
        let fingerprint = fingerprint_of(slice);
        if existing.get(&key) != Some(&fingerprint) {
            commits.push(slice_commit(dataset, &number.to_string(), Some(fingerprint)));
            slice.iter().for_each(|row| push_split(&mut rows, row));
            if let Some(batch) = rows.finish()? {
                writer.write(&batch).await?;
            }
        }
        kept.insert(key);
    }
    let gone = existing.keys().filter(|key| !kept.contains(*key)).filter_map(|key| key.rsplit_once('/'));
    commits.extend(gone.map(|(dataset, number)| slice_commit(&unescaped(dataset), number, None)));
    let parts = writer.finish().await?;
    match head {
        Some(head) if commits.is_empty() => Ok(head.clone()),
        _ => Ok(warehouse.commit(spec, head, parts, &CommitMode::ReplaceSlices(commits), note).await?),
    }
}

/// What a slice's rows are, all columns; its order does not matter.
fn fingerprint_of(slice: &[Placed]) -> Fingerprint {
    let mut sum = RecordSum::seeded(&["splits"]);
    for row in slice {
        sum.add(format!("{} {} {}", id_text(row.pair_id), row.split.as_str(), row.source.as_str()).as_bytes());
    }
    sum.fingerprint()
}

fn push_split(rows: &mut Rows, row: &Placed) {
    rows.push(&[
        Cell::Text(Some(&id_text(row.pair_id))),
        Cell::Text(Some(row.split.as_str())),
        Cell::Text(Some(row.source.as_str())),
        Cell::Text(Some(&row.dataset)),
        Cell::Int(Some(i64::from(row.slice))),
    ]);
}

async fn write_groups(warehouse: &Warehouse, spec: &TableSpec, placed: &[Placed], by: SplitBy) -> Result<Vec<Part>> {
    let mut writer = warehouse.part_writer(spec)?;
    let mut rows = Rows::new(spec.schema.clone());
    for row in placed {
        let joined_by = row.joined_by.to_string();
        rows.push(&[
            Cell::Text(Some(&id_text(row.pair_id))),
            Cell::Text(Some(&id_text(row.group_id))),
            Cell::Int(Some(i64::from(row.group_size))),
            Cell::Text((!row.joined_by.is_alone()).then_some(joined_by.as_str())),
            Cell::Bool(Some(row.near_code_dropped)),
            Cell::Bool(Some(row.over_limit)),
            Cell::Text(Some(by.as_str())),
            Cell::Text(Some(&row.dataset)),
        ]);
        if rows.is_full()
            && let Some(batch) = rows.finish()?
        {
            writer.write(&batch).await?;
        }
    }
    if let Some(batch) = rows.finish()? {
        writer.write(&batch).await?;
    }
    Ok(writer.finish().await?)
}

fn slice_commit(dataset: &str, slice: &str, fingerprint: Option<Fingerprint>) -> SliceCommit {
    let [first, second] = SLICE_COLUMNS.map(str::to_owned);
    SliceCommit { partition: BTreeMap::from([(first, dataset.to_owned()), (second, slice.to_owned())]), fingerprint }
}

/// Takes back what `slice_key` did to a dataset's name.
fn unescaped(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}
