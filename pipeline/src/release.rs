//! Releases: which version of every table readers see.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::{StreamExt, TryStreamExt};
use secprm_storage::{Table, Warehouse};

use crate::catalog::{Rows, Sessions};
use crate::error::{Error, Result};
use crate::history::{HISTORY, RELEASES};
use crate::lazy_table::LazyTable;

/// Tables that are opened side by side: their logs may lie in an object store.
const OPENED_AT_A_TIME: usize = 16;

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Numbered from 1.
    pub id: i64,
    /// When it was published, in microseconds since 1970 UTC.
    pub published_micros: i64,
    /// The run that published it.
    pub run_id: String,
    /// Version of each table.
    pub versions: BTreeMap<String, u64>,
}

/// Returns the newest release, or the one asked for; `None` if nothing was ever published.
///
/// # Errors
/// Of kind usage if the release asked for does not exist.
pub async fn find_release(warehouse: &Warehouse, sessions: &Sessions, id: Option<i64>) -> Result<Option<Release>> {
    let unknown = |id: i64| {
        Error::usage(format!("there is no release {id}")).hint("`secprm sql -c 'SELECT * FROM releases'` lists them")
    };
    let Some(table) = warehouse.table(RELEASES).await? else {
        return id.map_or(Ok(None), |id| Err(unknown(id)));
    };
    let session = sessions.open(&BTreeMap::from([(RELEASES.to_owned(), table)]), Rows::All)?;
    let wanted = match id {
        Some(id) => id.to_string(),
        None => "(SELECT max(release_id) FROM releases)".to_owned(),
    };
    let query = format!(
        "SELECT release_id, published_at, run_id, table_name, table_version FROM releases WHERE release_id = {wanted}"
    );
    let mut release: Option<Release> = None;
    for batch in session.sql(&query).await?.collect().await? {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let (runs, names) = (batch.column(2).as_string::<i32>(), batch.column(3).as_string::<i32>());
        let versions = batch.column(4).as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            let release = release.get_or_insert_with(|| Release {
                id: ids.value(row),
                published_micros: times.value(row),
                run_id: runs.value(row).to_owned(),
                versions: BTreeMap::new(),
            });
            release.versions.insert(names.value(row).to_owned(), versions.value(row) as u64);
        }
    }
    match (release, id) {
        (None, Some(id)) => Err(unknown(id)),
        (release, _) => Ok(release),
    }
}

/// Names the tables of a release at their versions, and the history at its newest; none is opened yet.
pub fn tables_of_release(warehouse: &Warehouse, release: Option<&Release>) -> BTreeMap<String, LazyTable> {
    let versions = release.iter().flat_map(|release| &release.versions);
    let released = versions.map(|(name, version)| (name.clone(), LazyTable::of_release(warehouse, name, *version)));
    let history = HISTORY.map(|name| (name.to_owned(), LazyTable::newest(warehouse, name)));
    released.chain(history).collect()
}

/// Opens the tables of a release at their versions, and the history at its newest.
///
/// # Errors
/// Of kind stage, naming table and version, if a version is no longer there.
pub async fn open_release(warehouse: &Warehouse, release: Option<&Release>) -> Result<BTreeMap<String, Table>> {
    open_all(tables_of_release(warehouse, release)).await
}

/// Opens the newest version of every table.
pub async fn open_heads(warehouse: &Warehouse) -> Result<BTreeMap<String, Table>> {
    let names = warehouse.table_names().await?;
    open_all(names.into_iter().map(|name| (name.clone(), LazyTable::newest(warehouse, &name)))).await
}

/// Opens tables side by side, leaving out those that were never written.
async fn open_all(tables: impl IntoIterator<Item = (String, LazyTable)>) -> Result<BTreeMap<String, Table>> {
    let opening = tables.into_iter().map(async |(name, table)| Ok::<_, Error>((name, table.open().await?)));
    let opened: Vec<_> = futures::stream::iter(opening).buffered(OPENED_AT_A_TIME).try_collect().await?;
    Ok(opened.into_iter().filter_map(|(name, table)| Some((name, table?))).collect())
}
