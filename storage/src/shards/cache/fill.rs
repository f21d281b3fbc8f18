//! One file on its way into the cache.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, stream};

use super::ShardCache;
use super::folder::{Claim, Partial, is_intact, remove, touch};
use crate::shards::source::{Failure, Source};

/// Bytes that are fetched by one request, and held until they are written.
const CHUNK_BYTES: u64 = 8 << 20;
/// Chunks that are fetched at a time.
const CHUNKS_AT_A_TIME: usize = 2;

/// The outcome of an attempt to have a file in the cache.
pub(super) enum Filled {
    Ready(PathBuf),
    Busy,
    NoRoom,
}

/// Why a file cannot be put into the cache.
pub(super) enum Problem {
    Remote(Failure),
    Local(io::Error),
}

/// Verifies the file of a key that is there, or fetches it.
pub(super) async fn fill(cache: &Arc<ShardCache>, key: &str, source: &Source) -> Result<Filled, Problem> {
    loop {
        let claim = {
            let (cache, key, size) = (Arc::clone(cache), key.to_owned(), source.size);
            blocking(move || cache.folder.claim(&key, size)).await?
        };
        match claim {
            Claim::Busy => return Ok(Filled::Busy),
            Claim::NoRoom => return Ok(Filled::NoRoom),
            Claim::Mine(partial) => return fetch(cache, partial, source).await.map(Filled::Ready),
            Claim::Present { path, hash } => {
                let size = source.size;
                let intact = blocking(move || match is_intact(&path, size, &hash) {
                    true => touch(&path).map(|()| Some(path)),
                    false => {
                        tracing::warn!("{} in the cache is damaged; fetching it again", path.display());
                        remove(&path).map(|()| None)
                    }
                });
                if let Some(path) = intact.await? {
                    return Ok(Filled::Ready(path));
                }
            }
        }
    }
}

async fn fetch(cache: &Arc<ShardCache>, mut partial: Partial, source: &Source) -> Result<PathBuf, Problem> {
    let starts = (0..source.size).step_by(CHUNK_BYTES as usize);
    let ranges = starts.map(|start| start..(start + CHUNK_BYTES).min(source.size));
    let chunks = ranges.map(|range| async move { source.fetch(std::slice::from_ref(&range)).await });
    let mut chunks = stream::iter(chunks).buffered(CHUNKS_AT_A_TIME);
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(Problem::Remote)?;
        (partial, hasher) = blocking(move || {
            for bytes in &chunk {
                hasher.update(bytes);
                partial.file.write_all(bytes)?;
            }
            Ok((partial, hasher))
        })
        .await?;
    }
    let hash = hasher.finalize().to_hex();
    let cache = Arc::clone(cache);
    blocking(move || cache.folder.publish(partial, &hash)).await
}

/// Runs what waits for the disk where it delays nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Problem> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|error| Problem::Local(io::Error::other(error)))?.map_err(Problem::Local)
}
