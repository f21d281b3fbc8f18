//! Writes `splits` slice by slice, where assignments changed, and `near_duplicates` and `split_groups` whole.
//!
//! A concurrent reader sees each table before or after; a release sees all together. A run that was killed between the commits leaves
//! `split_groups` at its old fingerprint, so that the next run starts again: it finds the same pairs with the same earlier splits, since what
//! counts as earlier is what both tables hold, and writes the same rows.

use std::collections::BTreeMap;

use secprm_storage::{CommitMode, CommitNote, Fingerprint, Part, Table, TableSpec, Warehouse, slice_key};

use super::assign::{NearDuplicates, Placed, Placement};
use super::split::SplitBy;
use super::tables::{NEAR_DUPLICATES, SPLIT_GROUPS, SPLITS, split_tables};
use crate::error::Result;
use crate::ingest::{RecordSum, id_text};
use crate::tables::{Cell, Rows, SliceChanges, TableRows};

/// Commits the splits of all pairs and their near-duplicates; `heads` are the newest versions of tables by name.
///
/// A slice of `splits` whose rows are as they were is left alone, and with it everything that reads the slice, unless `rewrite` says
/// otherwise. `fingerprint` is what the rows were computed from.
///
/// # Errors
/// As writing and committing tables.
pub async fn write_splits(
    warehouse: &Warehouse,
    placement: &Placement,
    by: SplitBy,
    heads: &BTreeMap<String, Table>,
    fingerprint: Fingerprint,
    rewrite: bool,
    note: &CommitNote,
) -> Result<Vec<Table>> {
    let [splits, near, groups] = split_tables();
    let placed = &placement.pairs;
    let mode = CommitMode::ReplaceAll { fingerprint };
    let near_table = async {
        let parts = write_near(warehouse, &near, &placement.near).await?;
        Ok(warehouse.commit(&near, heads.get(NEAR_DUPLICATES), parts, &mode, note).await?)
    };
    let (splits_table, near_table, parts) = futures::try_join!(
        replace_changed(warehouse, &splits, placed, heads.get(SPLITS), rewrite, note),
        near_table,
        write_groups(warehouse, &groups, placed, by),
    )?;
    // Last, since it speaks for all three.
    let groups_table = warehouse.commit(&groups, heads.get(SPLIT_GROUPS), parts, &mode, note).await?;
    Ok(vec![splits_table, near_table, groups_table])
}

async fn replace_changed(
    warehouse: &Warehouse,
    spec: &TableSpec,
    placed: &[Placed],
    head: Option<&Table>,
    rewrite: bool,
    note: &CommitNote,
) -> Result<Table> {
    let slices = || placed.chunk_by(|one, next| (&one.dataset, one.slice) == (&next.dataset, next.slice));
    let fingerprints = slices().map(|slice| (key_of(slice), fingerprint_of(slice))).collect();
    let changes = SliceChanges::find(head, &fingerprints, "", rewrite).await?;
    let mut rows = TableRows::start(warehouse, spec)?;
    for slice in slices().filter(|slice| changes.replaces(&key_of(slice))) {
        for row in slice {
            push_split(&mut rows.rows, row);
            rows.flush_if_full().await?;
        }
    }
    changes.commit(warehouse, spec, head, rows.finish().await?, note).await
}

fn key_of(slice: &[Placed]) -> String {
    slice.first().map_or_else(String::new, |row| slice_key([row.dataset.as_ref(), &row.slice.to_string()]))
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

async fn write_near(warehouse: &Warehouse, spec: &TableSpec, near: &[NearDuplicates]) -> Result<Vec<Part>> {
    let mut rows = TableRows::start(warehouse, spec)?;
    for NearDuplicates { pair_ids, similarity, is_joined } in near {
        let [pair_id, other] = pair_ids.map(id_text);
        rows.rows.push(&[
            Cell::Text(Some(&pair_id)),
            Cell::Text(Some(&other)),
            Cell::Float(Some(*similarity)),
            Cell::Bool(Some(*is_joined)),
        ]);
        rows.flush_if_full().await?;
    }
    rows.finish().await
}

async fn write_groups(warehouse: &Warehouse, spec: &TableSpec, placed: &[Placed], by: SplitBy) -> Result<Vec<Part>> {
    let mut rows = TableRows::start(warehouse, spec)?;
    for row in placed {
        let joined_by = row.joined_by.to_string();
        rows.rows.push(&[
            Cell::Text(Some(&id_text(row.pair_id))),
            Cell::Text(Some(&id_text(row.group_id))),
            Cell::Int(Some(i64::from(row.group_size))),
            Cell::Text((!row.joined_by.is_alone()).then_some(joined_by.as_str())),
            Cell::Bool(Some(row.near_code_dropped)),
            Cell::Bool(Some(row.over_limit)),
            Cell::Text(Some(by.as_str())),
            Cell::Text(Some(&row.dataset)),
        ]);
        rows.flush_if_full().await?;
    }
    rows.finish().await
}
