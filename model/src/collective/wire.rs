//! What ranks send each other beside tensors: short messages over TCP, each behind its length.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::judge::{End, Progress};

/// What each connection begins with, in both directions, so that neither side talks to a stranger; the last byte is the version.
const GREETING: [u8; 8] = *b"secprm\0\x01";

/// More than any message needs, and little enough to be allocated for whoever connects.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// How long a message may take to leave. A few hundred bytes fit the socket's buffer, so only a peer that stopped long ago is too slow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who a rank is and which job it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub rank: usize,
    pub ranks: usize,
    pub job: String,
    pub host: String,
    pub process: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// To rank 0, first of all.
    Hello(Hello),
    /// From rank 0: it was heard; the host is rank 0's.
    Welcome { host: String },
    /// From rank 0: all ranks are there.
    Ready,
    /// From rank 0: the ranks cannot work together.
    Refused(String),
    /// From rank 0: bytes follow in a frame of their own.
    Bytes,
    /// To and from rank 0: alive.
    Beat(Progress),
    /// To rank 0: this rank failed.
    Failed(End),
    /// To rank 0: this rank has done all it had to do.
    Done,
    /// From rank 0: all ranks are done.
    Goodbye,
    /// From whoever decided it: the job ends.
    End(End),
}

/// A connection to another rank.
#[derive(Debug)]
pub(super) struct Link {
    pub rank: usize,
    pub host: String,
    stream: TcpStream,
}

impl Link {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self { rank: 0, host: String::new(), stream })
    }

    /// A second handle of the same connection, to read from while the first one writes.
    pub(super) fn reader(&self) -> io::Result<Self> {
        Ok(Self { rank: self.rank, host: self.host.clone(), stream: self.stream.try_clone()? })
    }

    /// Bounds how long a read may wait; `None` waits for ever.
    pub(super) fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        // Zero would be refused, and means here that the time is up.
        self.stream.set_read_timeout(limit.map(|limit| limit.max(Duration::from_millis(1))))
    }

    pub(super) fn greet(&mut self) -> io::Result<()> {
        self.stream.write_all(&GREETING)
    }

    pub(super) fn expect_greeting(&mut self) -> io::Result<()> {
        let mut bytes = [0; GREETING.len()];
        self.stream.read_exact(&mut bytes)?;
        if bytes == GREETING { Ok(()) } else { Err(invalid("it is no rank, or one of another version")) }
    }

    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        self.send_bytes(&serde_json::to_vec(message)?)
    }

    pub(super) fn receive(&mut self) -> io::Result<Message> {
        Ok(serde_json::from_slice(&self.receive_bytes()?)?)
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(invalid("a message of more than 1 MiB"));
        }
        let mut frame = Vec::with_capacity(4 + bytes.len());
        frame.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        frame.extend_from_slice(bytes);
        self.stream.write_all(&frame)
    }

    pub(super) fn receive_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(invalid("a message of more than 1 MiB"));
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Ends the connection in both directions, so that a read in another thread comes back.
    pub(super) fn close(&self) {
        // A peer that is gone already has closed it.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// This host's name, for people.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown host".to_owned())
}
