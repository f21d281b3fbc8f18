//! The thread of a watch: sends signs of life, hears those of others, and carries out the end.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::judge::{End, Judge, Limits, Progress};
use super::rendezvous::Group;
use super::watch::WatchOptions;
use super::wire::{Link, Message};

/// How long a rank's report that another one is gone waits for that one's own sign, at most.
const GRACE: Duration = Duration::from_secs(5);

/// How long who ends waits for the others to have read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What happens to a watch.
#[derive(Debug)]
pub(super) enum Event {
    /// A message of the link with this index.
    Heard(usize, Message),
    /// The link with this index is closed.
    Closed(usize),
    /// This rank fails and wants to know why all end.
    Fail(End, Sender<End>),
    /// This rank is done; the sender is dropped when all are.
    Finish(Sender<End>),
    /// This rank leaves without a word.
    Leave,
}

/// How a watch is over.
enum Over {
    /// For a cause that was decided.
    Ended(End),
    /// All ranks are done.
    Clean,
    /// This rank left without a word.
    Left,
}

pub(super) struct Watcher {
    rank: usize,
    links: Vec<Link>,
    open: Vec<bool>,
    options: WatchOptions,
    grace: Duration,
    progress: Arc<Mutex<Progress>>,
    inbox: Receiver<Event>,
    /// On rank 0 the links' ranks and, last, itself; elsewhere rank 0.
    judge: Judge,
    /// Whoever of this rank waits for the end instead of being called.
    waiting: Option<Sender<End>>,
    /// This rank's own failure and when rank 0 must have answered it.
    failure: Option<(Instant, End)>,
}

impl Watcher {
    pub(super) fn new(
        group: Group,
        options: WatchOptions,
        progress: Arc<Mutex<Progress>>,
        events: &Sender<Event>,
        inbox: Receiver<Event>,
    ) -> io::Result<Self> {
        let Group { rank, host, links, .. } = group;
        let mut names: Vec<_> = links.iter().map(|link| format!("rank {} on {}", link.rank, link.host)).collect();
        if rank == 0 {
            names.push(format!("rank 0 on {host}"));
        }
        for (index, link) in links.iter().enumerate() {
            link.wait_at_most(None)?;
            let (mut reader, events) = (link.reader()?, events.clone());
            let listen = move || {
                while let Ok(message) = reader.receive() {
                    if events.send(Event::Heard(index, message)).is_err() {
                        return;
                    }
                }
                // Nobody listens any more once the watch is over.
                let _ = events.send(Event::Closed(index));
            };
            std::thread::Builder::new().name(format!("watch {}", link.rank)).spawn(listen)?;
        }
        let grace = GRACE.min(options.silence);
        let limits = Limits { silence: options.silence, stall: (rank == 0).then_some(options.stall), grace };
        let judge = Judge::new(names, limits, Instant::now());
        let open = vec![true; links.len()];
        Ok(Self { rank, links, open, options, grace, progress, inbox, judge, waiting: None, failure: None })
    }

    /// Watches until the end, carries it out, and returns its cause.
    pub(super) fn run(mut self, on_end: impl FnOnce(End)) -> Option<End> {
        let over = self.watch();
        match &over {
            Over::Ended(end) => self.tell_all(&Message::End(end.clone())),
            Over::Clean => self.tell_all(&Message::Goodbye),
            Over::Left => {}
        }
        self.links.iter().for_each(Link::close);
        match over {
            Over::Ended(end) => {
                match self.waiting.take() {
                    // Whoever waits may have left, and the end is returned too.
                    Some(waiting) => drop(waiting.send(end.clone())),
                    None => on_end(end.clone()),
                }
                Some(end)
            }
            Over::Clean | Over::Left => None,
        }
    }

