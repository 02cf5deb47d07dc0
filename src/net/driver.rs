//! The network thread and its two channels.

use std::io;
use std::net::SocketAddr;

use super::{Command, Event};
use crate::rng::Rng;
use crate::session::{self, Path};
use crate::time::Instant;

/// Decides, on the network thread, which plain-text datagrams are worth an event. Called before
/// anything is allocated; must not block.
pub trait PlainSink: Send {
    /// Whether to let this one through.
    fn admit(&mut self, now: Instant, path: &Path, text: &[u8]) -> bool;
}

/// A running network thread.
pub struct Net {
    /// To talk to it.
    pub handle: Handle,
    /// What it tells.
    pub events: Events,
    /// The addresses that were bound, with their real ports, by socket number.
    pub addresses: Vec<SocketAddr>,
    /// Addresses that could not be bound although others could (e.g. no IPv6 here).
    pub unbound: Vec<(SocketAddr, io::Error)>,
}

/// The sending end; clones are cheap.
#[derive(Clone)]
pub struct Handle {
    _todo: (),
}

impl Handle {
    /// Hands a command over, waiting while the channel is full. Errors mean that the thread has ended.
    pub fn send(&self, command: Command) -> Result<(), Command> {
        todo!()
    }
}

/// The receiving end.
pub struct Events {
    _todo: (),
}

impl Events {
    /// The channel, for `select!`. After each value taken from it call [`Events::taken`].
    pub fn channel(&self) -> &crossbeam_channel::Receiver<Event> {
        todo!()
    }

    /// Tells the network thread that there is room again, if it waits for that.
    pub fn taken(&self) {
        todo!()
    }
}

/// Binds every address of `binds` and starts the thread. `wake`, if given, is called after events were
/// put on an empty channel, so that an application that sleeps in its own poll notices.
///
/// # Errors
/// When none of the addresses could be bound.
pub fn start(
    binds: &[SocketAddr],
    config: session::Config,
    rng: Rng,
    plain: Option<Box<dyn PlainSink>>,
    wake: Option<Box<dyn Fn() + Send>>,
) -> io::Result<Net> {
    todo!()
}
