//! Files beside the tables, such as a model's weights: whole or not there.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use crate::error::{Result, StorageError};
use crate::warehouse::{Warehouse, read_object};

/// Larger files are sent in parts of this size.
const UPLOAD_BYTES: usize = 16 * 1024 * 1024;
/// Parts under way at a time.
const CONCURRENT_UPLOADS: usize = 4;

impl Warehouse {
    /// Writes a file below the warehouse, for example `models/<id>/config.json`.
    ///
    /// Readers see the whole file or, before, whatever was there. Writing the same bytes twice is
    /// harmless, which suits folders named by their content.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a path that leaves the warehouse; [`StorageError::Store`]
    /// if it cannot be written.
    pub async fn put_atomic(&self, path: &str, bytes: Bytes) -> Result<()> {
        let location = blob_path(path)?;
        let failed = |error| StorageError::store("write", path, error);
        if bytes.len() <= UPLOAD_BYTES {
            self.store().put(&location, bytes.into()).await.map_err(failed)?;
            return Ok(());
        }
        let upload = self.store().put_multipart(&location).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, UPLOAD_BYTES);
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Err(error) = upload.wait_for_capacity(CONCURRENT_UPLOADS).await {
                // The first failure is the one to report.
                let _ = upload.abort().await;
                return Err(failed(error));
            }
            upload.put(rest.split_to(rest.len().min(UPLOAD_BYTES)));
        }
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    /// Reads a file below the warehouse.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] if there is none; [`StorageError::Store`] if it cannot be read.
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let found = read_object(self.store().as_ref(), &blob_path(path)?).await?;
        found.ok_or_else(|| StorageError::NotFound {
            what: "file",
            value: path.to_owned(),
            hint: format!(" in {}", crate::redact(self.url().as_str())),
        })
    }

    /// Removes a file below the warehouse; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError::Store`] if it cannot be removed.
    pub async fn remove(&self, path: &str) -> Result<()> {
        match self.store().delete(&blob_path(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StorageError::store("remove", path, error)),
        }
    }

    /// Removes a folder below the warehouse with all that is in it; one that is not there is no error.
    ///
    /// # Errors
    /// [`StorageError::Store`] if it cannot be listed or something of it cannot be removed.
    pub async fn remove_folder(&self, path: &str) -> Result<()> {
        let found = self.store().list(Some(&blob_path(path)?)).map_ok(|file| file.location).boxed();
        let removed = self.store().delete_stream(found).map(|result| match result {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map(drop),
        });
        removed.try_collect::<()>().await.map_err(|error| StorageError::store("remove", path, error))
    }

    /// Tells whether a file exists below the warehouse.
    ///
    /// # Errors
    /// [`StorageError::Store`] if that cannot be found out.
    pub async fn exists(&self, path: &str) -> Result<bool> {
        match self.store().head(&blob_path(path)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StorageError::store("look for", path, error)),
        }
    }
}

fn blob_path(path: &str) -> Result<Path> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !path.split('/').all(is_plain) {
        let problem = "write folder/file, relative to the warehouse, without `.` and `..`";
        return Err(StorageError::invalid("path", path, problem));
    }
    Path::parse(path).map_err(|error| StorageError::invalid("path", path, error.to_string()))
}
