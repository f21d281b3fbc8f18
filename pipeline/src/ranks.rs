//! This process among the ranks of a training job: alone, or one of those that a launcher started.

use std::sync::Arc;

use secprm_model::collective::launch::Launch;
use secprm_model::collective::watch::Watch;
use secprm_model::{Collective, OneRank};

use crate::error::{Error, Kind, Result};

/// The ranks, and the watch over them.
pub struct Ranks {
    collective: Arc<dyn Collective>,
    watched: Option<Watched>,
}

/// What has to be ended in order.
struct Watched {
    watch: Arc<Watch>,
    #[cfg(feature = "mpi")]
    mpi: Arc<secprm_model::collective::mpi::MpiRanks>,
}

impl Ranks {
    /// Finds out from the launcher's variables which rank this is, meets the others, and starts the watch over all. `job` names what must be the
    /// same on all of them.
    ///
    /// # Errors
    /// Of kind usage: contradictory variables, several ranks in a build that knows none; of kind transient: a rank did not come.
    pub fn connect(job: &str) -> Result<Ranks> {
        let launch = Launch::from_env(|name| std::env::var(name).ok())?;
        if launch.ranks == 1 {
            return Ok(Ranks { collective: Arc::new(OneRank), watched: None });
        }
        Self::connect_several(&launch, job)
    }

    #[cfg(not(feature = "mpi"))]
    fn connect_several(launch: &Launch, _job: &str) -> Result<Ranks> {
        Err(Error::usage(format!("{:?} started {} ranks, and this build trains on one", launch.launcher, launch.ranks))
            .hint("build with `--features mpi`, see docs/distributed.md"))
    }

    #[cfg(feature = "mpi")]
    fn connect_several(launch: &Launch, job: &str) -> Result<Ranks> {
        use secprm_model::collective::mpi::MpiRanks;
        use secprm_model::collective::rendezvous::DEFAULT_WAIT;
        use secprm_model::collective::watch::WatchOptions;
        let mpi = Arc::new(MpiRanks::start(launch)?);
        // The main thread may sit in an operation that never comes back.
        let on_end = |end: secprm_model::collective::watch::End| {
            eprintln!("error: {}", end.cause);
            std::process::exit(end.code.into());
        };
        let met = mpi.meet(launch, job, DEFAULT_WAIT);
        let watch = match met.and_then(|group| Watch::start(group, WatchOptions::default(), on_end)) {
            Ok(watch) => Arc::new(watch),
            Err(error) => {
                // No watch spreads it yet, and dropping MPI's ranks would end the process before the reason is printed.
                let error = Error::from(error);
                eprintln!("error: {error}");
                mpi.abort(error.kind().exit_code())
            }
        };
        let collective = Arc::new(WatchedMpi { mpi: mpi.clone(), watch: watch.clone() });
        Ok(Ranks { collective, watched: Some(Watched { watch, mpi }) })
    }

    /// Returns what the ranks do together.
    pub fn collective(&self) -> Arc<dyn Collective> {
        self.collective.clone()
    }

    /// Ends this rank's part: all ranks end well, or all with the cause of the one that failed first.
    ///
    /// # Errors
    /// What went wrong, here or on another rank.
    pub fn end(self, result: Result<()>) -> Result<()> {
        let Ranks { collective, watched } = self;
        drop(collective);
        let Some(watched) = watched else { return result };
        let Some(watch) = Arc::into_inner(watched.watch) else {
            // Something that an interrupt left behind still trains; the process ends, which the others notice.
            return result;
        };
        let ended = match &result {
            Ok(()) => watch.finish(),
            Err(error) => Err(watch.fail(&error.to_string(), error.kind().exit_code())),
        };
        match ended {
            Ok(()) => {
                #[cfg(feature = "mpi")]
                if let Some(mpi) = Arc::into_inner(watched.mpi) {
                    mpi.finish();
                }
                result
            }
            // MPI cannot be ended in order any more; mpirun is told by the exit code.
            Err(end) => {
                #[cfg(feature = "mpi")]
                std::mem::forget(watched.mpi);
                match result {
                    // The first rank says who failed before it says why.
                    Err(error) if end.cause.ends_with(&error.to_string()) => Err(error),
                    _ => Err(Error::new(Kind::of_exit_code(end.code), end.cause)),
                }
            }
        }
    }
}

/// MPI's ranks, which say how far they are.
#[cfg(feature = "mpi")]
struct WatchedMpi {
    mpi: Arc<secprm_model::collective::mpi::MpiRanks>,
    watch: Arc<Watch>,
}

#[cfg(feature = "mpi")]
impl Collective for WatchedMpi {
    fn rank(&self) -> usize {
        self.mpi.rank()
    }

    fn ranks(&self) -> usize {
        self.mpi.ranks()
    }

    fn sum(&self, values: &mut [f64]) -> secprm_model::Result<()> {
        self.mpi.sum(values)
    }

    fn reduce_scatter(&self, whole: &secprm_model::Tensor) -> secprm_model::Result<secprm_model::Tensor> {
        self.mpi.reduce_scatter(whole)
    }

    fn all_gather(&self, part: &secprm_model::Tensor) -> secprm_model::Result<secprm_model::Tensor> {
        self.mpi.all_gather(part)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> secprm_model::Result<Vec<u8>> {
        self.mpi.broadcast(bytes)
    }

    fn progress(&self, step: u64, phase: &str) {
        self.watch.progress(step, phase);
    }
}
