//! How ranks find each other: all connect to rank 0 over TCP, and rank 0 checks that they run the same job.
//!
//! The connections deliver small things from rank 0 to all, such as NCCL's unique id, and then carry the watch ([`super::watch`]). Tensors
//! never go over them.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::host::Host;
use super::launch::{Endpoint, Launch, RENDEZVOUS_VARIABLE};
use super::wire::{Hello, Link, Message, host_name};
use crate::error::{ModelError, Result};

/// How long ranks wait for each other, unless said otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// How long one attempt to connect, or one answer to it, may take.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);

/// The ranks of a job, connected to rank 0.
#[derive(Debug)]
pub struct Group {
    pub(super) rank: usize,
    pub(super) ranks: usize,
    pub(super) host: String,
    /// On rank 0 a connection for each other rank, in their order; elsewhere the one to rank 0.
    pub(super) links: Vec<Link>,
    wait: Duration,
}

impl Group {
    /// Meets the other ranks and returns when all are there. `job` is a fingerprint of what must be the same on all of them: configuration,
    /// data, code version.
    ///
    /// # Errors
    /// Of kind [`crate::ErrorKind::Collective`], in the same words on all ranks that can be told: a rank did not come or could not be reached
    /// within `wait`, two claim the same number, or a rank runs another job or counts other ranks. [`crate::ErrorKind::Config`] if no
    /// variable says where rank 0 is.
    pub fn join(launch: &Launch, job: &str, wait: Duration) -> Result<Self> {
        if launch.ranks <= 1 {
            return Ok(Self::of(launch, wait, Vec::new()));
        }
        let Some(endpoint) = &launch.rendezvous else {
            let reason =
                "is not set, and the launcher does not say on which host rank 0 is: HOST:PORT of it, with a free port";
            return Err(ModelError::config(RENDEZVOUS_VARIABLE, reason));
        };
        if launch.rank == 0 {
            Host::bind(endpoint)?.gather(launch, job, wait)
        } else {
            Self::visit(std::slice::from_ref(endpoint), launch, job, wait)
        }
    }

    pub(super) fn of(launch: &Launch, wait: Duration, links: Vec<Link>) -> Self {
        Self { rank: launch.rank, ranks: launch.ranks, host: host_name(), links, wait }
    }

    /// Returns this rank's number.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Returns how many ranks there are.
    pub fn ranks(&self) -> usize {
        self.ranks
    }

    /// Hands every rank what rank 0 has, up to 1 MiB; the others' argument is not looked at.
    ///
    /// # Errors
    /// A rank is gone, or rank 0 sent nothing for as long as ranks wait for each other.
    pub fn broadcast(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Self { rank, wait, .. } = *self;
        let gone = |link: &Link, error: io::Error| {
            ModelError::Collective(format!("rank {} on {} is gone: {error}", link.rank, link.host))
        };
        for link in &mut self.links {
            if rank == 0 {
                link.send(&Message::Bytes).and_then(|()| link.send_bytes(&bytes)).map_err(|error| gone(link, error))?;
                continue;
            }
            let received = link.wait_at_most(Some(wait)).and_then(|()| match link.receive()? {
                Message::Bytes => link.receive_bytes(),
                _ => Err(io::Error::other("it sent something else than was expected")),
            });
            return received.map_err(|error| gone(link, error));
        }
        Ok(bytes)
    }

    /// Connects to rank 0 at one of these places, again and again until it answers.
    pub(super) fn visit(places: &[Endpoint], launch: &Launch, job: &str, wait: Duration) -> Result<Self> {
        let deadline = Instant::now() + wait;
        let hello = Message::Hello(Hello {
            rank: launch.rank,
            ranks: launch.ranks,
            job: job.to_owned(),
            host: host_name(),
            process: std::process::id(),
        });
        let mut link = loop {
            match knock_at_all(places, deadline, &hello) {
                Ok(link) => break link,
                Err(error) if Instant::now() >= deadline => return Err(unreachable(places, launch, wait, &error)),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        // Rank 0 may have begun to wait later than this one.
        let answer = link.wait_at_most(Some(wait + 2 * ATTEMPT)).and_then(|()| link.receive());
        match answer {
            Ok(Message::Ready) => {}
            Ok(Message::Refused(reason)) => return Err(ModelError::Collective(reason)),
            Ok(_) => return Err(ModelError::Collective("rank 0 sent something else than was expected".to_owned())),
            Err(error) => {
                let reason = format!("rank 0 on {} was gone before all ranks were there: {error}", link.host);
                return Err(ModelError::Collective(reason));
            }
        }
        Ok(Self::of(launch, wait, vec![link]))
    }
}

/// Tries each address of each place once.
fn knock_at_all(places: &[Endpoint], deadline: Instant, hello: &Message) -> io::Result<Link> {
    let mut failure = io::Error::other("it has no address");
    for Endpoint { host, port } in places {
        let addresses = match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => addresses,
            Err(error) => {
                failure = error;
                continue;
            }
        };
        for address in addresses {
            match knock(address, deadline, hello) {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
        }
    }
    Err(failure)
}

/// One attempt: connects, says who this is, and hears that it is welcome.
fn knock(address: SocketAddr, deadline: Instant, hello: &Message) -> io::Result<Link> {
    let left = || deadline.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), ATTEMPT);
    let mut link = Link::new(TcpStream::connect_timeout(&address, left())?)?;
    link.wait_at_most(Some(left()))?;
    link.greet()?;
    link.send(hello)?;
    link.expect_greeting()?;
    match link.receive()? {
        Message::Welcome { host } => link.host = host,
        _ => return Err(io::Error::other("it answers something else than was expected")),
    }
    Ok(link)
}

fn unreachable(places: &[Endpoint], launch: &Launch, wait: Duration, error: &io::Error) -> ModelError {
    let places: Vec<_> = places.iter().map(ToString::to_string).collect();
    ModelError::Collective(format!(
        "rank {} could not reach rank 0 at {} within {wait:?}: {error}; see that rank 0 runs and that no firewall is between, or set \
         {RENDEZVOUS_VARIABLE}",
        launch.rank,
        places.join(" or "),
    ))
}

/// Listens on all addresses, unless the place is plainly one of this host alone. A name is no sign of that: many hosts have their own name at
/// 127.0.1.1.
pub(super) fn listen(place: &Endpoint) -> Result<TcpListener> {
    let Endpoint { host, port } = place;
    let own = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let any = if host.parse::<std::net::Ipv6Addr>().is_ok() { "::" } else { "0.0.0.0" };
    TcpListener::bind((if own { host } else { any }, *port)).map_err(|error| {
        ModelError::Collective(format!(
            "rank 0 cannot listen at port {port}: {error}; set {RENDEZVOUS_VARIABLE} on all ranks"
        ))
    })
}
