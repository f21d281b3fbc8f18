//! What a rank computes on: the CPU or one of its host's GPUs.

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};

/// Says what is computed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// A GPU where the build knows GPUs (feature `cuda`) and the host has one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, or it is an error.
    Cuda,
}

impl DeviceChoice {
    /// Tells whether a GPU is meant, on this host and in this build.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Config`]: one was asked for, and the build knows none or the host has none.
    pub fn is_gpu(self) -> Result<bool> {
        Ok(self.count()?.is_some())
    }

    /// Opens the CPU, or the GPU of a number among its host's.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Config`]: as [`Self::is_gpu`], or no GPU has that number.
    pub fn open(self, number: usize) -> Result<Device> {
        let Some(found) = self.count()? else { return Ok(Device::Cpu) };
        if number >= found {
            let reason = format!(
                "this process takes the GPU of its number on this host, {number} from 0 on, and finds {found}: start fewer ranks a \
                 host, or see CUDA_VISIBLE_DEVICES"
            );
            return Err(ModelError::config("device", reason));
        }
        // A stream of its own, which the ranks' exchange needs: the other kind of device has one a host thread.
        Ok(Device::new_cuda_with_stream(number)?)
    }

    /// How many GPUs there are to choose from; `None` where the CPU is meant.
    fn count(self) -> Result<Option<usize>> {
        match self {
            Self::Cpu => Ok(None),
            Self::Auto => Ok(gpus().ok()),
            Self::Cuda => match gpus() {
                Ok(count) => Ok(Some(count)),
                Err(reason) => Err(ModelError::config("device", format!("is cuda, but {reason}"))),
            },
        }
    }
}

/// Counts the host's GPUs, at least one; else says why there is none.
#[cfg(feature = "cuda")]
fn gpus() -> std::result::Result<usize, String> {
    match cudarc::driver::CudaContext::device_count() {
        Ok(count) if count > 0 => Ok(count as usize),
        Ok(_) => Err("this host has no GPU".to_owned()),
        Err(error) => Err(format!("the driver finds no GPU on this host: {error}")),
    }
}

#[cfg(not(feature = "cuda"))]
fn gpus() -> std::result::Result<usize, String> {
    Err("this build knows no GPUs: build with `--features cuda`, see docs/gpu.md".to_owned())
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_build_without_gpus_takes_the_cpu_unless_a_gpu_is_asked_for() {
        assert!(DeviceChoice::Auto.open(3).unwrap().is_cpu());
        assert!(DeviceChoice::Cpu.open(3).unwrap().is_cpu());
        let error = DeviceChoice::Cuda.open(0).unwrap_err();
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}
