//! Ranks with a GPU each, over NVIDIA's NCCL.
//!
//! Operations are put on the device's own stream, behind what computes their input and before what reads their result,
//! and return without waiting, but for [`Collective::sum`] and [`Collective::broadcast`], whose results are on the host.
//! A rank that is gone therefore shows when a result is read. NCCL itself then waits for ever: whoever launches ranks
//! watches them.
//!
//! The device must have a stream of its own (`Device::new_cuda_with_stream`): the stream of `Device::new_cuda` is another
//! one on each host thread.

use std::ffi::c_char;
use std::sync::mpsc;

use candle_core::cuda_backend::CudaDType;
use candle_core::{CpuStorage, CudaDevice, CudaStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, bail};
use cudarc::driver::{DeviceRepr, ValidAsZeroBits};
use cudarc::nccl::result::NcclError;
use cudarc::nccl::safe::{Comm, Id, NcclType, ReduceOp};

use super::{Collective, require_shares, sum_in_order};
use crate::error::{ModelError, Result};

/// Bytes of the identity that all ranks of a group must be given.
const ID_BYTES: usize = 128;

type Task = Box<dyn FnOnce(&Comm) + Send>;

/// One rank of a group, with its GPU.
pub struct NcclRank {
    rank: usize,
    ranks: usize,
    device: CudaDevice,
    /// NCCL's communicator stays on the thread that made it, which runs what it is sent, in order.
    tasks: mpsc::Sender<Task>,
}

impl NcclRank {
    /// Makes the identity of a new group: one rank does, and hands it to all others by other means.
    ///
    /// # Errors
    /// NCCL finds no network interface to listen on.
    pub fn unique_id() -> Result<Vec<u8>> {
        let id = Id::new().map_err(|error| failed("making an identity", error))?;
        Ok(id.internal().iter().map(|byte| *byte as u8).collect())
    }

    /// Joins the group of that identity; returns when all of its ranks have joined.
    ///
    /// # Errors
    /// The device is no GPU, the identity is none of [`Self::unique_id`], or a rank can't be reached.
    pub fn new(device: &Device, rank: usize, ranks: usize, unique_id: &[u8]) -> Result<Self> {
        if rank >= ranks {
            return Err(ModelError::Collective(format!("there is no rank {rank} among {ranks}")));
        }
        let id: [u8; ID_BYTES] = unique_id.try_into().map_err(|_| {
            let found = unique_id.len();
            ModelError::Collective(format!("NCCL's identity has {found} bytes instead of {ID_BYTES}"))
        })?;
        let Device::Cuda(device) = device else {
            return Err(ModelError::Collective("NCCL joins GPUs, and this rank computes on the CPU".to_owned()));
        };
        let (stream, device) = (device.cuda_stream(), device.clone());
        let (tasks, received) = mpsc::channel::<Task>();
        let (joined, outcome) = mpsc::channel();
        let run = move || {
            // NCCL takes the device that is current on its thread.
            if let Err(error) = stream.context().bind_to_thread() {
                let _ = joined.send(Err(failed("choosing the device", error)));
                return;
            }
            let comm = match Comm::from_rank(stream, rank, ranks, Id::uninit(id.map(|byte| byte as c_char))) {
                Ok(comm) => comm,
                Err(error) => {
                    let _ = joined.send(Err(failed("joining the group", error)));
                    return;
                }
            };
            let _ = joined.send(Ok(()));
            received.into_iter().for_each(|task| task(&comm));
            // The communicator's end aborts what still runs: let it finish first.
            let _ = comm.stream().synchronize();
        };
        let spawned = std::thread::Builder::new().name("nccl".to_owned()).spawn(run);
        spawned.map_err(|error| failed("starting its thread", error))?;
        outcome.recv().map_err(|_| ended())??;
        Ok(Self { rank, ranks, device, tasks })
    }

