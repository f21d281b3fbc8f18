//! What can go wrong in a stage.

use secprm_model::ModelError;
use secprm_storage::StorageError;

/// A result of a stage.
pub type Result<T, E = StageError> = std::result::Result<T, E>;

/// A failure of a stage; bad records are no failures, they become rejects.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A source that cannot be used as a whole: the user has to change the configuration or the file.
    #[error("{message}")]
    Source {
        /// What is wrong, with the file's name.
        message: String,
        /// What to do about it.
        remedy: String,
    },
    /// A source that could not be read to its end.
    #[error("cannot read {file}")]
    Read {
        /// The file, as listed.
        file: String,
        /// What the operating system or the object store said.
        source: std::io::Error,
    },
    /// A local file that could not be written.
    #[error("cannot write {file}")]
    Write {
        /// The file.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Tables or object stores.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The model.
    #[error(transparent)]
    Model(ModelError),
    /// A query.
    #[error("query failed")]
    Query(#[from] datafusion::error::DataFusionError),
    /// A batch that does not fit its schema.
    #[error("batch failed")]
    Batch(#[from] arrow::error::ArrowError),
    /// A table whose content is not what this version writes.
    #[error("table {table}: {message}")]
    Table {
        /// The table.
        table: String,
        /// What is wrong with it.
        message: String,
    },
    /// A classifier of the shortcut audit could not be fitted or asked.
    #[error("shortcut audit: {0}")]
    Fit(String),
    /// A checkpoint of an unfinished training run that can't be used.
    #[error("checkpoint {path}: {reason}")]
    Saved {
        /// The file or folder below the warehouse.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The user interrupted; nothing was committed.
    #[error("interrupted")]
    Interrupted,
    /// A task that ended without a result.
    #[error("a background task stopped: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<ModelError> for StageError {
    fn from(error: ModelError) -> Self {
        match error {
            // What a stage's own source of examples said, on its way through the training loop.
            ModelError::Source(source) => match source.downcast::<StageError>() {
                Ok(own) => *own,
                Err(source) => StageError::Model(ModelError::Source(source)),
            },
            error => StageError::Model(error),
        }
    }
}
