//! Rank 0's side of the rendezvous: waits for all ranks and judges whether they belong together.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::launch::{Endpoint, Launch};
use super::rendezvous::{ATTEMPT, Group, listen};
use super::wire::{Hello, Link, Message, host_name};
use crate::error::{ModelError, Result};

/// How often the listener is looked at: it cannot be waited for together with the guests.
const POLL: Duration = Duration::from_millis(10);

/// Rank 0 while it waits for the others.
pub(super) struct Host {
    listener: TcpListener,
}

/// Who is there, and why they cannot work together, once that is known.
struct Hall {
    own: Hello,
    guests: Vec<Option<(Hello, Link)>>,
    refusal: Option<String>,
    told: usize,
    /// The most ranks that anyone counts: all of them shall hear the refusal.
    expected: usize,
}

impl Host {
    pub(super) fn bind(place: &Endpoint) -> Result<Self> {
        Ok(Self { listener: listen(place)? })
    }

    /// Returns the port, which is the system's choice where the place had port 0.
    #[cfg(any(feature = "mpi", test))]
    pub(super) fn port(&self) -> Result<u16> {
        let failed = |error| ModelError::Collective(format!("rank 0 cannot tell its port: {error}"));
        Ok(self.listener.local_addr().map_err(failed)?.port())
    }

    /// Waits until all ranks are there and tells them so, or why they cannot start. A refusal waits for those who are late, so that they do
    /// not search in vain.
    pub(super) fn gather(self, launch: &Launch, job: &str, wait: Duration) -> Result<Group> {
        let deadline = Instant::now() + wait;
        let own =
            Hello { rank: 0, ranks: launch.ranks, job: job.to_owned(), host: host_name(), process: std::process::id() };
        let failed = |error| ModelError::Collective(format!("rank 0 cannot listen: {error}"));
        self.listener.set_nonblocking(true).map_err(failed)?;
        let (sender, arrivals) = mpsc::channel();
        let mut hall = Hall::new(own);
        while !hall.is_complete() {
            if Instant::now() >= deadline {
                hall.refuse_missing(wait);
                break;
            }
            self.let_in(&sender);
            hall.admit(&arrivals);
        }
        hall.finish(launch, wait)
    }

    /// Listens to each arrival in a thread of its own: one that says nothing must not hold up the others.
    fn let_in(&self, sender: &Sender<(Hello, Link)>) {
        while let Ok((stream, _)) = self.listener.accept() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                if let Ok(guest) = greet(stream) {
                    // Nobody receives once the ranks are complete.
                    let _ = sender.send(guest);
                }
            });
        }
    }
}

/// Hears who a guest is; whoever does not talk like a rank gets no answer.
fn greet(stream: TcpStream) -> std::io::Result<(Hello, Link)> {
    let mut link = Link::new(stream)?;
    link.wait_at_most(Some(ATTEMPT))?;
    link.expect_greeting()?;
    let Message::Hello(hello) = link.receive()? else {
        return Err(std::io::Error::other("no hello"));
    };
    link.greet()?;
    link.send(&Message::Welcome { host: host_name() })?;
    link.rank = hello.rank;
    link.host = hello.host.clone();
    Ok((hello, link))
}

impl Hall {
    fn new(own: Hello) -> Self {
        let guests = (0..own.ranks).map(|_| None).collect();
        Self { expected: own.ranks, own, guests, refusal: None, told: 0 }
    }

    fn is_complete(&self) -> bool {
        match self.refusal {
            Some(_) => self.told + 1 >= self.expected,
            None => self.guests.iter().skip(1).all(Option::is_some),
        }
    }

    fn admit(&mut self, arrivals: &Receiver<(Hello, Link)>) {
        match arrivals.recv_timeout(POLL) {
            Ok((hello, link)) => self.place(hello, link),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn place(&mut self, hello: Hello, mut link: Link) {
        if let Some(reason) = self.refusal.clone() {
            self.expected = self.expected.max(hello.ranks);
            self.tell(&mut link, &reason);
            return;
        }
        if let Some(reason) = self.objection(&hello) {
            self.expected = self.expected.max(hello.ranks);
            self.tell(&mut link, &reason);
            self.refuse(reason);
            return;
        }
        // The same process again: its first attempt broke off half-way.
        let number = hello.rank;
        self.guests[number] = Some((hello, link));
    }

    fn objection(&self, hello: &Hello) -> Option<String> {
        let Self { own, guests, .. } = self;
        let describe = |hello: &Hello| {
            format!("rank {} on {} runs {:?} as one of {}", hello.rank, hello.host, hello.job, hello.ranks)
        };
        if (&hello.job, hello.ranks) != (&own.job, own.ranks) {
            return Some(format!("not all run the same job: {}, but {}", describe(own), describe(hello)));
        }
        let place = guests.get(hello.rank).filter(|_| hello.rank > 0);
        let twin = match place {
            None if hello.rank > 0 => return Some(format!("there is no such rank: {}", describe(hello))),
            None => Some(own),
            Some(taken) => taken.as_ref().map(|(there, _)| there),
        };
        let other = twin.filter(|there| (&there.host, there.process) != (&hello.host, hello.process))?;
        Some(format!(
            "two processes are rank {}: {} on {} and {} on {}",
            hello.rank, other.process, other.host, hello.process, hello.host
        ))
    }

    fn refuse_missing(&mut self, wait: Duration) {
        if self.refusal.is_some() {
            return;
        }
        let missing: Vec<_> = (1..self.guests.len()).filter(|&rank| self.guests[rank].is_none()).collect();
        let some: Vec<_> = missing.iter().take(10).map(ToString::to_string).collect();
        let more = if missing.len() > some.len() { ", …" } else { "" };
        let (ranks, count) = (self.own.ranks, missing.len());
        self.refuse(format!("{count} of {ranks} ranks did not come within {wait:?}: {}{more}", some.join(", ")));
    }

    fn refuse(&mut self, reason: String) {
        for (_, mut link) in std::mem::take(&mut self.guests).into_iter().flatten() {
            self.tell(&mut link, &reason);
        }
        self.refusal = Some(reason);
    }

    fn tell(&mut self, link: &mut Link, reason: &str) {
        // Who is gone need not hear it.
        let _ = link.send(&Message::Refused(reason.to_owned()));
        self.told += 1;
    }

    fn finish(self, launch: &Launch, wait: Duration) -> Result<Group> {
        if let Some(reason) = self.refusal {
            return Err(ModelError::Collective(reason));
        }
        let mut links: Vec<_> = self.guests.into_iter().flatten().map(|(_, link)| link).collect();
        for link in &mut links {
            // Who is gone by now is noticed by the broadcast or the watch.
            let _ = link.send(&Message::Ready);
        }
        Ok(Group::of(launch, wait, links))
    }
}
