//! A table's version as DataFusion reads it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::kernel::EagerSnapshot;
use object_store::ObjectStore;
use url::{Position, Url};

/// The library's scan, made to read plain types, from the warehouse's own store, and never to write.
#[derive(Debug)]
pub(crate) struct TableScan {
    scan: DeltaScanNext,
    store_url: ObjectStoreUrl,
    root_store: Arc<dyn ObjectStore>,
}

impl TableScan {
    pub(crate) fn new(
        snapshot: EagerSnapshot,
        schema: SchemaRef,
        url: &Url,
        root_store: Arc<dyn ObjectStore>,
    ) -> Result<Self> {
        let mut config = DeltaScanConfig::new().with_schema(schema).with_wrap_partition_values(false);
        config.schema_force_view_types = false;
        Ok(Self {
            scan: DeltaScanNext::new(snapshot, config)?,
            store_url: ObjectStoreUrl::parse(&url[..Position::BeforePath])?,
            root_store,
        })
    }

    /// Lets the session find the files; a store that is already known there is left alone.
    fn register_store(&self, session: &dyn Session) {
        let runtime = session.runtime_env();
        if runtime.object_store(&self.store_url).is_err() {
            runtime.register_object_store(self.store_url.as_ref(), Arc::clone(&self.root_store));
        }
    }
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        self.scan.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.register_store(session);
        self.scan.scan(session, projection, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.scan.supports_filters_pushdown(filters)
    }
}
