//! Parts as processes, so that one that hangs or runs out of memory costs no other.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::{Part, Result, report};

/// Runs every part after the other; each writes its lines to this process's output.
pub fn run_all(parts: &[Part], arguments: &[String], seconds: Option<u64>) -> Result<bool> {
    let program = std::env::current_exe()?;
    let mut all_within = true;
    for (name, own_limit, _) in parts {
        let limit = Duration::from_secs(seconds.unwrap_or(*own_limit));
        eprintln!("gpu_check {name}: at most {} s", limit.as_secs());
        let child = Command::new(&program).arg(name).args(arguments).spawn()?;
        match wait(child, limit)? {
            Ended::Well => {}
            Ended::Badly => all_within = false,
            Ended::Late => report::failure(name, &format!("stopped after {} s", limit.as_secs())),
        }
    }
    Ok(all_within && report::all_within())
}

enum Ended {
    Well,
    Badly,
    Late,
}

fn wait(mut child: Child, limit: Duration) -> Result<Ended> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Ended::Well } else { Ended::Badly });
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::Late);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
