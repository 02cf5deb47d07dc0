//! Events from the network thread.

use bytes::Bytes;

use super::counts::Counts;
use crate::peer_addr::PeerAddr;
use crate::session::{self, Path};

/// An event from the network thread.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Event of the session machine.
    Session(session::Event),
    /// A plain-text datagram that [`PlainSink::admit`](super::PlainSink::admit) let through.
    Plain {
        /// Sender, and the local address that it was sent to.
        path: Path,
        /// Its bytes, cut to [`limits::PLAIN`](super::limits::PLAIN).
        text: Bytes,
        /// Its size in octets before the cut.
        length: usize,
    },
    /// Plain-text datagrams were suppressed.
    Suppressed {
        /// Their number since the last such event.
        datagrams: u64,
    },
    /// Answer to [`Command::Count`](super::Command::Count).
    Counted {
        /// Number of the command.
        number: u64,
        /// The counters.
        counts: Box<Counts>,
    },
    /// A carrier failed; the thread goes on with the others.
    Failed {
        /// The carrier's local address.
        address: PeerAddr,
        /// The system's error.
        error: String,
    },
}
