//! Forwarded connections: sockets of this machine that are carried to a destination of an agent's host.
//!
//! Each connection is a job of the agent, `forward`, with sessions of its own: it goes on after a silence, and is never
//! made twice. All share one network thread and one loop.
//!
//! ```text
//!   Listener ──accept──► Connection ──RemoteJob──► Client        Pipe (-W): standard input and output as a socket
//! ```
//!
//! Not the text of the options. Invariant: the end of a connection here is its end there; anything else resets it.

mod connection;
mod events;
mod listener;
mod pipe;
mod run;
mod stopper;

pub use listener::{BindError, Listener, Place, SocketFile};
pub use pipe::Pipe;
pub use run::{Config, run};
pub use stopper::{Stopper, stopper};

/// Bounds of the forwarded connections, each with its reason.
mod limits {
    use std::time::Duration;

    /// Connections at a time; further ones wait in the listen backlog. As many as a browser opens to all of its hosts.
    pub const CONNECTIONS: usize = 256;

    /// Connections that the kernel completes before they are accepted.
    pub const BACKLOG: i32 = 128;

    /// Bytes of one read.
    pub const READ: usize = 64 << 10;

    /// Reads of a connection before others have a turn.
    pub const TURN: usize = 4;

    /// Events of the network thread that wait for the loop.
    pub const EVENTS: usize = 64;

    /// Bytes of errors of one connection that are kept: a line.
    pub const LINES: usize = 4096;

    /// Time until a connection is accepted again after the system had no descriptor for one.
    pub const PAUSE: Duration = Duration::from_millis(100);

    /// Time for which canceled connections are waited for: a round trip or two.
    pub const LEAVE: Duration = Duration::from_secs(1);
}
