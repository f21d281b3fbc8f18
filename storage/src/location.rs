//! Paths and URLs as object stores, and the files below them.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;

use crate::cause::redact;
use crate::error::{Result, StorageError};
use crate::glob;

/// A path or URL: a folder, one file, or a pattern with `*`, `?` and `**`.
///
/// Parsing touches no storage; whether anything exists shows when it is listed.
#[derive(Clone)]
pub struct Location {
    /// As the user wrote it, redacted.
    text: String,
    /// The folder or file, without a pattern.
    url: Url,
    /// The store of the URL's scheme and host.
    store: Arc<dyn ObjectStore>,
    /// The folder or file within that store.
    path: Path,
    /// What files below the folder must look like; all of them when none is given.
    pattern: Option<String>,
}

// The store is left out: some of them show their keys.
impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Location");
        shown.field("text", &self.text).field("pattern", &self.pattern).finish_non_exhaustive()
    }
}

/// One file found by [`Location::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file within the location's store.
    pub path: Path,
    /// The path below the listed folder, for people and for provenance.
    pub name: String,
    /// The size in bytes.
    pub size: u64,
    /// When the file was last changed, in microseconds since 1970 (UTC).
    pub last_modified_micros: i64,
    /// The store's own tag of the content, where it has one.
    pub e_tag: Option<String>,
}

impl Location {
    /// Parses a path, relative to `base_dir` unless absolute, or a URL of an object store: `file://`, `memory://`, `s3://`, `gs://`,
    /// `az://`, `abfss://`, `http://` and their kin.
    ///
    /// Credentials, endpoints and regions come from the stores' standard environment variables (`AWS_…`, `GOOGLE_…`, `AZURE_…`). Each
    /// `memory://` location is a store of its own.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for an empty text, an unknown scheme, and a store that cannot be set up from the environment.
    pub fn parse(text: &str, base_dir: &FilePath) -> Result<Self> {
        let invalid = |problem: &str| StorageError::invalid("location", text, problem);
        if text.trim().is_empty() {
            return Err(invalid("it is empty; give a path or a URL"));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Self::local(text, &base_dir.join(text));
        };
        match scheme {
            "file" => {
                // A question mark is a pattern here, but the beginning of a query to a URL parser.
                let url = Url::parse(&text.replace('?', "%3F")).map_err(|e| invalid(&e.to_string()))?;
                let path = url.to_file_path().map_err(|()| invalid("write file:///absolute/path, without a host"))?;
                Self::local(text, &path)
            }
            "memory" => {
                let url = Url::parse(text).map_err(|e| invalid(&e.to_string()))?;
                let path = Path::from_url_path(url.path()).map_err(|e| invalid(&e.to_string()))?;
                Ok(Self::of(text, url, Arc::new(InMemory::new()), path))
            }
            "s3" | "s3a" | "gs" | "az" | "azure" | "adl" | "abfs" | "abfss" | "http" | "https" => Self::remote(text),
            _ => Err(invalid(&format!(
                "{scheme}:// is no known scheme; use a path, file://, s3://, gs://, az://, abfss:// or https://"
            ))),
        }
    }

