//! Talk on stderr: bars on a terminal, plain lines otherwise, JSON lines where asked for. Data never goes through here.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How progress is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reports what is going on. Cloning is cheap.
#[derive(Clone)]
pub struct Progress {
    inner: Arc<Inner>,
}

enum Inner {
    Bars(MultiProgress, Mutex<BTreeMap<String, ProgressBar>>),
    Lines,
    Json,
    Silent,
}

impl Progress {
    /// Chooses bars, lines or JSON for this process's stderr.
    pub fn to_stderr(format: LogFormat) -> Progress {
        let inner = match format {
            LogFormat::Json => Inner::Json,
            LogFormat::Text if std::io::stderr().is_terminal() => Inner::Bars(MultiProgress::new(), Mutex::default()),
            LogFormat::Text => Inner::Lines,
        };
        Progress { inner: Arc::new(inner) }
    }

    /// Reports nothing.
    pub fn silent() -> Progress {
        Progress { inner: Arc::new(Inner::Silent) }
    }

    /// A stage started.
    pub fn started(&self, stage: &str, detail: &str) {
        match &*self.inner {
            Inner::Bars(bars, open) => {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:18} {msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(stage.to_owned());
                bar.set_message(detail.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                open.lock().unwrap_or_else(PoisonError::into_inner).insert(stage.to_owned(), bar);
            }
            Inner::Lines | Inner::Silent => {}
            Inner::Json => event("started", stage, detail),
        }
    }

    /// A stage got on; `step` of `steps` decides how often a plain log hears of it (about ten times).
    pub fn advanced(&self, stage: &str, detail: &str, step: u64, steps: u64) {
        match &*self.inner {
            Inner::Bars(_, open) => {
                if let Some(bar) = open.lock().unwrap_or_else(PoisonError::into_inner).get(stage) {
                    bar.set_message(detail.to_owned());
                }
            }
            Inner::Lines if is_tenth(step, steps) => line(&format!("  {stage:18} {detail}")),
            Inner::Json if is_tenth(step, steps) => event("advanced", stage, detail),
            _ => {}
        }
    }

    /// A stage ended.
    pub fn finished(&self, stage: &str, detail: &str) {
        self.ended(stage, "done", "\u{2713}", detail);
    }

    /// A stage failed.
    pub fn failed(&self, stage: &str, detail: &str) {
        self.ended(stage, "failed", "\u{2717}", detail);
    }

    fn ended(&self, stage: &str, status: &str, mark: &str, detail: &str) {
        match &*self.inner {
            Inner::Bars(bars, open) => {
                if let Some(bar) = open.lock().unwrap_or_else(PoisonError::into_inner).remove(stage) {
                    bar.finish_and_clear();
                }
                // A terminal that went away is no reason to end a run.
                let _ = bars.println(format!("{mark} {stage:18} {detail}"));
            }
            Inner::Lines => line(&format!("{mark} {stage:18} {detail}")),
            Inner::Json => event(status, stage, detail),
            Inner::Silent => {}
        }
    }

    /// Says something that belongs to no stage.
    pub fn say(&self, text: &str) {
        match &*self.inner {
            Inner::Bars(bars, _) => {
                let _ = bars.println(text);
            }
            Inner::Lines => line(text),
            Inner::Json => event("note", "", text),
            Inner::Silent => {}
        }
    }
}

fn is_tenth(step: u64, steps: u64) -> bool {
    step + 1 == steps || step.is_multiple_of((steps / 10).max(1))
}

/// A closed stderr is no reason to end a run.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn event(event: &str, stage: &str, detail: &str) {
    line(&serde_json::json!({ "event": event, "stage": stage, "detail": detail }).to_string());
}
