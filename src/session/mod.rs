//! The sans-IO machine: many sessions over one source of datagrams.
//!
//! No socket, clock, thread or operating-system randomness: the driver passes time and bytes in, and
//! takes datagrams, events and the next deadline out. One contract:
//!
//! **After every call that changes something (`handle_datagram`, `handle_timeout`, `apply`) the driver
//! drains `poll_transmit` and `poll_event` until both are empty, then sleeps until `poll_timeout`.**
//! Spurious calls are harmless.
//!
//! Invariants: a counter is sealed once; before an address is validated at most three times the bytes
//! that came from it go there; every table is within its bound in [`limits`]; no call walks all
//! sessions: what is ready stands in a queue, the next timer in a heap; nothing received panics.

mod command;
pub mod congestion;
mod connection;
mod endpoint;
mod event;
mod init_fingerprint;
pub mod limits;
mod range_set;
mod rtt;
mod streams;
mod violation;

pub use command::{Command, Connect};
pub use endpoint::{Authorizer, Config, Endpoint};
pub use event::{Closed, Event, StreamEvent, Ticket};
pub use init_fingerprint::InitFingerprint;
pub use violation::{Fault, Violation};

use std::net::IpAddr;

use crate::peer_addr::PeerAddr;

/// A session, as this process names it. A controller chooses the number in [`Connect`]; an agent's
/// endpoint counts up from 2^63.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionHandle(pub u64);

/// Where a datagram came from or goes to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Path {
    /// Which of the driver's sockets.
    pub socket: u16,
    /// The local address it came to, so that the answer leaves from there; `None`: the system's choice.
    pub local: Option<IpAddr>,
    /// The peer.
    pub remote: PeerAddr,
}

/// Explicit congestion notification, the two bits of RFC 3168.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ecn {
    /// ECN-capable.
    Ect0 = 2,
    /// ECN-capable, the other code point.
    Ect1 = 1,
    /// Congestion experienced.
    Ce = 3,
}

/// What [`Endpoint::poll_transmit`] put into the caller's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Where it goes.
    pub path: Path,
    /// If there are several datagrams in the buffer: each has this size but the last, which may be
    /// shorter (as UDP GSO wants it).
    pub segment: Option<usize>,
    /// How to mark it.
    pub ecn: Option<Ecn>,
}

/// Why a datagram was dropped; counted by reason, never logged one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// Tagged, but not a datagram of this version.
    Malformed,
    /// INIT or RETRY whose mac is not under the agent's key, or INIT sent to a controller.
    Mac,
    /// The handshake message did not open, or its sealed and clear ids differ.
    Handshake,
    /// The key is not admitted.
    Stranger,
    /// An INIT seen before whose session is gone, or that now comes from another address.
    Replay,
    /// The handshake queue or the session table is full.
    Full,
    /// No session of that id.
    UnknownSession,
    /// A counter seen before, or older than the window.
    Duplicate,
    /// Sealed bytes did not open.
    Forged,
    /// A RETRY or RESP that no handshake waits for.
    Unexpected,
}

impl Drop {
    /// All reasons, in the order of [`Stats::dropped`].
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Mac,
        Self::Handshake,
        Self::Stranger,
        Self::Replay,
        Self::Full,
        Self::UnknownSession,
        Self::Duplicate,
        Self::Forged,
        Self::Unexpected,
    ];
}

/// Counters of an endpoint, since its start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Datagrams that carried the tag.
    pub received: u64,
    /// Datagrams handed out for sending.
    pub sent: u64,
    /// Handshakes answered.
    pub handshakes: u64,
    /// RETRY sent.
    pub retries: u64,
    /// Drops, indexed by [`Drop`].
    pub dropped: [u64; Drop::ALL.len()],
}

#[cfg(test)]
mod tests;
