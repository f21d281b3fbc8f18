//! A watch over all ranks of a job, so that none waits for ever for one that is gone.
//!
//! Each rank has a thread that sends a sign of life and its progress to rank 0. Rank 0 decides when a rank is lost or says that it failed,
//! and tells all others the one cause; each notices by itself when rank 0 is lost. A rank's main thread may then be in an operation that never
//! comes back, so the end is a call from the watch's thread, which is expected to end the process.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::judge::Progress;
pub use super::judge::{End, LOST_RANK};
use super::rendezvous::Group;
use super::watcher::{Event, Watcher};
use crate::error::{ModelError, Result};

/// Times of a watch. They are the same on all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// How often a rank gives a sign of life.
    pub beat: Duration,
    /// A rank that sent nothing for this long is lost.
    pub silence: Duration,
    /// A rank that reports no progress for this long is lost though it is alive.
    pub stall: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { beat: seconds(2), silence: seconds(30), stall: seconds(30 * 60) }
    }
}

/// This rank's part of the watch. Dropped without [`Watch::finish`] or [`Watch::fail`], it leaves like a rank that died.
#[derive(Debug)]
pub struct Watch {
    events: Sender<Event>,
    progress: Arc<Mutex<Progress>>,
    thread: Option<JoinHandle<Option<End>>>,
}

impl Watch {
    /// Starts to watch over the ranks of a group. `on_end` is called at most once, on the watch's thread, when the job ends for another rank's
    /// sake: it prints the cause and exits with the code.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Config`] if a rank would count as silent between two signs of life; [`crate::ErrorKind::Collective`] if
    /// the system gives no thread.
    pub fn start(group: Group, options: WatchOptions, on_end: impl FnOnce(End) + Send + 'static) -> Result<Self> {
        if options.beat.is_zero() || options.silence < 2 * options.beat {
            let reason =
                format!("is {:?}: give at least twice the {:?} between signs of life", options.silence, options.beat);
            return Err(ModelError::config("silence", reason));
        }
        let (events, inbox) = mpsc::channel();
        let progress = Arc::new(Mutex::new(Progress::default()));
        let failed = |error| ModelError::Collective(format!("the watch over the ranks cannot start: {error}"));
        let watcher = Watcher::new(group, options, progress.clone(), &events, inbox).map_err(failed)?;
        let run = move || watcher.run(on_end);
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self { events, progress, thread: Some(thread) })
    }

    /// Says how far this rank is. Each call counts as progress, so a long phase calls this again and again.
    pub fn progress(&self, step: u64, phase: &str) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.step = step;
        progress.reports += 1;
        if progress.phase != phase {
            phase.clone_into(&mut progress.phase);
        }
    }

    /// Reports that this rank fails, and returns why all ranks end and with which code: for this cause, or for another rank's that it
    /// follows from. A code of [`LOST_RANK`] says that another rank seems to be gone, and gives way to that one's own sign.
    pub fn fail(mut self, cause: &str, code: u8) -> End {
        let own = End { cause: cause.to_owned(), code };
        let (reply, answer) = mpsc::channel();
        // If the watch has ended already, then with a cause.
        let _ = self.events.send(Event::Fail(own.clone(), reply));
        answer.recv().ok().or_else(|| self.ended()).unwrap_or(own)
    }

    /// Says that this rank has done all it had to do, and waits until all ranks have, so that they end alike.
    ///
    /// # Errors
    /// The job ended for this cause instead, if it did before all were done.
    pub fn finish(mut self) -> std::result::Result<(), End> {
        let (reply, answer) = mpsc::channel();
        let _ = self.events.send(Event::Finish(reply));
        match answer.recv().ok().or_else(|| self.ended()) {
            Some(end) => Err(end),
            None => Ok(()),
        }
    }

    /// Waits for the watch's thread, which returns why the job ended, or nothing for a clean end.
    fn ended(&mut self) -> Option<End> {
        self.thread.take().and_then(|thread| thread.join().ok()).flatten()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Leave);
        self.ended();
    }
}
