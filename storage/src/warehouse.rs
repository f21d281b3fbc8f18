//! The folder that holds every table, on whatever store it lies.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::cause::redact;
use crate::error::{ErrorKind, Result, StorageError};
use crate::location::Location;
use crate::lock::WarehouseLock;
use crate::table::Table;

/// The file that a writer holds locked, in a warehouse on the local file system.
const LOCK_FILE: &str = ".lock";

/// Schemes of stores that write an object only if it is not there yet, which a commit rests on, and whose URLs are a bucket and a path.
const REMOTE_SCHEMES: [&str; 4] = ["s3", "s3a", "gs", "az"];

/// A warehouse: one folder with a Delta table per subfolder, and models beside them.
///
/// Cloning is cheap; clones share one store. Reading needs no lock, since tables never change in
/// place; a run that writes holds [`Warehouse::lock`].
#[derive(Debug, Clone)]
pub struct Warehouse {
    url: Url,
    /// The store of the URL's scheme and host.
    root_store: Arc<dyn ObjectStore>,
    /// The warehouse within `root_store`.
    root_path: Path,
    /// `root_store` seen from `root_path`.
    store: Arc<dyn ObjectStore>,
    process_lock: Arc<AtomicBool>,
}

impl Warehouse {
    /// Opens a warehouse by path, relative to `base_dir` unless absolute, or by URL.
    ///
    /// A local folder that is missing is created by the first writer, not by a reader. Each `memory://` warehouse is one of its own,
    /// shared by its clones and gone with the last of them.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a text that is no location, or no folder that can be used.
    pub fn open(text: &str, base_dir: &FilePath) -> Result<Self> {
        let invalid = |problem: &str| StorageError::invalid("warehouse", text, problem);
        if text.split_once("://").is_some_and(|(scheme, _)| scheme == "memory") {
            return Self::in_memory(text);
        }
        let location = Location::parse(text, base_dir)?;
        if crate::glob::is_pattern(text) {
            return Err(invalid("it is a pattern; name one folder"));
        }
        let mut url = location.url().clone();
        if let Some(folder) = location.local_path() {
            let folder =
                canonical(&folder).map_err(|error| StorageError::store("open warehouse", folder.display(), error))?;
            url = Url::from_directory_path(&folder).map_err(|()| invalid("it is no absolute path"))?;
        } else if !REMOTE_SCHEMES.contains(&url.scheme()) {
            return Err(invalid("a warehouse is a path or begins with s3://, gs:// or az://; sources may be anywhere"));
        } else if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let path = Path::from_url_path(url.path()).map_err(|error| invalid(&error.to_string()))?;
        Ok(Self::new(url, Arc::clone(location.store()), path))
    }

    fn in_memory(text: &str) -> Result<Self> {
        // A query engine knows stores by scheme and host, so each warehouse needs a host of its own.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let url = Url::parse(&format!("memory://warehouse-{number}/"))
            .map_err(|error| StorageError::invalid("warehouse", text, error.to_string()))?;
        Ok(Self::new(url, Arc::new(InMemory::new()), Path::default()))
    }

    fn new(url: Url, root_store: Arc<dyn ObjectStore>, root_path: Path) -> Self {
        let store = below(&root_store, &root_path);
        Self { url, root_store, root_path, store, process_lock: Arc::default() }
    }

