//! Ranks as real processes: this test binary starts itself once per rank, and the ranks are stopped and killed.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::launch::Launch;
use super::rendezvous::Group;
use super::watch::{End, LOST_RANK, Watch, WatchOptions};

const ROLE: &str = "SECPRM_TEST_ROLE";
/// Short against the defaults, long against the pauses of a machine that runs other tests too.
const SILENCE: Duration = Duration::from_secs(4);
const STALL: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

/// What each started process runs. Roles: `work` until ended, `fail`, `suffer`, `stand` still, `finish`, `forget` to finish.
#[test]
#[ignore = "a rank, started by the tests below"]
fn a_rank() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let launch = Launch::from_env(|name| std::env::var(name).ok()).unwrap();
    let group = Group::join(&launch, "job", MINUTE).unwrap();
    let options = WatchOptions { beat: Duration::from_millis(200), silence: SILENCE, stall: STALL };
    let end = |end: End| {
        println!("\nEND {}", end.cause);
        std::process::exit(end.code.into());
    };
    let watch = Watch::start(group, options, end).unwrap();
    for step in 1.. {
        watch.progress(step, if role == "stand" { "read" } else { "sum" });
        std::thread::sleep(Duration::from_millis(100));
        if step == 5 {
            // By now rank 0 has heard of a step.
            println!("\nSTARTED");
        }
        match role.as_str() {
            "fail" if step == 10 => end(watch.fail("loss is NaN", 1)),
            "suffer" if step == 6 => end(watch.fail("all_gather failed", LOST_RANK)),
            "stand" if step == 10 => loop {
                std::thread::park();
            },
            "finish" if step == 10 => match watch.finish() {
                Ok(()) => std::process::exit(0),
                Err(cause) => end(cause),
            },
            "forget" if step == 10 => {
                drop(watch);
                std::process::exit(0);
            }
            _ => continue,
        }
        break;
    }
}

struct Rank {
    process: Child,
    lines: Receiver<String>,
}

impl Rank {
    fn start(rank: usize, role: &str, ranks: usize, port: u16) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "collective::watch_tests::a_rank", "--ignored", "--nocapture"])
            .envs([("RANK", rank.to_string()), ("WORLD_SIZE", ranks.to_string()), ("MASTER_PORT", port.to_string())])
            .envs([("MASTER_ADDR", "127.0.0.1"), (ROLE, role)])
            .env_remove("SECPRM_RENDEZVOUS")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn signal(&self, signal: &str) {
        let command = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    fn wait_for_start(&self) {
        while self.lines.recv_timeout(MINUTE).unwrap() != "STARTED" {}
    }

    /// The exit code and the cause that was printed.
    fn end(mut self) -> (Option<i32>, Option<String>) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < MINUTE, "a rank runs on");
            std::thread::sleep(Duration::from_millis(20));
        };
        (status.code(), self.lines.iter().find_map(|line| line.strip_prefix("END ").map(str::to_owned)))
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        // A stopped one would outlive a test that fails.
        let _ = self.process.kill();
    }
}

/// Starts a rank for each role; all have begun to watch when this returns.
fn start(roles: &[&str]) -> Vec<Rank> {
    // The port below the one that the system has just given is as free as one can know.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port() - 1;
    let ranks: Vec<_> =
        roles.iter().enumerate().map(|(rank, role)| Rank::start(rank, role, roles.len(), port)).collect();
    ranks.iter().for_each(Rank::wait_for_start);
    ranks
}

/// Ends all ranks; each exits with the code and prints the cause, in which `#` stands for the host.
fn assert_all_end(ranks: Vec<Rank>, code: i32, cause: &str) {
    let (before, after) = cause.split_once('#').unwrap();
    let mut first = None;
    for rank in ranks {
        let (found_code, found) = rank.end();
        let found = found.unwrap();
        assert!(found.starts_with(before) && found.contains(after), "{found}");
        assert_eq!(found_code, Some(code), "{found}");
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
    }
}

