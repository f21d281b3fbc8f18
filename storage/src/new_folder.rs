//! A local folder that appears with all its files, or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use crate::error::{Result, StorageError};

/// A folder that is being filled under another name; dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub struct NewFolder {
    target: PathBuf,
    partial: PathBuf,
}

impl NewFolder {
    /// Starts beside `target`, which must not exist or be empty.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] if the target holds anything or has no name of its own; [`StorageError::Store`] if nothing can be
    /// written there.
    pub fn begin(target: &Path) -> Result<Self> {
        refuse_full(target)?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = target.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            StorageError::invalid("target folder", &target.to_string_lossy(), "it has no name of its own")
        })?;
        let partial = parent.join(format!(".{name}.{}.partial", uuid::Uuid::now_v7()));
        fs::create_dir_all(&partial).map_err(|error| StorageError::store("create", partial.display(), error))?;
        Ok(NewFolder { target: target.to_owned(), partial })
    }

    /// Returns where files go until the folder is finished.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a file that is not there yet, `/` between its folders.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] for a name that leads out of the folder or that was written before; [`StorageError::Store`] if it
    /// cannot be written.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let relative = Path::new(name);
        let is_below = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !is_below {
            return Err(StorageError::invalid("file name", name, "it leads out of the folder it is written to"));
        }
        let path = self.partial.join(relative);
        let written = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create_new(&path)?.write_all(bytes)
        };
        written().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                StorageError::invalid("file name", name, "a file of that name is there already")
            }
            _ => StorageError::store("write", path.display(), error),
        })
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] if something came into its place meanwhile; [`StorageError::Store`] if it cannot be renamed.
    pub fn finish(self) -> Result<()> {
        refuse_full(&self.target)?;
        fs::rename(&self.partial, &self.target)
            .map_err(|error| StorageError::store("create", self.target.display(), error))
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        // Gone already where it was finished; and where it was not, the failure that ended it is the one to report.
        let _ = fs::remove_dir_all(&self.partial);
    }
}

fn refuse_full(folder: &Path) -> Result<()> {
    let failed = |error| StorageError::store("read", folder.display(), error);
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(entry) => {
                entry.map_err(failed)?;
                let problem = "it is not empty; name a new folder or remove it first";
                Err(StorageError::invalid("target folder", &folder.to_string_lossy(), problem))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_folder_appears_with_all_its_files_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("out");
        let begun = NewFolder::begin(&target).unwrap();
        begun.write_file("a/b.txt", b"x").unwrap();
        assert!(!target.exists());
        drop(begun);
        assert_eq!(entries(home.path()), 0);
        let begun = NewFolder::begin(&target).unwrap();
        begun.write_file("a/b.txt", b"x").unwrap();
        begun.finish().unwrap();
        assert_eq!(fs::read(target.join("a/b.txt")).unwrap(), b"x");
        assert_eq!(entries(home.path()), 1);
        assert!(NewFolder::begin(&target).unwrap_err().to_string().contains("it is not empty"));
    }

    #[test]
    fn no_name_leads_out_and_no_file_is_written_twice() {
        let home = tempfile::tempdir().unwrap();
        let begun = NewFolder::begin(&home.path().join("out")).unwrap();
        for name in ["", "../x", "/x", "a/../../x", "."] {
            assert!(begun.write_file(name, b"").unwrap_err().to_string().contains("leads out"), "{name}");
        }
        begun.write_file("a", b"").unwrap();
        assert!(begun.write_file("a", b"").unwrap_err().to_string().contains("is there already"));
    }
}
