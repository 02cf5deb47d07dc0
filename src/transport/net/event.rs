//! Events from the network thread.

use bytes::Bytes;

use super::counts::Counts;
use super::refusal::Refusal;
use crate::peer_addr::PeerAddr;
use crate::session::{self, Path};

/// An event from the network thread.
#[derive(Debug)]
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
    /// The network reports that datagrams do not reach a peer, if carriers were asked for that
    /// ([`Carrier::report_refusals`](super::Carrier::report_refusals)). Each repeat of a datagram may cause one.
    Refused(Refusal),
    /// A carrier failed; the thread goes on with the others.
    Failed {
        /// The carrier's local address.
        address: PeerAddr,
        /// The system's error.
        error: String,
    },
}
