//! Ranks over MPI, with f32 tensors on the CPU.
//!
//! MPI belongs to one thread, which initialises it, makes all its calls one after the other and finalises it; the operations hand it work and
//! wait. So the level of thread support asked for is `MPI_THREAD_FUNNELED`, which every library has, whoever calls the operations.
//!
//! An operation whose peer is gone does not return: MPI's own handler aborts the job, or the operation waits until the watch ends the process
//! ([`super::watch`]).

use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use ::mpi::Threading;
use ::mpi::collective::SystemOperation;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, CommunicatorCollectives, Equivalence, Root};
use candle_core::{CpuStorage, Device, Storage, Tensor};

use super::host::Host;
use super::launch::{Endpoint, Launch};
use super::rendezvous::Group;
use super::wire::host_name;
use super::{Collective, require_shares, sum_in_order};
use crate::error::{ModelError, Result};

/// How many numbers one call of MPI moves, over all ranks: counts are 32-bit numbers, and what is staged must stay small. 16 MiB of f32.
const PIECE: usize = 1 << 22;

type Call = Box<dyn FnOnce(&SimpleCommunicator) + Send>;

/// This process as one of MPI's ranks. At the end comes [`MpiRanks::finish`]; dropped without it, it aborts the job, since the others would
/// wait for it for ever.
#[derive(Debug)]
pub struct MpiRanks {
    rank: usize,
    ranks: usize,
    calls: Option<Sender<Call>>,
    thread: Option<JoinHandle<()>>,
}

impl MpiRanks {
    /// Initialises MPI, once per process.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Collective`]: MPI was initialised before or cannot be used with threads, or it counts other ranks than the
    /// launcher's variables, as under a launcher that is not MPI's.
    pub fn start(launch: &Launch) -> Result<Self> {
        let (calls, inbox) = mpsc::channel::<Call>();
        let (sender, started) = mpsc::channel();
        let run = move || {
            let started = match ::mpi::initialize_with_threading(Threading::Funneled) {
                Some((universe, given)) if given >= Threading::Funneled => Ok(universe),
                Some(_) => Err("this MPI library cannot be used with threads"),
                None => Err("MPI was initialised before"),
            };
            // Whoever started this thread waits for its word.
            let universe = match started {
                Ok(universe) => universe,
                Err(reason) => {
                    let _ = sender.send(Err(reason));
                    return;
                }
            };
            let world = universe.world();
            if sender.send(Ok((world.rank() as usize, world.size() as usize))).is_ok() {
                inbox.iter().for_each(|call| call(&world));
            }
        };
        let failed = |reason: &dyn std::fmt::Display| ModelError::Collective(format!("MPI cannot start: {reason}"));
        let thread = std::thread::Builder::new().name("mpi".to_owned()).spawn(run).map_err(|error| failed(&error))?;
        let (rank, ranks) = match started.recv() {
            Ok(Ok(numbers)) => numbers,
            Ok(Err(reason)) => return Err(failed(&reason)),
            Err(_) => return Err(failed(&"its thread ended")),
        };
        if (rank, ranks) == (launch.rank, launch.ranks) {
            return Ok(Self { rank, ranks, calls: Some(calls), thread: Some(thread) });
        }
        // Not aborted here: the caller shall still print the reason, and MPI's thread ends with the process.
        Err(failed(&format!(
            "to MPI this is rank {rank} of {ranks}, to the launcher rank {} of {}: start with this MPI's mpirun, or srun --mpi=pmix",
            launch.rank, launch.ranks
        )))
    }

    /// Meets the other ranks over TCP for the watch. Unless a person chose the place, MPI tells the others where rank 0 listens.
    ///
    /// # Errors
    /// As those of [`Group::join`].
    pub fn meet(&self, launch: &Launch, job: &str, wait: Duration) -> Result<Group> {
        if launch.chosen || launch.ranks <= 1 {
            return Group::join(launch, job, wait);
        }
        if self.rank > 0 {
            let places: Vec<(String, u16)> = serde_json::from_slice(&self.broadcast(Vec::new())?)
                .map_err(|_| ModelError::Collective("rank 0 cannot listen".to_owned()))?;
            let places: Vec<_> = places.into_iter().map(|(host, port)| Endpoint { host, port }).collect();
            return Group::visit(&places, launch, job, wait);
        }
        let name = if launch.one_host { "127.0.0.1".to_owned() } else { host_name() };
        let bound = Host::bind(&Endpoint { host: name.clone(), port: 0 }).and_then(|host| Ok((host.port()?, host)));
        let mut places = Vec::new();
        if let Ok((port, _)) = &bound {
            places.push((name, *port));
            if !launch.one_host {
                places.extend(routed_address().map(|address| (address, *port)));
            }
        }
        // Nothing at all tells the others that there is no place.
        let bytes = if places.is_empty() { Vec::new() } else { serde_json::to_vec(&places).unwrap_or_default() };
        self.broadcast(bytes)?;
        bound?.1.gather(launch, job, wait)
    }

