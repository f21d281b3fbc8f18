//! `samples.sql` reads all it needs off one call of `label_pair` a pair, `code_keys.sql` off one of `code_keys`: a counting stand-in makes
//! sure.
#![allow(clippy::unwrap_used)]

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use secprm::catalog::Rows;
use secprm::config::Project;
use secprm::open::open_project;
use secprm::progress::Progress;
use secprm::relation::RelationKind;
use secprm::run::{RunOptions, run};

#[derive(Debug)]
struct Counting {
    inner: Arc<ScalarUDF>,
    rows: Arc<AtomicUsize>,
}

impl PartialEq for Counting {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Counting {}

impl Hash for Counting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.name().hash(state);
    }
}

impl ScalarUDFImpl for Counting {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.inner().return_type(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.rows.fetch_add(arguments.number_rows, Ordering::Relaxed);
        self.inner.inner().invoke_with_args(arguments)
    }
}

/// Plans a relation over the samples with a stand-in for a function and returns its rows, the function's rows, and the pairs.
async fn counted(relation: &str, function: &str) -> (usize, usize, usize) {
    let mut project = Project::load(None).unwrap();
    project.config.warehouse = "memory://".to_owned();
    let (world, dag) = open_project(project).unwrap().world(Progress::silent()).await.unwrap();
    let options = RunOptions { select: vec!["+splits".to_owned()], ..RunOptions::default() };
    run(world.clone(), dag, &options).await.unwrap();
    let pairs = world.head("pairs").unwrap().rows() as usize;
    let session = world.sessions.open(&world.heads(), Rows::All).unwrap();
    let rows = Arc::new(AtomicUsize::new(0));
    let inner = session.state().scalar_functions()[function].clone();
    session.register_udf(ScalarUDF::new_from_impl(Counting { inner, rows: rows.clone() }));
    let library = world.sessions.library().clone();
    let found = library.of_kind(RelationKind::Table).find(|found| found.name == relation).unwrap();
    let batches = session.sql(&found.sql()).await.unwrap().collect().await.unwrap();
    (batches.iter().map(|batch| batch.num_rows()).sum(), rows.load(Ordering::Relaxed), pairs)
}

#[tokio::test(flavor = "multi_thread")]
async fn label_pair_is_called_once_a_pair() {
    let (rows, called, pairs) = counted("samples", "label_pair").await;
    assert_eq!(rows, 475);
    assert_eq!(called, pairs);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_keys_is_called_once_a_pair() {
    let (rows, called, pairs) = counted("code_keys", "code_keys").await;
    assert_eq!(rows, pairs);
    assert_eq!(called, pairs);
}
