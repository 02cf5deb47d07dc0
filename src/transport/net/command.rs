//! Commands to the network thread.

use bytes::Bytes;

use crate::session::{self, Path};

/// A command to the network thread.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Command to the session machine.
    Session(session::Command),
    /// Send a bare, unsealed datagram to a plain-text peer.
    Plain {
        /// Destination, and the local address to send from.
        path: Path,
        /// Text.
        text: Bytes,
    },
    /// Report the counters by [`Event::Counted`](super::Event::Counted) with this number.
    Count(u64),
    /// Send what is due, close the carriers, end the thread.
    Shutdown,
}