    /// Finalises MPI, which waits for all ranks to do so.
    pub fn finish(mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // It ends without a value, and a panic of it was an operation's error before.
            let _ = thread.join();
        }
    }

    /// Ends all ranks at once; mpirun then exits with this code. For a rank that fails while no watch is there to spread it.
    pub fn abort(&self, code: u8) -> ! {
        // It does not come back, and whoever could not be reached is not initialised any more.
        let _ = self.call(move |world| -> () { world.abort(code.into()) });
        std::process::exit(code.into())
    }

    /// Runs a piece of work on MPI's thread.
    fn call<T: Send + 'static>(&self, work: impl FnOnce(&SimpleCommunicator) -> T + Send + 'static) -> Result<T> {
        let gone = || ModelError::Collective("MPI's thread is gone".to_owned());
        let (reply, answer) = mpsc::channel();
        // Whoever asked waits for the answer below.
        let call = Box::new(move |world: &SimpleCommunicator| drop(reply.send(work(world))));
        self.calls.as_ref().ok_or_else(gone)?.send(call).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())
    }

    /// Runs a piece of work on a tensor's numbers, without copying them.
    fn call_with(
        &self,
        tensor: &Tensor,
        work: impl FnOnce(&SimpleCommunicator, &[f32]) -> Vec<f32> + Send + 'static,
    ) -> Result<Tensor> {
        let tensor = tensor.clone();
        let run = move |world: &SimpleCommunicator| {
            let (storage, layout) = tensor.storage_and_layout();
            match (&*storage, layout.contiguous_offsets()) {
                (Storage::Cpu(CpuStorage::F32(numbers)), Some((start, end))) => Ok(work(world, &numbers[start..end])),
                _ => Err(format!(
                    "MPI takes contiguous f32 tensors on the CPU, not {:?} on {:?}",
                    tensor.dtype(),
                    tensor.device()
                )),
            }
        };
        let numbers = self.call(run)?.map_err(ModelError::Collective)?;
        let count = numbers.len();
        Ok(Tensor::from_vec(numbers, count, &Device::Cpu)?)
    }
}

impl Drop for MpiRanks {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.abort(1);
        }
    }
}

impl Collective for MpiRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn device(&self) -> Option<Device> {
        Some(Device::Cpu)
    }

    /// Every rank adds all ranks' numbers in the order of ranks: `MPI_Allreduce` does not promise the same bits everywhere.
    fn sum(&self, values: &mut [f64]) -> Result<()> {
        let own = values.to_vec();
        let all = self.call(move |world| all_gather(world, &own, PIECE))?;
        sum_in_order(values, &all);
        Ok(())
    }

    fn reduce_scatter(&self, whole: &Tensor) -> Result<Tensor> {
        require_shares(whole.elem_count(), self.ranks)?;
        self.call_with(whole, |world, whole| reduce_scatter(world, whole, PIECE))
    }

    fn all_gather(&self, part: &Tensor) -> Result<Tensor> {
        self.call_with(part, |world, part| all_gather(world, part, PIECE))
    }

    fn broadcast(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.call(move |world| {
            let first = world.process_at_rank(0);
            let mut length = bytes.len() as u64;
            first.broadcast_into(&mut length);
            bytes.resize(length as usize, 0);
            bytes.chunks_mut(PIECE).for_each(|piece| first.broadcast_into(piece));
            bytes
        })
    }
}

/// `[ranks · n]` of each rank to the sums of this rank's `[n]`. A piece takes the same stretch of every rank's part.
fn reduce_scatter(world: &SimpleCommunicator, whole: &[f32], piece: usize) -> Vec<f32> {
    let ranks = world.size() as usize;
    let own = whole.len() / ranks;
    let mut sums = vec![0.0; own];
    let mut staged = Vec::new();
    let mut start = 0;
    for sums in sums.chunks_mut((piece / ranks).max(1)) {
        let stretch = start..start + sums.len();
        let sent = if stretch.len() == own {
            whole
        } else {
            staged.clear();
            (0..ranks).for_each(|rank| staged.extend_from_slice(&whole[rank * own..][stretch.clone()]));
            &staged
        };
        world.reduce_scatter_block_into(sent, sums, SystemOperation::sum());
        start = stretch.end;
    }
    sums
}

/// `[n]` of each rank to `[ranks · n]`, in their order.
fn all_gather<T: Equivalence + Copy + Default>(world: &SimpleCommunicator, part: &[T], piece: usize) -> Vec<T> {
    let ranks = world.size() as usize;
    let mut all = vec![T::default(); ranks * part.len()];
    let mut staged = Vec::new();
    let mut start = 0;
    for sent in part.chunks((piece / ranks).max(1)) {
        if sent.len() == part.len() {
            world.all_gather_into(sent, &mut all[..]);
            break;
        }
        staged.resize(ranks * sent.len(), T::default());
        world.all_gather_into(sent, &mut staged[..]);
        for (rank, received) in staged.chunks(sent.len()).enumerate() {
            all[rank * part.len() + start..][..sent.len()].copy_from_slice(received);
        }
        start += sent.len();
    }
    all
}

/// The address from which this host would reach others; nothing is sent to find out.
fn routed_address() -> Option<String> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address kept for documentation, which is nobody's.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}
