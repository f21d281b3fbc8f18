//! Checkpoints in local directories, written so that a reader sees a whole one or none.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checkpoint::{CONFIG_FILE, CheckpointFiles, INDEX_FILE, TOKENIZER_FILE, WEIGHTS_FILE};
use crate::error::{ModelError, Result};

impl CheckpointFiles {
    /// Reads the files a checkpoint needs from a directory; other files in it are left alone.
    ///
    /// # Errors
    /// Names the file that can't be read.
    pub fn read_dir(directory: &Path) -> Result<Self> {
        let names = file_names(directory)?.into_iter();
        let files = names.map(|name| read(&directory.join(&name)).map(|content| (name, content)));
        let files = files.collect::<Result<Vec<_>>>()?;
        Ok(Self::new(files))
    }

    /// Writes the files into a directory, replacing it as a whole.
    ///
    /// They are written and synced beside it first and renamed then. Between the two renames of a replacement a reader
    /// finds no directory, never half of one. One writer per directory.
    ///
    /// # Errors
    /// Names the path that can't be written.
    pub fn write_dir(&self, directory: &Path) -> Result<()> {
        let partial = beside(directory, "partial")?;
        let replaced = beside(directory, "replaced")?;
        for stale in [&partial, &replaced] {
            if stale.exists() {
                fs::remove_dir_all(stale).map_err(at(stale))?;
            }
        }
        fs::create_dir_all(&partial).map_err(at(&partial))?;
        for (name, content) in &self.files {
            let path = partial.join(name);
            let mut file = fs::File::create(&path).map_err(at(&path))?;
            file.write_all(content).map_err(at(&path))?;
            file.sync_all().map_err(at(&path))?;
        }
        if directory.exists() {
            fs::rename(directory, &replaced).map_err(at(directory))?;
        }
        fs::rename(&partial, directory).map_err(at(directory))?;
        if replaced.exists() {
            fs::remove_dir_all(&replaced).map_err(at(&replaced))?;
        }
        Ok(())
    }
}

/// Returns the names of the files that a checkpoint's directory needs, sorted; a single file of weights wins over an index, as in Hugging
/// Face's loader.
pub(crate) fn file_names(directory: &Path) -> Result<Vec<String>> {
    let index = directory.join(INDEX_FILE);
    let sharded = index.is_file() && !directory.join(WEIGHTS_FILE).is_file();
    let index = sharded.then(|| read(&index)).transpose()?;
    let mut names = CheckpointFiles::weight_files(index.as_deref())?;
    names.extend([CONFIG_FILE.to_owned(), TOKENIZER_FILE.to_owned()]);
    names.extend(sharded.then(|| INDEX_FILE.to_owned()));
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(at(path))
}

pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    |source| ModelError::Io { path, source }
}

/// `.NAME.SUFFIX` in the directory's parent, on the same file system.
fn beside(directory: &Path, suffix: &str) -> Result<PathBuf> {
    let Some(name) = directory.file_name() else {
        let reason = format!("{} names no directory to write to", directory.display());
        return Err(ModelError::Checkpoint(reason));
    };
    Ok(directory.with_file_name(format!(".{}.{suffix}", name.to_string_lossy())))
}