    /// The warehouse's canonical URL, with a slash at its end.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The object store rooted at the warehouse.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The warehouse's folder on the local file system; none for other stores.
    pub fn local_path(&self) -> Option<std::path::PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }

    /// Takes the warehouse's writer lock, without waiting.
    ///
    /// The lock is released when it is dropped, and by the operating system when the process dies. In an object store it keeps out this
    /// process alone: what another one commits meanwhile makes this one's commit a [`StorageError::Conflict`].
    ///
    /// # Errors
    /// [`StorageError::Locked`], of kind [`ErrorKind::Transient`], while another run holds it.
    pub fn lock(&self) -> Result<WarehouseLock> {
        let name = redact(self.url.as_str());
        match self.local_path() {
            Some(folder) => {
                std::fs::create_dir_all(&folder)
                    .map_err(|error| StorageError::store("create warehouse", folder.display(), error))?;
                WarehouseLock::of_file(&folder.join(LOCK_FILE), &name)
            }
            None => WarehouseLock::of_flag(&self.process_lock, &name),
        }
    }

    /// The names of all tables, sorted.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let failed = |error| StorageError::store("list warehouse", &self.url, error);
        let folders = self.store.list_with_delimiter(None).await.map_err(failed)?.common_prefixes;
        let mut names = Vec::new();
        for folder in folders {
            let log = folder.clone().join("_delta_log");
            let first = self.store.list(Some(&log)).try_next().await.map_err(failed)?;
            if let (Some(_), Some(name)) = (first, folder.filename()) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens the newest version of a table; none if there is no such table.
    pub async fn table(&self, name: &str) -> Result<Option<Table>> {
        match Table::open(self, name, None).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens one version of a table.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is no such table or version.
    pub async fn table_at(&self, name: &str, version: u64) -> Result<Table> {
        match Table::open(self, name, Some(version)).await {
            Err(error) if error.kind() != ErrorKind::Corrupt => {
                // The log below has no error of its own for a version that is not there.
                let Some(newest) = self.table(name).await? else {
                    return Err(StorageError::no_table(name));
                };
                if newest.version() >= version {
                    return Err(error);
                }
                Err(StorageError::NotFound {
                    what: "version",
                    value: format!("{name}@{version}"),
                    hint: format!(" (the newest is {})", newest.version()),
                })
            }
            other => other,
        }
    }

    /// The URL of a table's folder, with a slash at its end.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] unless the name consists of letters, digits and `_`.
    pub(crate) fn table_url(&self, name: &str) -> Result<Url> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with('_') || !name.chars().all(is_plain) {
            let problem = "use letters, digits and underscores, beginning with a letter";
            return Err(StorageError::invalid("table name", name, problem));
        }
        self.url.join(&format!("{name}/")).map_err(|error| StorageError::invalid("table name", name, error.to_string()))
    }

    /// The object store rooted at a table's folder.
    pub(crate) fn table_store(&self, name: &str) -> Arc<dyn ObjectStore> {
        below(&self.root_store, &self.root_path.clone().join(name))
    }

    /// The object store of the warehouse's scheme and host, as query engines want it.
    pub(crate) fn root_store(&self) -> &Arc<dyn ObjectStore> {
        &self.root_store
    }

    pub(crate) fn log_store(&self, name: &str) -> Result<LogStoreRef> {
        let url = self.table_url(name)?;
        let table_store = self.table_store(name);
        let root_store = Arc::clone(&self.root_store);
        Ok(default_logstore(table_store, root_store, &url, &StorageConfig::default()))
    }
}

/// The canonical form of a folder that may not exist yet: tables compare theirs with the one they were opened by.
fn canonical(folder: &FilePath) -> std::io::Result<std::path::PathBuf> {
    match (folder.canonicalize(), folder.parent(), folder.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(canonical(parent)?.join(name))
        }
        (found, _, _) => found,
    }
}

/// A store seen from one of its folders.
pub(crate) fn below(store: &Arc<dyn ObjectStore>, folder: &Path) -> Arc<dyn ObjectStore> {
    if folder.is_root() {
        return Arc::clone(store);
    }
    Arc::new(PrefixStore::new(Arc::clone(store), folder.clone()))
}

/// Reads an object; none if it is missing.
pub(crate) async fn read_object(store: &dyn ObjectStore, path: &Path) -> Result<Option<bytes::Bytes>> {
    let failed = |error| StorageError::store("read", path, error);
    match store.get(path).await {
        Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