#[test]
fn a_killed_rank_ends_all_with_code_4() {
    let mut ranks = start(&["work", "work", "work"]);
    let killed = ranks.remove(2);
    killed.signal("KILL");
    assert_all_end(ranks, 4, "rank 2 on # ended without a goodbye; last seen at step ");
    assert_eq!(killed.end(), (None, None));
}

#[test]
fn a_stopped_rank_ends_the_others_with_code_4_and_itself_once_it_goes_on() {
    let mut ranks = start(&["work", "work", "work"]);
    let stopped = ranks.remove(1);
    stopped.signal("STOP");
    assert_all_end(ranks, 4, "rank 1 on # sent nothing for 4s; last seen at step ");
    stopped.signal("CONT");
    assert_all_end(vec![stopped], 4, "rank 1 on # sent nothing for 4s; last seen at step ");
}

#[test]
fn a_killed_or_stopped_rank_0_is_noticed_by_each_of_the_others() {
    for (signal, cause) in
        [("KILL", "rank 0 on # ended without a goodbye"), ("STOP", "rank 0 on # sent nothing for 4s")]
    {
        let mut ranks = start(&["work", "work", "work"]);
        let first = ranks.remove(0);
        first.signal(signal);
        for rank in ranks {
            assert_all_end(vec![rank], 4, cause);
        }
        if signal == "STOP" {
            first.signal("CONT");
            assert_all_end(vec![first], 4, cause);
        } else {
            first.end();
        }
    }
}

#[test]
fn a_rank_that_fails_ends_all_with_its_cause_and_its_code() {
    for roles in [["work", "fail"], ["fail", "work"]] {
        let rank = usize::from(roles[1] == "fail");
        assert_all_end(start(&roles), 1, &format!("rank {rank} on # failed at step 10, sum: loss is NaN"));
    }
}

#[test]
fn a_rank_that_only_suffers_names_the_one_that_was_killed() {
    let mut ranks = start(&["work", "suffer", "work"]);
    std::thread::sleep(Duration::from_secs(1));
    let killed = ranks.remove(2);
    killed.signal("KILL");
    assert_all_end(ranks, 4, "rank 2 on # ended without a goodbye");
    killed.end();
}

#[test]
fn a_rank_that_stands_still_though_alive_is_a_stall() {
    let cause = "rank 1 on # is alive but has not moved for 5s; it stands at step 10, read";
    assert_all_end(start(&["work", "stand", "work"]), 4, cause);
}

#[test]
fn ranks_that_are_done_wait_for_each_other_and_end_cleanly() {
    for rank in start(&["finish", "finish", "finish"]) {
        assert_eq!(rank.end(), (Some(0), None));
    }
    assert_all_end(start(&["finish", "fail", "finish"]), 1, "rank 1 on # failed at step 10, sum: loss is NaN");
    let mut ranks = start(&["finish", "work", "forget"]);
    assert_eq!(ranks.remove(2).end(), (Some(0), None));
    assert_all_end(ranks, 4, "rank 2 on # ended without a goodbye");
}

#[test]
fn a_job_that_was_stopped_as_a_whole_goes_on() {
    let mut ranks = start(&["work", "work"]);
    ranks.iter().for_each(|rank| rank.signal("STOP"));
    std::thread::sleep(2 * SILENCE);
    ranks.iter().for_each(|rank| rank.signal("CONT"));
    std::thread::sleep(Duration::from_secs(1));
    assert!(ranks.iter_mut().all(|rank| rank.process.try_wait().unwrap().is_none()));
}

#[test]
fn one_rank_alone_is_watched_too() {
    let cause = "rank 0 on # is alive but has not moved for 5s; it stands at step 10, read";
    assert_all_end(start(&["stand"]), 4, cause);
    assert_eq!(start(&["finish"]).remove(0).end(), (Some(0), None));
}
