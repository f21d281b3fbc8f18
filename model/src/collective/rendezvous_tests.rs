#![allow(clippy::unwrap_used)]
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::host::Host;
use super::launch::{Endpoint, Launch, Launcher};
use super::rendezvous::Group;
use crate::error::{ErrorKind, Result};

const WAIT: Duration = Duration::from_secs(20);

fn here(port: u16) -> Endpoint {
    Endpoint { host: "127.0.0.1".to_owned(), port }
}

fn rank(rank: usize, ranks: usize, port: u16) -> Launch {
    let rendezvous = Some(here(port));
    Launch { launcher: Launcher::Torchrun, rank, ranks, local_rank: rank, one_host: true, rendezvous, chosen: true }
}

/// Rank 0 in this thread, and others `(rank, ranks, job)` in theirs; results in the same order.
fn meet(ranks: usize, wait: Duration, others: &[(usize, usize, &str)]) -> Vec<Result<Group>> {
    let host = Host::bind(&here(0)).unwrap();
    let port = host.port().unwrap();
    thread::scope(|scope| {
        let visit = |&(number, ranks, job)| scope.spawn(move || Group::join(&rank(number, ranks, port), job, wait));
        let visitors: Vec<_> = others.iter().map(visit).collect();
        let first = host.gather(&rank(0, ranks, port), "job a", wait);
        std::iter::once(first).chain(visitors.into_iter().map(|visitor| visitor.join().unwrap())).collect()
    })
}

fn messages(results: Vec<Result<Group>>) -> Vec<String> {
    let message = |result: Result<Group>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Collective);
        error.to_string()
    };
    results.into_iter().map(message).collect()
}

#[test]
fn ranks_meet_in_any_order_and_all_get_what_rank_0_hands_out() {
    let groups = meet(4, WAIT, &[(3, 4, "job a"), (1, 4, "job a"), (2, 4, "job a")]);
    let id: Vec<u8> = (0..128).collect();
    let handed: Vec<_> = groups
        .into_iter()
        .map(|group| {
            let mut group = group.unwrap();
            let own = if group.rank() == 0 { id.clone() } else { Vec::new() };
            assert_eq!(group.ranks(), 4);
            (group.broadcast(own).unwrap(), group)
        })
        .map(|(bytes, _)| bytes)
        .collect();
    assert_eq!(handed, vec![id; 4]);
    assert_eq!(Group::join(&Launch::alone(), "job", WAIT).unwrap().broadcast(vec![7]).unwrap(), [7]);
}

#[test]
fn another_job_or_another_count_is_refused_on_all_ranks_in_the_same_words() {
    for other in [(2, 3, "job b"), (2, 4, "job a")] {
        let missing: &[_] = if other.1 == 4 { &[(3, 4, "job a")] } else { &[] };
        let messages = messages(meet(3, WAIT, &[&[(1, 3, "job a"), other], missing].concat()));
        assert!(messages.iter().all(|message| *message == messages[0]), "{messages:?}");
        let message = &messages[0];
        assert!(message.contains("not all run the same job: rank 0 on "), "{message}");
        assert!(message.contains("runs \"job a\" as one of 3, but rank "), "{message}");
        assert!(message.ends_with(&format!("runs {:?} as one of {}", other.2, other.1)), "{message}");
    }
}

#[test]
fn who_does_not_come_is_named_to_all_who_did() {
    let messages = messages(meet(4, Duration::from_millis(700), &[(2, 4, "job a")]));
    assert_eq!(messages, ["ranks: 2 of 4 ranks did not come within 700ms: 1, 3"; 2]);
}

#[test]
fn rank_0_that_cannot_be_reached_is_one_error_after_the_time_given() {
    let port = Host::bind(&here(0)).unwrap().port().unwrap();
    let start = Instant::now();
    let error = Group::join(&rank(3, 4, port), "job", Duration::from_millis(500)).unwrap_err().to_string();
    assert!(start.elapsed() >= Duration::from_millis(500));
    let expected = format!("ranks: rank 3 could not reach rank 0 at 127.0.0.1:{port} within 500ms: Connection refused");
    assert!(error.starts_with(&expected), "{error}");
    let nowhere = Launch { rendezvous: None, ..rank(0, 2, 1) };
    let error = Group::join(&nowhere, "job", WAIT).unwrap_err();
    assert!(error.to_string().starts_with("SECPRM_RENDEZVOUS: is not set"), "{error}");
}

#[test]
fn strangers_do_not_disturb() {
    let host = Host::bind(&here(0)).unwrap();
    let port = host.port().unwrap();
    // One says nothing, one talks of something else, one leaves, one claims a message of 4 GiB.
    let mut strangers: Vec<_> = (0..4).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    strangers.pop();
    strangers[0].write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    strangers[1].write_all(b"secprm\0\x01\xff\xff\xff\xff").unwrap();
    let visitor = thread::spawn(move || Group::join(&rank(1, 2, port), "job", WAIT));
    let start = Instant::now();
    host.gather(&rank(0, 2, port), "job", WAIT).unwrap();
    visitor.join().unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(4));
}
