//! Which rank this process is, of how many, and where rank 0 listens, as the launcher's variables say.
//!
//! | launcher | decides | rank, ranks, rank on this host |
//! | --- | --- | --- |
//! | torchrun | `RANK` or `WORLD_SIZE` | `RANK`, `WORLD_SIZE`, `LOCAL_RANK` |
//! | Open MPI's mpirun | `OMPI_COMM_WORLD_RANK` | `OMPI_COMM_WORLD_RANK`, `_SIZE`, `_LOCAL_RANK` |
//! | MPICH, Intel MPI | `PMI_RANK` | `PMI_RANK`, `PMI_SIZE`, `MPI_LOCALRANKID` |
//! | srun | `SLURM_STEP_ID`, and `SLURM_PROCID` beside it | `SLURM_PROCID`, `SLURM_STEP_NUM_TASKS` or `SLURM_NTASKS`, `SLURM_LOCALID` |
//!
//! The first line that applies is taken: launchers nest in this order (srun starts mpirun's daemons, whose children inherit SLURM's numbers of
//! the daemon), so that the innermost one is right. None applies: one rank.
//!
//! `SLURM_NTASKS` and `SLURM_PROCID` alone make no ranks. `salloc` and `sbatch` set them for the shell or script that they start once, and a
//! program there is one process, whatever the allocation could hold. A step's number is what srun gives to the tasks that it starts;
//! the numbers of batch scripts, interactive shells and the like, at the top of the 32 bits, are not counted as steps.

use super::slurm;
use crate::error::{ModelError, Result};

/// The variable that says where rank 0 listens, `HOST:PORT`, whatever the launcher says.
pub const RENDEZVOUS_VARIABLE: &str = "SECPRM_RENDEZVOUS";

/// Names what started the ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// Nothing: this process is alone.
    Alone,
    /// PyTorch's torchrun, or whatever sets the same variables.
    Torchrun,
    /// Open MPI's mpirun.
    OpenMpi,
    /// MPICH's or Intel's mpirun, or srun with PMI.
    Pmi,
    /// SLURM's srun.
    Slurm,
}

/// A host and a port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(out, "[{host}]:{port}") } else { write!(out, "{host}:{port}") }
    }
}

/// This process's place among the ranks of its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What started the ranks.
    pub launcher: Launcher,
    /// This rank's number, from 0.
    pub rank: usize,
    /// How many ranks there are.
    pub ranks: usize,
    /// This rank's number among those of its host, which picks the GPU; 0 where the launcher does not say.
    pub local_rank: usize,
    /// Whether the launcher says that all ranks are on this host.
    pub one_host: bool,
    /// Where rank 0 listens, if that can be known from variables.
    pub rendezvous: Option<Endpoint>,
    /// Whether [`RENDEZVOUS_VARIABLE`] or `MASTER_ADDR` and `MASTER_PORT` said so, and not a rule of this crate.
    pub chosen: bool,
}

impl Launch {
    /// Describes a process that is alone.
    pub fn alone() -> Self {
        let launcher = Launcher::Alone;
        Self { launcher, rank: 0, ranks: 1, local_rank: 0, one_host: true, rendezvous: None, chosen: false }
    }

    /// Reads the launcher's variables through a look-up, such as `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Config`], naming the variable: it is no number, it contradicts another one, or one that belongs to it
    /// is missing.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variables = Variables { get: &|name| get(name).filter(|value| !value.trim().is_empty()) };
        let mut launch = Self::find(&variables)?;
        if launch.ranks > 1 {
            launch.rendezvous = variables.rendezvous(&launch)?;
            let of_master = variables.has("MASTER_ADDR") && variables.has("MASTER_PORT");
            launch.chosen = variables.has(RENDEZVOUS_VARIABLE) || of_master;
        }
        Ok(launch)
    }

    fn find(variables: &Variables) -> Result<Self> {
        if variables.has("RANK") || variables.has("WORLD_SIZE") {
            let names = Names { rank: "RANK", ranks: "WORLD_SIZE", local: "LOCAL_RANK", here: "LOCAL_WORLD_SIZE" };
            return variables.launch(Launcher::Torchrun, &names);
        }
        if variables.has("OMPI_COMM_WORLD_RANK") {
            let names = Names {
                rank: "OMPI_COMM_WORLD_RANK",
                ranks: "OMPI_COMM_WORLD_SIZE",
                local: "OMPI_COMM_WORLD_LOCAL_RANK",
                here: "OMPI_COMM_WORLD_LOCAL_SIZE",
            };
            return variables.launch(Launcher::OpenMpi, &names);
        }
        if variables.has("PMI_RANK") {
            let names =
                Names { rank: "PMI_RANK", ranks: "PMI_SIZE", local: "MPI_LOCALRANKID", here: "MPI_LOCALNRANKS" };
            return variables.launch(Launcher::Pmi, &names);
        }
        if slurm::is_task(variables)? {
            let ranks = if variables.has("SLURM_STEP_NUM_TASKS") { "SLURM_STEP_NUM_TASKS" } else { "SLURM_NTASKS" };
            let names = Names { rank: "SLURM_PROCID", ranks, local: "SLURM_LOCALID", here: "" };
            return variables.launch(Launcher::Slurm, &names);
        }
        Ok(Self::alone())
    }
}

