//! The default schema of a session: tables, views, and the views that cannot be planned, which fail only when they are named.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::{Result, plan_err};

/// Tables and views by name.
#[derive(Debug, Default)]
pub struct PublicSchema {
    relations: MemorySchemaProvider,
    broken: RwLock<BTreeMap<String, String>>,
}

impl PublicSchema {
    /// Keeps a relation that cannot be planned, with the reason: a query that names it fails and says so, all others work.
    pub fn add_broken(&self, name: &str, reason: String) {
        self.broken.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), reason);
    }

    fn reason(&self, name: &str) -> Option<String> {
        self.broken.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

#[async_trait]
impl SchemaProvider for PublicSchema {
    fn table_names(&self) -> Vec<String> {
        self.relations.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.reason(name) {
            Some(reason) => plan_err!("{name} cannot be used: {reason}"),
            None => self.relations.table(name).await,
        }
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.relations.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.relations.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.relations.table_exist(name) || self.reason(name).is_some()
    }
}
