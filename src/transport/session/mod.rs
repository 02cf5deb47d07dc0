//! The sans-IO session layer: many encrypted sessions over one source of datagrams.
//!
//! The layer has no socket, clock, thread or operating-system randomness. The driver passes time and
//! bytes in, and takes datagrams, events and the next deadline out, under one contract:
//!
//! **After every call that changes something (`handle_datagram`, `handle_too_large`, `handle_timeout`,
//! `apply`) the driver drains `poll_transmit` and `poll_event` until both are empty, then sleeps until `poll_timeout`.**
//! Spurious calls are harmless. A driver whose application is busy may leave events for later: they stay in their
//! sessions, and `poll_event` takes one of each session in turn.
//!
//! Invariants:
//!
//! - A counter is sealed once.
//! - An address that is not validated is sent at most three times the bytes received from it.
//! - Every table is within its bound in [`limits`].
//! - The events of a session that nobody takes are bounded by its windows and its open calls.
//! - No call walks all sessions: ready sessions are in queues, timers in an ordered set.
//! - No received bytes cause a panic.
//!
//! # Example
//!
//! A controller and an agent in one process. The loop is the driver: it delivers datagrams and drains
//! events. `examples/sans_io.rs` also advances the clock.
//!
//! ```
//! use std::{net::SocketAddr, time::Duration};
//! use bytes::Bytes;
//! use udpagent_transport::{crypto::{PublicKey, SecretKey}, peer_addr::PeerAddr, rng::Rng, time::Instant};
//! use udpagent_transport::session::{
//!     Authorization, Authorizer, Command, Config, Connect, Endpoint, Event, Path,
//! };
//! use udpagent_transport::session::{SessionHandle, StreamEvent};
//!
//! struct Everyone;
//! impl Authorizer for Everyone {
//!     fn authorize_session(&mut self, _: &PublicKey, _: PeerAddr, _: Option<&[u8; 16]>) -> Authorization {
//!         Authorization::UNRESTRICTED
//!     }
//! }
//!
//! let (now, mut rng) = (Instant::from_micros(0), Rng::from_seed([1; 32]));
//! let (agent_key, controller_key) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
//! let agent_public = agent_key.public();
//! let config = Config::new(agent_key, Some(Box::new(Everyone)));
//! let mut agent = Endpoint::new(config, rng.fork(), now);
//! let mut controller = Endpoint::new(Config::new(controller_key, None), rng.fork(), now);
//!
//! let path = |address: &str| {
//!     let remote: SocketAddr = address.parse().unwrap();
//!     Path { socket: 0, local: None, remote: remote.into() }
//! };
//! let (to_agent, to_controller) = (path("192.0.2.1:7000"), path("192.0.2.2:4000"));
//! controller.apply(now, Command::Connect(Connect {
//!     session: SessionHandle(1),
//!     agent: agent_public,
//!     path: to_agent,
//!     further: Vec::new(),
//!     ticket: None,
//!     invite: None,
//!     first: Bytes::from_static(b"hello"),
//!     timeout: Duration::from_secs(5),
//! }));
//!
//! let (mut buf, mut received) = (Vec::new(), Vec::new());
//! // INIT and RESP, then DATA: without a ticket, data arrives in the second round trip.
//! for _round_trip in 0..2 {
//!     while controller.poll_transmit(now, &mut buf).is_some() {
//!         agent.handle_datagram(now, to_controller, None, &mut buf);
//!     }
//!     while agent.poll_transmit(now, &mut buf).is_some() {
//!         controller.handle_datagram(now, to_agent, None, &mut buf);
//!     }
//!     while controller.poll_event().is_some() {}
//!     while let Some(event) = agent.poll_event() {
//!         if let Event::Stream { event: StreamEvent::Data { data, .. }, .. } = event {
//!             received.extend_from_slice(&data);
//!         }
//!     }
//! }
//! assert_eq!(received, b"hello");
//! ```

mod command;
pub mod congestion;
mod connection;
mod endpoint;
mod event;
mod init_fingerprint;
pub mod limits;
mod range_set;
mod rate;
mod reset_record;
mod rtt;
mod streams;
mod violation;

pub use command::{Command, Connect};
use endpoint::{Account, Held};
pub use endpoint::{AddressRule, AdmittedBy, Authorization, Authorizer, Config, Endpoint, Run};
pub use event::{Closed, Event, StreamEvent, Ticket};
pub use init_fingerprint::InitFingerprint;
pub use rate::Rate;
pub use reset_record::ResetRecord;
pub use violation::{Fault, Violation};

use std::net::IpAddr;

use crate::peer_addr::PeerAddr;

/// Local number of a session. A controller chooses it in [`Connect`]; an agent's endpoint counts up from
/// 2^63.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionHandle(pub u64);

