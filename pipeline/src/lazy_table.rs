//! A table's version that is opened when it is first read: a query pays for the tables that it names.

use std::sync::Arc;

use secprm_storage::{Table, Warehouse};
use tokio::sync::OnceCell;

use crate::error::{Error, Kind, Result};

/// A table by name and version. Cloning is cheap, and clones are opened together.
#[derive(Debug, Clone)]
pub struct LazyTable {
    opened: Arc<OnceCell<Option<Table>>>,
    place: Option<Place>,
}

/// Where a table that was not opened yet is found.
#[derive(Debug, Clone)]
struct Place {
    warehouse: Warehouse,
    name: String,
    /// The newest when not given.
    version: Option<u64>,
}

impl From<Table> for LazyTable {
    fn from(table: Table) -> Self {
        LazyTable { opened: Arc::new(OnceCell::new_with(Some(Some(table)))), place: None }
    }
}

impl LazyTable {
    /// Names a version that a release holds.
    pub fn of_release(warehouse: &Warehouse, name: &str, version: u64) -> Self {
        Self::at(warehouse, name, Some(version))
    }

    /// Names the newest version of a table, which may never have been written.
    pub fn newest(warehouse: &Warehouse, name: &str) -> Self {
        Self::at(warehouse, name, None)
    }

    fn at(warehouse: &Warehouse, name: &str, version: Option<u64>) -> Self {
        let place = Place { warehouse: warehouse.clone(), name: name.to_owned(), version };
        LazyTable { opened: Arc::default(), place: Some(place) }
    }

    /// Opens the table, unless it is open already; `None` if it was never written.
    ///
    /// # Errors
    /// Of kind stage, naming table and version, if a version is no longer there; as storage says otherwise.
    pub async fn open(&self) -> Result<Option<Table>> {
        let Some(place) = &self.place else { return Ok(self.opened().cloned()) };
        self.opened.get_or_try_init(|| place.open()).await.cloned()
    }

    /// Returns the table, if it was opened.
    pub fn opened(&self) -> Option<&Table> {
        self.opened.get()?.as_ref()
    }
}

impl Place {
    async fn open(&self) -> Result<Option<Table>> {
        let Place { warehouse, name, version } = self;
        let Some(version) = version else { return Ok(warehouse.table(name).await?) };
        warehouse.table_at(name, *version).await.map(Some).map_err(|error| {
            let error = Error::from(error);
            let message = format!("the release's table {name} at version {version} cannot be opened: {error}");
            Error::new(Kind::Stage, message)
        })
    }
}
