//! All sessions of one process: demultiplexing, handshakes, queues of what is ready.

use std::net::SocketAddr;

use super::{Command, Ecn, Event, Path, Stats, Transmit, limits};
use crate::crypto::{PublicKey, SecretKey};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::INVITE;

/// Who may open a session.
pub trait Gate: Send {
    /// Whether this controller may, from this address, showing this invitation.
    fn admit(&mut self, key: &PublicKey, from: SocketAddr, invite: Option<&[u8; INVITE]>) -> bool;
}

/// How an endpoint is set up.
pub struct Config {
    /// Who this end is.
    pub identity: SecretKey,
    /// Who may connect; `None` for a controller, which takes no sessions.
    pub gate: Option<Box<dyn Gate>>,
    /// Credit kept open per stream beyond what was consumed.
    pub stream_window: u64,
    /// The same per session.
    pub session_window: u64,
    /// Datagrams per transmit: what the driver's sockets can send at once.
    pub segments: usize,
    /// Prints of INITs that an earlier run answered ([`Event::InitSeen`]).
    pub seen: Vec<u64>,
}

impl Config {
    /// A controller's, or with a gate an agent's.
    #[must_use]
    pub fn new(identity: SecretKey, gate: Option<Box<dyn Gate>>) -> Self {
        Self {
            identity,
            gate,
            stream_window: limits::STREAM_WINDOW,
            session_window: limits::SESSION_WINDOW,
            segments: 1,
            seen: Vec::new(),
        }
    }
}

/// All sessions of one process.
pub struct Endpoint {
    _todo: (),
}

impl Endpoint {
    /// An endpoint without sessions. `now` is when an agent's time begins.
    #[must_use]
    pub fn new(config: Config, rng: Rng, now: Instant) -> Self {
        todo!()
    }

    /// A tagged datagram has arrived. It is opened in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        todo!()
    }

    /// Time has passed. Harmless when nothing is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// The application wants something.
    pub fn apply(&mut self, now: Instant, command: Command) {
        todo!()
    }

    /// The next datagrams to send, written to `buf` (cleared first); `None` when there are none now.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        todo!()
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called at the latest.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        todo!()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        todo!()
    }

    /// The agent's epoch, drawn at start.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        todo!()
    }
}
