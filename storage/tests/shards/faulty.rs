//! A store that fails as told.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It fails.
    Refused,
    /// Its body ends in the middle, without an error.
    Short,
    /// Its body breaks in the middle.
    Broken,
    /// Its body is of the right length, and nonsense.
    Nonsense,
    /// It takes so many milliseconds.
    Slow(u64),
}

/// Another store, whose reads meet the fault that a rule gives for their number.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    rule: fn(u64) -> Fault,
    pub reads: AtomicU64,
}

impl Faulty {
    pub fn new(inner: Arc<dyn ObjectStore>, rule: fn(u64) -> Fault) -> Arc<Self> {
        Arc::new(Self { inner, rule, reads: AtomicU64::new(0) })
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

fn failure(text: &str) -> object_store::Error {
    object_store::Error::Generic { store: "faulty", source: text.into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = (self.rule)(self.reads.fetch_add(1, Ordering::Relaxed));
        match fault {
            Fault::Refused => return Err(failure("refused")),
            Fault::Slow(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            _ => {}
        }
        if options.head {
            return self.inner.get_opts(location, options).await;
        }
        let found = self.inner.get_opts(location, options).await?;
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = found.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let chunks: Vec<Result<Bytes>> = match fault {
            Fault::Short => vec![Ok(half)],
            Fault::Broken => vec![Ok(half), Err(failure("connection reset"))],
            Fault::Nonsense => vec![Ok(vec![0xff; bytes.len()].into())],
            _ => vec![Ok(bytes)],
        };
        Ok(GetResult { payload: GetResultPayload::Stream(stream::iter(chunks).boxed()), meta, range, attributes })
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// The store of a table in a warehouse, as other programs see it.
pub fn table_store(warehouse: &secprm_storage::Warehouse) -> Arc<dyn ObjectStore> {
    Arc::new(object_store::prefix::PrefixStore::new(Arc::clone(warehouse.store()), "train_shards"))
}