    fn remote(text: &str) -> Result<Self> {
        let invalid = |problem: String| StorageError::invalid("location", text, problem);
        let (folder, pattern) = match glob::is_pattern(text) {
            true => glob::split_pattern(text),
            false => (text, ""),
        };
        let mut url = Url::parse(folder).map_err(|error| invalid(error.to_string()))?;
        // Credentials come from the environment alone; those of a URL would end up in messages. Azure's own scheme has the container there.
        let _ = url.set_password(None);
        if !matches!(url.scheme(), "abfs" | "abfss" | "adl") {
            let _ = url.set_username("");
        }
        let is_of_a_store = |name: &String| ["aws_", "google_", "azure_"].iter().any(|start| name.starts_with(start));
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?.to_ascii_lowercase(), value.into_string().ok()?))
            })
            .filter(|(name, _)| is_of_a_store(name));
        let (store, path) =
            object_store::parse_url_opts(&url, variables).map_err(|error| invalid(redact(&error.to_string())))?;
        let mut location = Self::of(text, url, Arc::from(store), path);
        location.pattern = (!pattern.is_empty()).then(|| pattern.to_owned());
        Ok(location)
    }

    /// Names a folder or file of a store that the caller has, under a text for people, for example `samples:sven`.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] if the text is no URL.
    pub fn in_store(text: &str, store: Arc<dyn ObjectStore>, path: Path) -> Result<Self> {
        let url = Url::parse(text).map_err(|error| StorageError::invalid("location", text, error.to_string()))?;
        Ok(Self::of(text, url, store, path))
    }

    fn of(text: &str, url: Url, store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { text: redact(text), url, store, path, pattern: None }
    }

    fn local(text: &str, path: &FilePath) -> Result<Self> {
        let invalid = |problem: String| StorageError::invalid("location", text, problem);
        let absolute = std::path::absolute(path).map_err(|e| invalid(e.to_string()))?;
        let Some(absolute) = absolute.to_str() else {
            return Err(invalid("it is not UTF-8".to_owned()));
        };
        let (folder, pattern) = match glob::is_pattern(absolute) {
            true => glob::split_pattern(absolute),
            false => (absolute, ""),
        };
        let folder = normalise(folder);
        let url = Url::from_file_path(&folder).map_err(|()| invalid("it is no absolute path".to_owned()))?;
        let path = Path::from_absolute_path(&folder).map_err(|e| invalid(e.to_string()))?;
        // A folder whose last file is removed goes too, as it does in object stores.
        let store = LocalFileSystem::new().with_automatic_cleanup(true);
        let mut location = Self::of(text, url, Arc::new(store), path);
        location.pattern = (!pattern.is_empty()).then(|| pattern.to_owned());
        Ok(location)
    }

    /// The canonical URL of the folder or file, without a pattern.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store of the URL's scheme and host; the paths of [`SourceFile`] are paths in it.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The folder or file within [`Location::store`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder or file on the local file system; none for other stores.
    pub fn local_path(&self) -> Option<std::path::PathBuf> {
        (self.url.scheme() == "file").then(|| self.url.to_file_path().ok()).flatten()
    }

    /// Lists the one file, the files below the folder, or those matching the pattern, by path.
    ///
    /// Hidden files and folders, whose name begins with a dot, are left out of folders and patterns.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if nothing is there; [`StorageError::Invalid`] if the folder is
    /// empty or nothing matches; [`StorageError::Store`] if a file or folder may not be read.
    pub async fn list(&self) -> Result<Vec<SourceFile>> {
        if let Some(path) = self.local_path() {
            // The store lists what it cannot find as empty.
            tokio::fs::metadata(&path).await.map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => self.not_found(),
                _ => StorageError::store("read", &self.text, error),
            })?;
        }
        if self.pattern.is_none()
            && let Some(file) = self.single_file().await?
        {
            return Ok(vec![file]);
        }
        let metas: Vec<ObjectMeta> = self
            .store
            .list(Some(&self.path))
            .try_collect()
            .await
            .map_err(|error| StorageError::store("list", &self.text, error))?;
        let mut files: Vec<SourceFile> = metas
            .into_iter()
            .filter_map(|meta| {
                let name = name_below(&self.path, &meta.location)?;
                let is_hidden = name.split('/').any(|part| part.starts_with('.'));
                let is_wanted = self.pattern.as_ref().is_none_or(|p| glob::matches(p, &name));
                (!is_hidden && is_wanted).then(|| source_file(meta, name))
            })
            .collect();
        if files.is_empty() {
            let problem = match self.pattern {
                Some(_) => "no file matches the pattern",
                None if self.url.scheme() == "file" => "the folder holds no file",
                None => return Err(self.not_found()),
            };
            return Err(StorageError::invalid("source", &self.text, problem));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    async fn single_file(&self) -> Result<Option<SourceFile>> {
        if self.path.is_root() || self.local_path().is_some_and(|path| path.is_dir()) {
            return Ok(None);
        }
        match self.store.head(&self.path).await {
            Ok(meta) => {
                let name = meta.location.filename().unwrap_or_default().to_owned();
                Ok(Some(source_file(meta, name)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StorageError::store("read", &self.text, error)),
        }
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// [`StorageError::Store`] with the file's name.
    pub async fn read(&self, file: &SourceFile) -> Result<Bytes> {
        let failed = |error| StorageError::store("read", self.display(file), error);
        let found = self.store.get(&file.path).await.map_err(failed)?;
        found.bytes().await.map_err(failed)
    }

    /// Reads a file as a stream of chunks.
    ///
    /// # Errors
    /// [`StorageError::Store`] with the file's name, at once or within the stream.
    pub async fn stream(&self, file: &SourceFile) -> Result<BoxStream<'static, Result<Bytes>>> {
        let name = self.display(file);
        let found = self.store.get(&file.path).await.map_err(|error| StorageError::store("read", &name, error))?;
        let chunks = found.into_stream();
        Ok(chunks.map_err(move |error| StorageError::store("read", &name, error)).boxed())
    }

    /// The file's full name for messages: its path on a local file system, else its URL.
    pub fn display(&self, file: &SourceFile) -> String {
        match self.url.scheme() {
            "file" => format!("/{}", file.path),
            scheme => format!("{scheme}://{}/{}", self.url.host_str().unwrap_or_default(), file.path),
        }
    }

    fn not_found(&self) -> StorageError {
        let hint = match self.local_path() {
            Some(path) if path.to_str() != Some(&self.text) => format!(" ({})", path.display()),
            _ => String::new(),
        };
        StorageError::NotFound { what: "source", value: self.text.clone(), hint }
    }
}

fn source_file(meta: ObjectMeta, name: String) -> SourceFile {
    SourceFile {
        name,
        size: meta.size,
        last_modified_micros: meta.last_modified.timestamp_micros(),
        e_tag: meta.e_tag,
        path: meta.location,
    }
}

fn name_below(folder: &Path, file: &Path) -> Option<String> {
    let parts: Vec<String> = file.prefix_match(folder)?.map(|part| part.as_ref().to_owned()).collect();
    Some(parts.join("/"))
}

/// Resolves `.` and `..` by text, so that one folder has one URL even before it exists.
fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}
