//! Time and memory on a GPU.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use candle_core::Device;

use crate::Result;

/// Watches how much of a GPU's memory is taken, by anyone.
pub struct MemoryWatch {
    peak: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Starts looking every few milliseconds.
    pub fn start(device: &Device) -> Self {
        let context = match device {
            Device::Cuda(device) => Some(device.cuda_stream().context().clone()),
            _ => None,
        };
        let (peak, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stop) = (peak.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if let Some(Ok((free, total))) = context.as_ref().map(|context| context.mem_get_info()) {
                    seen.fetch_max(total - free, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        Self { peak, ended, thread: Some(thread) }
    }

    /// Returns the most that was taken, in GiB.
    pub fn peak_gib(&self) -> f64 {
        self.peak.load(Ordering::Relaxed) as f64 / f64::from(1 << 30)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the median seconds of `repeats` calls after one that is not counted; the device is idle before and after each.
pub fn seconds(device: &Device, repeats: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    device.synchronize()?;
    let mut times = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        let started = Instant::now();
        call()?;
        device.synchronize()?;
        times.push(started.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