    fn watch(&mut self) -> Over {
        let mut ticked = Instant::now();
        self.beat();
        loop {
            let left = (ticked + self.options.beat).saturating_duration_since(Instant::now());
            let event = match self.inbox.recv_timeout(left) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Over::Left,
            };
            let now = Instant::now();
            let gap = now - ticked;
            if gap > 2 * self.options.beat {
                self.judge.forgive(gap, now);
            }
            if let Some(over) = event.and_then(|event| self.take(event, now)) {
                return over;
            }
            if gap >= self.options.beat {
                ticked = now;
                self.beat();
                if let Some(end) = self.judge.check(now).or_else(|| self.unanswered(now)) {
                    return Over::Ended(end);
                }
            }
        }
    }

    fn take(&mut self, event: Event, now: Instant) -> Option<Over> {
        let own = self.links.len();
        match event {
            Event::Heard(index, message) => return self.hear(index, message, now),
            Event::Closed(index) => {
                self.open[index] = false;
                let closed = self.judge.closed(index);
                // A rank whose own failure rank 0 could not spread any more ends for that.
                let own = self.failure.take().map(|(_, end)| end).filter(|end| end.code != closed.code);
                return Some(Over::Ended(own.unwrap_or(closed)));
            }
            Event::Fail(end, reply) => {
                self.waiting = Some(reply);
                // The cause says at which step it was.
                self.beat();
                if self.rank == 0 {
                    return self.judge.failed(own, end, now).map(Over::Ended);
                }
                self.send(0, &Message::Failed(end.clone()));
                self.failure = Some((now + self.grace + FAREWELL + 2 * self.options.beat, end));
            }
            Event::Finish(reply) => {
                self.waiting = Some(reply);
                if self.rank == 0 {
                    self.judge.done(own);
                    return self.judge.all_done().then_some(Over::Clean);
                }
                self.send(0, &Message::Done);
            }
            Event::Leave => return Some(Over::Left),
        }
        None
    }

    fn hear(&mut self, index: usize, message: Message, now: Instant) -> Option<Over> {
        self.judge.heard(index, now);
        match message {
            Message::Beat(progress) => self.judge.progressed(index, progress, now),
            Message::Failed(end) => return self.judge.failed(index, end, now).map(Over::Ended),
            Message::Done => {
                self.judge.done(index);
                return self.judge.all_done().then_some(Over::Clean);
            }
            Message::Goodbye => return Some(Over::Clean),
            Message::End(end) => return Some(Over::Ended(end)),
            Message::Hello(_) | Message::Welcome { .. } | Message::Ready | Message::Refused(_) | Message::Bytes => {}
        }
        None
    }

    /// This rank's own failure, where rank 0 did not say anything about it in time.
    fn unanswered(&self, now: Instant) -> Option<End> {
        self.failure.as_ref().filter(|(until, _)| now >= *until).map(|(_, end)| end.clone())
    }

    fn beat(&mut self) {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for index in 0..self.links.len() {
            self.send(index, &Message::Beat(progress.clone()));
        }
        if self.rank == 0 {
            self.judge.progressed(self.links.len(), progress, Instant::now());
        }
    }

    fn send(&mut self, index: usize, message: &Message) {
        if self.open[index] && self.links[index].send(message).is_err() {
            // The reader of this link comes back from its wait and says that it is closed.
            self.links[index].close();
        }
    }

    /// Sends a last message. Rank 0 waits until its readers have closed: whoever exits first makes launchers stop the others, and closing
    /// with unread bytes may cost the other side what it has not read yet. The others need not wait: rank 0 knows already, or is lost.
    fn tell_all(&mut self, message: &Message) {
        for index in 0..self.links.len() {
            self.send(index, message);
        }
        if self.rank > 0 {
            return;
        }
        let deadline = Instant::now() + FAREWELL;
        while self.open.contains(&true) {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Closed(index)) => self.open[index] = false,
                // Who fails or finishes at this moment wants to hear the end too.
                Ok(Event::Fail(_, reply) | Event::Finish(reply)) => self.waiting = Some(reply),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }
}