    /// Calls a function with the communicator and returns what it gives.
    fn with_comm<T: Send + 'static>(&self, call: impl FnOnce(&Comm) -> Result<T> + Send + 'static) -> Result<T> {
        let (answer, result) = mpsc::channel();
        let task: Task = Box::new(move |comm| {
            let _ = answer.send(call(comm));
        });
        self.tasks.send(task).map_err(|_| ended())?;
        result.recv().map_err(|_| ended())?
    }

    fn exchange(&self, tensor: &Tensor, kind: Kind) -> Result<Tensor> {
        if !tensor.is_contiguous() || tensor.rank() != 1 {
            let shape = tensor.dims();
            return Err(ModelError::Collective(format!("a flat contiguous tensor is exchanged, not one of {shape:?}")));
        }
        let (tensor, ranks) = (tensor.detach(), self.ranks);
        self.with_comm(move |comm| Ok(tensor.apply_op1_no_bwd(&Exchange { comm, kind, ranks })?))
    }

    /// Gathers as many numbers of each rank, in their order, on the host.
    fn gather<T>(&self, own: Vec<T>) -> Result<Vec<T>>
    where
        T: NcclType + DeviceRepr + ValidAsZeroBits + Send + 'static,
    {
        let (device, ranks) = (self.device.clone(), self.ranks);
        self.with_comm(move |comm| {
            let sent = device.clone_htod(&own)?;
            let mut gathered = device.alloc_zeros::<T>(own.len() * ranks)?;
            comm.all_gather(&sent, &mut gathered).map_err(|error| failed("gathering", error))?;
            Ok(device.clone_dtoh(&gathered)?)
        })
    }
}

impl Collective for NcclRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn device(&self) -> Option<Device> {
        Some(Device::Cuda(self.device.clone()))
    }

    fn sum(&self, values: &mut [f64]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        // Summed on the host in the order of ranks: the same bits on all, whatever way NCCL would take.
        let all = self.gather(values.to_vec())?;
        sum_in_order(values, &all);
        Ok(())
    }

    fn reduce_scatter(&self, whole: &Tensor) -> Result<Tensor> {
        require_shares(whole.elem_count(), self.ranks)?;
        self.exchange(whole, Kind::ReduceScatter)
    }

    fn all_gather(&self, part: &Tensor) -> Result<Tensor> {
        self.exchange(part, Kind::AllGather)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let length = self.gather(vec![bytes.len() as u64])?.first().map_or(0, |length| *length as usize);
        if length == 0 {
            return Ok(Vec::new());
        }
        let (device, is_first) = (self.device.clone(), self.is_first());
        self.with_comm(move |comm| {
            let mut buffer = if is_first { device.clone_htod(&bytes)? } else { device.alloc_zeros::<u8>(length)? };
            comm.broadcast_in_place(&mut buffer, 0).map_err(|error| failed("broadcasting", error))?;
            Ok(device.clone_dtoh(&buffer)?)
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    ReduceScatter,
    AllGather,
}

/// An exchange as an operation on one tensor, which is how candle lends a tensor's memory and takes a new one.
struct Exchange<'a> {
    comm: &'a Comm,
    kind: Kind,
    ranks: usize,
}

impl Exchange<'_> {
    fn run<T>(&self, storage: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)>
    where
        T: CudaDType + NcclType + DeviceRepr + ValidAsZeroBits,
    {
        let device = &storage.device;
        let own = storage.as_cuda_slice::<T>()?;
        let count = layout.shape().elem_count();
        let sent = own.slice(layout.start_offset()..layout.start_offset() + count);
        let (received, outcome) = match self.kind {
            Kind::ReduceScatter => {
                let mut received = device.alloc_zeros::<T>(count / self.ranks)?;
                let outcome = self.comm.reduce_scatter(&sent, &mut received, &ReduceOp::Sum);
                (received, outcome)
            }
            Kind::AllGather => {
                let mut received = device.alloc_zeros::<T>(count * self.ranks)?;
                let outcome = self.comm.all_gather(&sent, &mut received);
                (received, outcome)
            }
        };
        outcome
            .map_err(|NcclError(code)| candle_core::Error::Msg(format!("NCCL: {:?} failed: {code:?}", self.kind)))?;
        let shape = Shape::from(received.len());
        Ok((CudaStorage::wrap_cuda_slice(received, device.clone()), shape))
    }
}

impl CustomOp1 for Exchange<'_> {
    fn name(&self) -> &'static str {
        "nccl"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        bail!("NCCL exchanges tensors on GPUs, this one is on the CPU")
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        match storage.dtype() {
            DType::F32 => self.run::<f32>(storage, layout),
            DType::BF16 => self.run::<half::bf16>(storage, layout),
            other => bail!("NCCL exchanges F32 and BF16 here, not {other:?}"),
        }
    }
}

fn failed(action: &str, error: impl std::fmt::Debug) -> ModelError {
    ModelError::Collective(format!("NCCL: {action} failed: {error:?}; NCCL_DEBUG=WARN says more"))
}

fn ended() -> ModelError {
    ModelError::Collective("NCCL: its thread has ended after an earlier failure".to_owned())
}