/// The variables of one launcher: this rank, all ranks, this rank on its host, all ranks of the host.
struct Names {
    rank: &'static str,
    ranks: &'static str,
    local: &'static str,
    here: &'static str,
}

/// The environment; empty variables count as not set.
pub(super) struct Variables<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl Variables<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.get)(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |text: String| {
            text.trim()
                .parse()
                .map_err(|_| ModelError::config(name, format!("is {text:?}, which is no number in range")))
        };
        self.get(name).map(parse).transpose()
    }

    fn launch(&self, launcher: Launcher, names: &Names) -> Result<Launch> {
        let rank: Option<usize> = self.number(names.rank)?;
        let ranks: Option<usize> = self.number(names.ranks)?;
        let missing = |name: &str, other: &str| {
            ModelError::config(name, format!("is not set, but {other} is: set both, or neither for one rank"))
        };
        let rank = rank.ok_or_else(|| missing(names.rank, names.ranks))?;
        let ranks = ranks.ok_or_else(|| missing(names.ranks, names.rank))?;
        if rank >= ranks {
            let reason = format!("is {rank}, but ranks are numbered from 0 and {} is {ranks}", names.ranks);
            return Err(ModelError::config(names.rank, reason));
        }
        let local_rank = self.number(names.local)?.unwrap_or(0);
        let here: Option<usize> = if names.here.is_empty() { None } else { self.number(names.here)? };
        let limit = here.unwrap_or(ranks);
        if local_rank >= limit {
            let counted = if here.is_some() { names.here } else { names.ranks };
            let reason = format!("is {local_rank}, but {counted} is {limit}");
            return Err(ModelError::config(names.local, reason));
        }
        Ok(Launch { launcher, rank, ranks, local_rank, one_host: here == Some(ranks), rendezvous: None, chosen: false })
    }

    /// An explicit place, else beside torchrun's store, else what the launcher's numbers give.
    fn rendezvous(&self, launch: &Launch) -> Result<Option<Endpoint>> {
        if let Some(text) = self.get(RENDEZVOUS_VARIABLE) {
            let parsed = text.trim().rsplit_once(':').and_then(|(host, port)| {
                let host = host.trim_matches(['[', ']']).to_owned();
                port.parse().ok().filter(|&port| port > 0 && !host.is_empty()).map(|port| Endpoint { host, port })
            });
            let wrong = || ModelError::config(RENDEZVOUS_VARIABLE, format!("is {text:?}, which is not HOST:PORT"));
            return parsed.map(Some).ok_or_else(wrong);
        }
        let host = match self.get("MASTER_ADDR") {
            Some(host) => Some(host.trim().to_owned()),
            None if launch.launcher == Launcher::Slurm => slurm::first_host(self)?,
            None if launch.one_host && launch.launcher != Launcher::Torchrun => Some("127.0.0.1".to_owned()),
            None => None,
        };
        let port = match self.number::<u16>("MASTER_PORT")? {
            // The port itself is where torchrun's own store listens.
            Some(port) => Some(port.checked_add(1).ok_or_else(|| {
                ModelError::config(
                    "MASTER_PORT",
                    format!("is {port}: the ranks meet one port above, and there is none"),
                )
            })?),
            None => match launch.launcher {
                Launcher::Slurm => slurm::port(self)?,
                // The same text for all ranks of one mpirun, and another for the next.
                Launcher::OpenMpi => self.get("PMIX_NAMESPACE").map(|job| port_of(&job)),
                _ => None,
            },
        };
        if launch.launcher == Launcher::Torchrun {
            for (name, there) in [("MASTER_ADDR", host.is_some()), ("MASTER_PORT", port.is_some())] {
                if !there {
                    let reason = format!(
                        "is not set, but WORLD_SIZE is {}: it says where rank 0 is found ({RENDEZVOUS_VARIABLE} would do too)",
                        launch.ranks
                    );
                    return Err(ModelError::config(name, reason));
                }
            }
        }
        Ok(host.zip(port).map(|(host, port)| Endpoint { host, port }))
    }
}

/// A port between 20000 and 31999, below those that systems give to outgoing connections, from a job's name.
pub(super) fn port_of(job: &str) -> u16 {
    let hash = blake3::hash(job.as_bytes());
    let [low, high, ..] = *hash.as_bytes();
    20_000 + u16::from_le_bytes([low, high]) % 12_000
}
