//! What ranks of a training job do together: sums, and the two halves of an all-reduce that ZeRO is made of.
//!
//! Every rank calls the same operations in the same order with tensors of the same sizes. Tensors are flat and contiguous, of the dtype and
//! on the device the implementation is for.

mod host;
mod judge;
pub mod launch;
#[cfg(test)]
mod launch_tests;
#[cfg(feature = "mpi")]
pub mod mpi;
#[cfg(feature = "cuda")]
pub mod nccl;
pub mod ranks;
pub mod rendezvous;
#[cfg(test)]
mod rendezvous_tests;
mod slurm;
#[cfg(test)]
pub(crate) mod threads;
pub mod watch;
#[cfg(test)]
mod watch_tests;
mod watcher;
mod wire;

use candle_core::{Device, Tensor};

use crate::error::Result;

/// A group of ranks that train one model.
pub trait Collective: Send + Sync {
    /// Returns this rank's number, from 0.
    fn rank(&self) -> usize;

    /// Returns how many ranks there are.
    fn ranks(&self) -> usize;

    /// Sums each number over all ranks; all of them get the same bits.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Collective`], as those of all operations: a rank is gone.
    fn sum(&self, values: &mut [f64]) -> Result<()>;

    /// Sums a tensor `[ranks · n]` over all ranks and returns this rank's `[n]` of it.
    ///
    /// # Errors
    /// A rank is gone, or the length is no multiple of the ranks.
    fn reduce_scatter(&self, whole: &Tensor) -> Result<Tensor>;

    /// Joins the `[n]` of each rank, in their order, to `[ranks · n]`.
    ///
    /// # Errors
    /// A rank is gone.
    fn all_gather(&self, part: &Tensor) -> Result<Tensor>;

    /// Hands every rank what rank 0 has; the others' argument is not looked at.
    ///
    /// # Errors
    /// A rank is gone.
    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>>;

    /// Returns the device that tensors are exchanged on; `None` for any.
    fn device(&self) -> Option<Device> {
        None
    }

    /// Says how far this rank is, to whoever watches over the ranks.
    fn progress(&self, _step: u64, _phase: &str) {}

    /// Tells whether this rank is the one that writes what all share.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }
}

/// One process alone: every operation gives back what it got.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneRank;

impl Collective for OneRank {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn sum(&self, _: &mut [f64]) -> Result<()> {
        Ok(())
    }

    fn reduce_scatter(&self, whole: &Tensor) -> Result<Tensor> {
        Ok(whole.clone())
    }

    fn all_gather(&self, part: &Tensor) -> Result<Tensor> {
        Ok(part.clone())
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }
}

/// Refuses numbers that cannot be shared out evenly.
#[cfg(any(test, feature = "mpi", feature = "cuda"))]
fn require_shares(count: usize, ranks: usize) -> Result<()> {
    if count.is_multiple_of(ranks) {
        return Ok(());
    }
    Err(crate::ModelError::Collective(format!("{count} numbers cannot be shared by {ranks} ranks")))
}

/// Sums the numbers of all ranks, one rank's after the other's, in their order: the same bits everywhere.
#[cfg(any(test, feature = "mpi", feature = "cuda"))]
fn sum_in_order(values: &mut [f64], of_ranks: &[f64]) {
    values.fill(0.0);
    for own in of_ranks.chunks_exact(values.len().max(1)) {
        values.iter_mut().zip(own).for_each(|(sum, value)| *sum += value);
    }
}
