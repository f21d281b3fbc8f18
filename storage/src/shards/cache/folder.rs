//! The cache's folder: whole files under names that hold their hashes, bounded, shared by processes.
//!
//! Nothing here waits for the network. A lock file orders what processes do to the folder: making room, beginning a file, giving it
//! its name. A file that is being written is locked by its writer, so that one whose writer died is known.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const LOCK_FILE: &str = ".lock";
const WHOLE: &str = ".parquet";
const PARTIAL: &str = ".partial";

/// A folder of whole files.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: u64,
    keep: Duration,
}

/// What a process may do about a file that it wants.
pub(super) enum Claim {
    /// It is there, and should have this hash.
    Present { path: PathBuf, hash: String },
    /// Somebody is writing it.
    Busy,
    /// It does not fit beside files that are in use.
    NoRoom,
    /// It is the caller's to write; its room is taken.
    Mine(Partial),
}

/// A file that is being written; dropped before it is published, it is removed.
#[derive(Debug)]
pub(super) struct Partial {
    /// Locked as long as it is open.
    pub(super) file: File,
    path: PathBuf,
    key: String,
    is_published: bool,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_published {
            // Whoever looks for room next removes what could not be removed here.
            let _ = fs::remove_file(&self.path);
        }
    }
}

struct Entry {
    path: PathBuf,
    name: String,
    bytes: u64,
    used: SystemTime,
}

impl Folder {
    /// Opens a folder, which is created where it is missing.
    pub(super) fn open(path: &Path, max_bytes: u64, keep: Duration) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let folder = Self { path: path.canonicalize()?, max_bytes, keep };
        folder.lock()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Finds the file of a key, or takes the room to write it.
    pub(super) fn claim(&self, key: &str, size: u64) -> io::Result<Claim> {
        let _lock = self.lock()?;
        let mut entries = Vec::new();
        for entry in self.entries()? {
            if entry.name.ends_with(PARTIAL) {
                let is_alive = is_locked(&entry.path)?;
                if !is_alive {
                    remove(&entry.path)?;
                    continue;
                }
                if key_of(&entry.name) == key {
                    return Ok(Claim::Busy);
                }
            } else if key_of(&entry.name) == key {
                let hash = entry.name[key.len() + 1..].trim_end_matches(WHOLE).to_owned();
                return Ok(Claim::Present { path: entry.path, hash });
            }
            entries.push(entry);
        }
        if !self.make_room(entries, size)? {
            return Ok(Claim::NoRoom);
        }
        let path = self.path.join(format!("{key}.{}{PARTIAL}", uuid::Uuid::now_v7()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let partial = Partial { file, path, key: key.to_owned(), is_published: false };
        partial.file.try_lock().map_err(io::Error::from)?;
        // So large it will be, for everyone who counts.
        partial.file.set_len(size)?;
        Ok(Claim::Mine(partial))
    }

    /// Removes the least recently used files until `size` more bytes fit; false if those in use leave too little.
    fn make_room(&self, mut entries: Vec<Entry>, size: u64) -> io::Result<bool> {
        let now = SystemTime::now();
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let is_idle = |entry: &Entry| now.duration_since(entry.used).unwrap_or_default() >= self.keep;
        entries.retain(|entry| entry.name.ends_with(WHOLE) && is_idle(entry));
        let removable: u64 = entries.iter().map(|entry| entry.bytes).sum();
        if bytes - removable + size > self.max_bytes {
            return Ok(false);
        }
        entries.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
        for entry in entries {
            if bytes + size <= self.max_bytes {
                break;
            }
            remove(&entry.path)?;
            bytes -= entry.bytes;
        }
        Ok(true)
    }

    /// Makes a written file visible under its key and hash.
    pub(super) fn publish(&self, mut partial: Partial, hash: &str) -> io::Result<PathBuf> {
        partial.file.sync_all()?;
        let _lock = self.lock()?;
        let path = self.path.join(format!("{}.{hash}{WHOLE}", partial.key));
        fs::rename(&partial.path, &path)?;
        partial.is_published = true;
        #[cfg(unix)]
        File::open(&self.path)?.sync_all()?;
        Ok(path)
    }

    /// The files that count: neither the lock nor what other programs put here.
    fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !(name.ends_with(WHOLE) || name.ends_with(PARTIAL)) {
                continue;
            }
            match entry.metadata() {
                Ok(found) => {
                    entries.push(Entry { path: entry.path(), name, bytes: found.len(), used: found.modified()? });
                }
                // Its writer gave up just now, or it was damaged and removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Waits for the other processes; none holds the lock for long.
    fn lock(&self) -> io::Result<File> {
        let path = self.path.join(LOCK_FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.lock()?;
        Ok(file)
    }
}

/// Says that a file was used now.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_modified(SystemTime::now())
}

/// Removes a file, which may be gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a file has the size and the hash that it should have.
pub(super) fn is_intact(path: &Path, size: u64, hash: &str) -> bool {
    let read = || -> io::Result<bool> {
        let file = File::open(path)?;
        if file.metadata()?.len() != size {
            return Ok(false);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(hasher.finalize().to_hex().as_str() == hash)
    };
    read().unwrap_or(false)
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn key_of(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}
