//! Who of the ranks is alive and gets on, as a plain value: times come in as arguments, so that every case can be tested without waiting.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The exit code for a rank that is dead, silent or stands still: the job may be started again.
pub const LOST_RANK: u8 = 4;

/// Why all ranks end, and with which exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The one cause, in the same words on all ranks.
    pub cause: String,
    /// The exit code of all ranks.
    pub code: u8,
}

/// How far a rank has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub step: u64,
    pub phase: String,
    /// Grows with every report, so that many reports within one step are no standstill.
    pub reports: u64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self { reports: 0, .. } => write!(out, "before its first step"),
            Self { step, phase, .. } => write!(out, "at step {step}, {phase}"),
        }
    }
}

/// Times after which a rank counts as lost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub silence: Duration,
    /// None: somebody else judges that.
    pub stall: Option<Duration>,
    /// How long a rank's report that another one is gone waits for that one's own sign.
    pub grace: Duration,
}

#[derive(Debug)]
struct Member {
    name: String,
    heard: Instant,
    moved: Instant,
    progress: Progress,
    done: bool,
}

/// The ranks that one rank watches.
#[derive(Debug)]
pub(super) struct Judge {
    members: Vec<Member>,
    limits: Limits,
    suspicion: Option<(Instant, End)>,
}

impl Judge {
    /// Watches ranks of these names, all of them heard just now.
    pub(super) fn new(names: Vec<String>, limits: Limits, now: Instant) -> Self {
        let member = |name| Member { name, heard: now, moved: now, progress: Progress::default(), done: false };
        Self { members: names.into_iter().map(member).collect(), limits, suspicion: None }
    }

    pub(super) fn heard(&mut self, index: usize, now: Instant) {
        self.members[index].heard = now;
    }

    pub(super) fn progressed(&mut self, index: usize, progress: Progress, now: Instant) {
        let member = &mut self.members[index];
        member.heard = now;
        if member.progress != progress {
            member.moved = now;
            member.progress = progress;
        }
    }

    pub(super) fn done(&mut self, index: usize) {
        self.members[index].done = true;
    }

    pub(super) fn all_done(&self) -> bool {
        self.members.iter().all(|member| member.done)
    }

    /// A rank's connection ended without a goodbye: the surest of all signs.
    pub(super) fn closed(&self, index: usize) -> End {
        let Member { name, progress, .. } = &self.members[index];
        End { cause: format!("{name} ended without a goodbye; last seen {progress}"), code: LOST_RANK }
    }

    /// A rank says that it fails. If it only suffers from another one that is gone, that one's own sign may be on its way.
    pub(super) fn failed(&mut self, index: usize, end: End, now: Instant) -> Option<End> {
        let Member { name, progress, .. } = &self.members[index];
        let end = End { cause: format!("{name} failed {progress}: {}", end.cause), code: end.code };
        if end.code != LOST_RANK {
            return Some(end);
        }
        self.suspicion.get_or_insert((now, end));
        None
    }

    /// Decides by the clock alone.
    pub(super) fn check(&self, now: Instant) -> Option<End> {
        let Limits { silence, stall, grace } = self.limits;
        let lost = |cause| Some(End { cause, code: LOST_RANK });
        let since = |then: Instant| now.saturating_duration_since(then);
        let silent =
            self.members.iter().filter(|member| since(member.heard) >= silence).min_by_key(|member| member.heard);
        if let Some(Member { name, progress, .. }) = silent {
            return lost(format!("{name} sent nothing for {silence:?}; last seen {progress}"));
        }
        if let Some((_, end)) = self.suspicion.as_ref().filter(|(then, _)| since(*then) >= grace) {
            return Some(end.clone());
        }
        let stall = stall?;
        // Where one rank stands still, those that wait for it do so too, but they began later.
        let working = self.members.iter().filter(|member| !member.done);
        let still = working.filter(|member| since(member.moved) >= stall).min_by_key(|member| member.moved);
        let Member { name, progress, .. } = still?;
        lost(format!("{name} is alive but has not moved for {stall:?}; it stands {progress}"))
    }

    /// Takes back time in which this process itself did not run, stopped or suspended, so that nobody could be heard.
    pub(super) fn forgive(&mut self, gap: Duration, now: Instant) {
        for member in &mut self.members {
            member.heard = (member.heard + gap).min(now);
            member.moved = (member.moved + gap).min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn three() -> (Judge, Instant) {
        let now = Instant::now();
        let limits = Limits { silence: 30 * SECOND, stall: Some(1800 * SECOND), grace: 5 * SECOND };
        let names = (0..3).map(|rank| format!("rank {rank} on h{rank}")).collect();
        (Judge::new(names, limits, now), now)
    }

    fn at(step: u64, phase: &str, reports: u64) -> Progress {
        Progress { step, phase: phase.to_owned(), reports }
    }

    #[test]
    fn a_silent_rank_is_named_with_where_it_was() {
        let (mut judge, start) = three();
        judge.progressed(2, at(120, "backward", 9), start);
        let later = start + 30 * SECOND;
        judge.heard(0, later);
        judge.heard(1, later);
        assert_eq!(judge.check(later - SECOND), None);
        let end = judge.check(later).unwrap();
        assert_eq!(end.cause, "rank 2 on h2 sent nothing for 30s; last seen at step 120, backward");
        assert_eq!(end.code, 4);
        assert_eq!(judge.closed(1).cause, "rank 1 on h1 ended without a goodbye; last seen before its first step");
    }

    #[test]
    fn of_ranks_that_stand_still_the_first_is_the_cause() {
        let (mut judge, start) = three();
        judge.progressed(1, at(7, "read", 1), start + SECOND);
        judge.progressed(0, at(7, "sum", 1), start + 2 * SECOND);
        judge.progressed(2, at(7, "sum", 1), start + 2 * SECOND);
        for beat in 1..=180 {
            let now = start + 10 * beat * SECOND;
            for (rank, phase) in [(0, "sum"), (1, "read"), (2, "sum")] {
                judge.progressed(rank, at(7, phase, 1), now);
            }
            assert_eq!(judge.check(now), None, "{beat}");
        }
        let end = judge.check(start + 1805 * SECOND).unwrap();
        assert_eq!(end.cause, "rank 1 on h1 is alive but has not moved for 1800s; it stands at step 7, read");
        judge.done(1);
        assert!(judge.check(start + 1805 * SECOND).unwrap().cause.starts_with("rank 0"), "who is done need not move");
    }

    #[test]
    fn a_rank_that_suffers_from_another_waits_for_that_ones_sign() {
        let (mut judge, start) = three();
        let suffers = End { cause: "all_gather failed".to_owned(), code: 4 };
        assert_eq!(judge.failed(1, suffers, start), None);
        assert_eq!(judge.check(start + SECOND), None);
        let end = judge.check(start + 5 * SECOND).unwrap();
        assert_eq!(end.cause, "rank 1 on h1 failed before its first step: all_gather failed");
        let own = End { cause: "loss is NaN".to_owned(), code: 1 };
        let end = judge.failed(2, own, start).unwrap();
        assert_eq!((end.code, end.cause.as_str()), (1, "rank 2 on h2 failed before its first step: loss is NaN"));
    }

    #[test]
    fn time_in_which_this_process_did_not_run_is_no_silence() {
        let (mut judge, start) = three();
        let now = start + 100 * SECOND;
        judge.forgive(95 * SECOND, now);
        assert_eq!(judge.check(now), None);
        assert_eq!(judge.check(now + 24 * SECOND), None);
        assert!(judge.check(now + 25 * SECOND).is_some());
    }
}
