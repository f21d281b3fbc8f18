//! This process among the ranks of a training job: alone, or one of those that a launcher started, with a watch over all of them.
//!
//! Ranks with a GPU each meet over TCP and exchange tensors over NCCL (feature `cuda`); ranks on CPUs exchange them over MPI (feature `mpi`).

use std::sync::Arc;

use super::launch::Launch;
use super::watch::{End, Watch};
use super::{Collective, OneRank};
#[cfg(any(feature = "mpi", feature = "cuda"))]
use super::{rendezvous::DEFAULT_WAIT, watch::WatchOptions};
use crate::device::DeviceChoice;
use crate::error::{ModelError, Result};

/// The ranks, and the watch over them.
pub struct Ranks {
    collective: Arc<dyn Collective>,
    watch: Option<Arc<Watch>>,
    /// What has to be ended in order.
    #[cfg(feature = "mpi")]
    mpi: Option<Arc<super::mpi::MpiRanks>>,
}

/// What a process does when it cannot go on.
pub struct Exits {
    /// Ends the process for another rank's sake: prints the cause and exits with the code.
    pub on_end: Box<dyn FnOnce(End) + Send>,
    /// Prints an error that the caller will not see, and returns the exit code.
    pub report: fn(&ModelError) -> u8,
}

impl Ranks {
    /// Finds out from the launcher's variables which rank this is, meets the others, and starts the watch over all. `job` names what must be
    /// the same on all of them.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Config`]: contradictory variables, several ranks in a build that cannot join them;
    /// [`crate::ErrorKind::Collective`]: a rank did not come.
    pub fn connect(job: &str, device: DeviceChoice, exits: Exits) -> Result<Self> {
        let launch = Launch::from_env(|name| std::env::var(name).ok())?;
        if launch.ranks == 1 {
            return Ok(Self::of(Arc::new(OneRank), None));
        }
        if device.is_gpu()? { over_nccl(&launch, job, device, exits) } else { over_mpi(&launch, job, exits) }
    }

    fn of(collective: Arc<dyn Collective>, watch: Option<Arc<Watch>>) -> Self {
        Self {
            collective,
            watch,
            #[cfg(feature = "mpi")]
            mpi: None,
        }
    }

    /// Returns what the ranks do together.
    pub fn collective(&self) -> Arc<dyn Collective> {
        self.collective.clone()
    }

    /// Ends this rank's part, which failed or did not: all ranks end well, or all with the cause of the one that failed first.
    ///
    /// # Errors
    /// What went wrong, here or on another rank.
    pub fn end(self, failure: Option<End>) -> std::result::Result<(), End> {
        let alone = |failure: Option<End>| failure.map_or(Ok(()), Err);
        drop(self.collective);
        let Some(watch) = self.watch else { return alone(failure) };
        let Some(watch) = Arc::into_inner(watch) else {
            // Something that an interrupt left behind still trains; the process ends, which the others notice.
            return alone(failure);
        };
        let ended = match failure {
            None => watch.finish(),
            Some(End { cause, code }) => Err(watch.fail(&cause, code)),
        };
        #[cfg(feature = "mpi")]
        match self.mpi.map(Arc::try_unwrap) {
            Some(Ok(mpi)) if ended.is_ok() => mpi.finish(),
            // MPI cannot be ended in order any more; mpirun is told by the exit code.
            left => std::mem::forget(left),
        }
        ended
    }
}

#[cfg(not(feature = "mpi"))]
fn over_mpi(launch: &Launch, _: &str, _: Exits) -> Result<Ranks> {
    let reason = format!(
        "{:?} started {} of them, and this build trains on one CPU: build with `--features mpi` for CPUs, `--features cuda` for GPUs, \
         see docs/distributed.md",
        launch.launcher, launch.ranks
    );
    Err(ModelError::config("ranks", reason))
}

#[cfg(feature = "mpi")]
fn over_mpi(launch: &Launch, job: &str, exits: Exits) -> Result<Ranks> {
    let mpi = Arc::new(super::mpi::MpiRanks::start(launch)?);
    let met = mpi.meet(launch, job, DEFAULT_WAIT);
    let watch = match met.and_then(|group| Watch::start(group, WatchOptions::default(), exits.on_end)) {
        Ok(watch) => Arc::new(watch),
        // No watch spreads it yet, and dropping MPI's ranks would end the process before the reason is printed.
        Err(error) => mpi.abort((exits.report)(&error)),
    };
    let collective = Arc::new(Watched { transport: mpi.clone(), watch: watch.clone() });
    Ok(Ranks { mpi: Some(mpi), ..Ranks::of(collective, Some(watch)) })
}

#[cfg(not(feature = "cuda"))]
fn over_nccl(_: &Launch, _: &str, device: DeviceChoice, _: Exits) -> Result<Ranks> {
    // Without the feature no device is a GPU.
    Err(ModelError::config("device", format!("is {device:?} in a build without GPUs")))
}

#[cfg(feature = "cuda")]
fn over_nccl(launch: &Launch, job: &str, device: DeviceChoice, exits: Exits) -> Result<Ranks> {
    use super::nccl::NcclRank;
    use super::rendezvous::Group;
    use super::watch::LOST_RANK;
    let device = device.open(launch.local_rank)?;
    let mut group = Group::join(launch, job, DEFAULT_WAIT)?;
    let id = if launch.rank == 0 { NcclRank::unique_id()? } else { Vec::new() };
    let id = group.broadcast(id)?;
    let watch = Watch::start(group, WatchOptions::default(), exits.on_end)?;
    // Joining waits for all others, for ever if one is gone: the watch ends that.
    let nccl = match NcclRank::new(&device, launch.rank, launch.ranks, &id) {
        Ok(nccl) => Arc::new(nccl),
        Err(error) => return Err(ModelError::Collective(watch.fail(&error.to_string(), LOST_RANK).cause)),
    };
    let watch = Arc::new(watch);
    let collective = Arc::new(Watched { transport: nccl, watch: watch.clone() });
    Ok(Ranks::of(collective, Some(watch)))
}

/// Ranks that say how far they are.
#[cfg(any(feature = "mpi", feature = "cuda"))]
struct Watched<C> {
    transport: Arc<C>,
    watch: Arc<Watch>,
}

#[cfg(any(feature = "mpi", feature = "cuda"))]
impl<C: Collective> Collective for Watched<C> {
    fn rank(&self) -> usize {
        self.transport.rank()
    }

    fn ranks(&self) -> usize {
        self.transport.ranks()
    }

    fn device(&self) -> Option<candle_core::Device> {
        self.transport.device()
    }

    fn sum(&self, values: &mut [f64]) -> Result<()> {
        self.transport.sum(values)
    }

    fn reduce_scatter(&self, whole: &candle_core::Tensor) -> Result<candle_core::Tensor> {
        self.transport.reduce_scatter(whole)
    }

    fn all_gather(&self, part: &candle_core::Tensor) -> Result<candle_core::Tensor> {
        self.transport.all_gather(part)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.transport.broadcast(bytes)
    }

    fn progress(&self, step: u64, phase: &str) {
        self.watch.progress(step, phase);
    }
}