/// Local and remote address of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct Path {
    /// Index of the driver's socket.
    pub socket: u16,
    /// Local address to which the datagram came and from which the answer leaves; `None` leaves the choice
    /// to the system.
    pub local: Option<IpAddr>,
    /// Address of the peer.
    pub remote: PeerAddr,
}

/// ECN codepoint of an IP header (RFC 3168 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ecn {
    /// ECT(0): ECN-capable transport.
    Ect0 = 2,
    /// ECT(1): ECN-capable transport.
    Ect1 = 1,
    /// CE: congestion experienced.
    Ce = 3,
}

/// Description of the datagrams that [`Endpoint::poll_transmit`] wrote to the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Transmit {
    /// Destination and source.
    pub path: Path,
    /// Size of each datagram if the buffer holds several; the last may be shorter (as in UDP GSO).
    pub segment: Option<usize>,
    /// ECN codepoint to set.
    pub ecn: Option<Ecn>,
    /// Session of the datagrams, which [`Endpoint::handle_too_large`] is told if the system refuses their size.
    pub session: Option<SessionHandle>,
}

impl Transmit {
    /// Describes one datagram.
    #[must_use]
    pub const fn single(path: Path) -> Self {
        Self {
            path,
            segment: None,
            ecn: None,
            session: None,
        }
    }
}

/// Reason for dropping a datagram. Drops are counted by reason, never logged one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Drop {
    /// Tagged, but not a datagram of this version.
    Malformed,
    /// The mac of an INIT or RETRY is not under the agent's key, or an INIT was sent to a controller.
    Mac,
    /// The handshake message did not open, or its sealed and clear ids differ.
    Handshake,
    /// The authorizer refused the key.
    Stranger,
    /// An INIT seen before, whose session is confirmed or gone, or that now comes from another address.
    Replay,
    /// The session table or a queue or register of the handshake is full.
    Full,
    /// The network of the sender has sent too many INITs that led to no session.
    Network,
    /// The key has too many sessions or handshakes, or sends too many INITs.
    Key,
    /// The address is not validated, and the key is admitted from validated ones only.
    Unvalidated,
    /// No session has that id.
    UnknownSession,
    /// The counter was seen before, or is older than the replay window.
    Duplicate,
    /// The sealed bytes did not open.
    Forged,
    /// No handshake expects this RETRY or RESP, or the datagram is not from the agent's address.
    Unexpected,
}

impl Drop {
    /// All reasons, in the order of [`Stats::dropped`].
    pub const ALL: [Self; 13] = [
        Self::Malformed,
        Self::Mac,
        Self::Handshake,
        Self::Stranger,
        Self::Replay,
        Self::Full,
        Self::Network,
        Self::Key,
        Self::Unvalidated,
        Self::UnknownSession,
        Self::Duplicate,
        Self::Forged,
        Self::Unexpected,
    ];

    /// Returns the name of the reason, which stays the same in later versions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Mac => "mac",
            Self::Handshake => "handshake",
            Self::Stranger => "stranger",
            Self::Replay => "replay",
            Self::Full => "full",
            Self::Network => "network",
            Self::Key => "key",
            Self::Unvalidated => "unvalidated",
            Self::UnknownSession => "unknown_session",
            Self::Duplicate => "duplicate",
            Self::Forged => "forged",
            Self::Unexpected => "unexpected",
        }
    }

    /// Returns true if an agent drops only INITs for this reason.
    #[must_use]
    pub const fn is_of_init(self) -> bool {
        match self {
            Self::Mac
            | Self::Handshake
            | Self::Stranger
            | Self::Replay
            | Self::Full
            | Self::Network
            | Self::Key
            | Self::Unvalidated => true,
            Self::Malformed
            | Self::UnknownSession
            | Self::Duplicate
            | Self::Forged
            | Self::Unexpected => false,
        }
    }
}

/// Counters of an endpoint since its creation.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Received datagrams that begin with the tag.
    pub received: u64,
    /// INITs among them, repeats included.
    pub inits: u64,
    /// Datagrams handed out for sending.
    pub sent: u64,
    /// Handshakes answered.
    pub handshakes: u64,
    /// RETRYs sent.
    pub retries: u64,
    /// Stateless resets sent.
    pub resets: u64,
    /// Dropped datagrams, indexed by [`Drop`].
    pub dropped: [u64; Drop::ALL.len()],
}

impl Stats {
    /// Returns the sums of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        let mut dropped = self.dropped;
        let mut reason = 0;
        while reason < dropped.len() {
            dropped[reason] = dropped[reason].saturating_add(other.dropped[reason]);
            reason += 1;
        }
        Self {
            received: self.received.saturating_add(other.received),
            inits: self.inits.saturating_add(other.inits),
            sent: self.sent.saturating_add(other.sent),
            handshakes: self.handshakes.saturating_add(other.handshakes),
            retries: self.retries.saturating_add(other.retries),
            resets: self.resets.saturating_add(other.resets),
            dropped,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
