//! The only code that touches a UDP socket: one thread with mio and quinn-udp that drives `session`.
//!
//! The thread owns the sockets and the [`Endpoint`](crate::session::Endpoint). It takes [`Command`]s from a
//! bounded channel and puts [`Event`]s on another; it never blocks on either. Session events are bounded by
//! credit, so what the application is slow to take waits here in a list of bounded size. Not here: what
//! a message means, files, processes, terminals, name resolution.

mod address;
mod clock;
mod driver;
mod event_queue;
mod handle;
mod invite;
pub mod limits;
mod plain;
mod seed;
mod timer;
mod udp;

pub use address::{Bind, DEFAULT_PORT, Host, ParseAddressError, ResolveError, Target};
pub use clock::Clock;
pub use handle::{Events, Handle, Net, PlainSink, start};
pub use invite::{Invite, ParseInviteTextError};
pub use plain::PlainText;
pub use seed::rng;
pub(crate) use timer::Timer;

use std::net::SocketAddr;

use bytes::Bytes;

use crate::session::{self, Path};

/// What the network thread is asked.
#[derive(Debug)]
pub enum Command {
    /// For the machine.
    Session(session::Command),
    /// Send a bare datagram, unsealed, to a plain-text peer.
    Plain {
        /// Where, and from which of our addresses.
        path: Path,
        /// The text.
        text: Bytes,
    },
    /// Send what is due, close the sockets, end the thread.
    Shutdown,
}

/// What the network thread tells.
#[derive(Debug)]
pub enum Event {
    /// From the machine.
    Session(session::Event),
    /// A plain-text datagram that [`PlainSink::admit`] let through.
    Plain {
        /// From where, and to which of our addresses.
        path: Path,
        /// Its bytes, cut to [`limits::PLAIN`].
        text: Bytes,
        /// How many bytes it had.
        length: usize,
    },
    /// So many plain datagrams were not let through since the last such event.
    Suppressed {
        /// How many.
        datagrams: u64,
    },
    /// A socket failed; the thread goes on if it has another.
    Failed {
        /// Which address it was bound to.
        address: SocketAddr,
        /// The system's error.
        error: String,
    },
}

#[cfg(test)]
mod tests;
