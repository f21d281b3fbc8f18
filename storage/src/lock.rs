//! One writer at a time: a lock that the operating system releases when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::{Result, StorageError};

/// The right to write to a warehouse, held until it is dropped or its process ends.
#[derive(Debug)]
pub struct WarehouseLock {
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// Dropping the file closes it, which releases the lock.
    File {
        _file: File,
    },
    Memory(Arc<AtomicBool>),
}

#[derive(Serialize, Deserialize)]
struct Holder {
    pid: u32,
    since_epoch_seconds: u64,
}

impl WarehouseLock {
    /// Takes the lock file; `warehouse` names it in messages.
    pub(crate) fn of_file(path: &Path, warehouse: &str) -> Result<Self> {
        let failed = |error: std::io::Error| StorageError::store("lock", path.display(), error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::Locked {
                    warehouse: warehouse.to_owned(),
                    holder: describe_holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let holder = Holder { pid: std::process::id(), since_epoch_seconds: now_seconds() };
        // What is written here only serves the message of a second run.
        let text = serde_json::to_string(&holder).unwrap_or_default();
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes())).map_err(failed)?;
        Ok(Self { held: Held::File { _file: file } })
    }

    /// Takes the flag of a warehouse that is not on the local file system.
    pub(crate) fn of_flag(flag: &Arc<AtomicBool>, warehouse: &str) -> Result<Self> {
        if flag.swap(true, Ordering::AcqRel) {
            return Err(StorageError::Locked { warehouse: warehouse.to_owned(), holder: "in this process".to_owned() });
        }
        Ok(Self { held: Held::Memory(Arc::clone(flag)) })
    }
}

impl Drop for WarehouseLock {
    fn drop(&mut self) {
        if let Held::Memory(flag) = &self.held {
            flag.store(false, Ordering::Release);
        }
    }
}

fn describe_holder(file: &mut File) -> String {
    let mut text = String::new();
    let holder = file
        .rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .ok()
        .and_then(|_| serde_json::from_str::<Holder>(&text).ok());
    match holder {
        Some(holder) => {
            let seconds = now_seconds().saturating_sub(holder.since_epoch_seconds);
            format!("process {}, for {}", holder.pid, duration(seconds))
        }
        None => "unknown process".to_owned(),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
