//! Handle of the network thread, with a socket for each address family.
//!
//! Not the resolution of names, which is in [`host_resolver`](super::host_resolver). Invariant: slots are given out
//! once, so that no two contacts of a process share a session handle.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use super::limits;
use crate::crypto::SecretKey;
use crate::net::{self, Command, Event, Net, PlainSink};
use crate::session::{self, Path};

/// Handle of the network thread, with a socket for each address family.
pub struct Client {
    net: Net,
    /// First slot that has not been given out.
    next_slot: AtomicU32,
}

/// Error of an address whose family no socket here has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSocket;

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this machine has no network of its address family")
    }
}

impl std::error::Error for NoSocket {}

impl Client {
    /// Binds a socket for each address family and starts the network thread.
    ///
    /// # Errors
    /// If neither family can be bound, or the system has no randomness.
    pub fn open(identity: SecretKey) -> io::Result<Self> {
        Self::start(identity, None)
    }

    /// Does the same for plain text that `sink` admits, with a key that is not kept.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_plain(sink: Box<dyn PlainSink>) -> io::Result<Self> {
        let identity = SecretKey::generate(&mut net::rng()?);
        Self::start(identity, Some(sink))
    }

    fn start(identity: SecretKey, plain: Option<Box<dyn PlainSink>>) -> io::Result<Self> {
        let binds = [
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        ];
        let config = session::Config::new(identity, None);
        let carriers = net::bind_udp(&binds)?.carriers;
        Ok(Self {
            net: net::start(carriers, config, net::rng()?, plain, None)?,
            next_slot: AtomicU32::new(0),
        })
    }

    /// Returns the paths to addresses, best first, at most [`session::limits::PATHS`]: in their order, but with the
    /// families in turn, so that one without a route delays little (RFC 8305 §4).
    ///
    /// # Errors
    /// If there is no socket for any of them.
    pub fn paths(&self, addresses: &[SocketAddr]) -> Result<Vec<Path>, NoSocket> {
        let paths: Vec<Path> = net::families_in_turn(addresses)
            .filter_map(|remote| self.net.path_to(remote))
            .take(session::limits::PATHS)
            .collect();
        if paths.is_empty() {
            return Err(NoSocket);
        }
        Ok(paths)
    }

    /// Gives out `count` consecutive slots and returns the first. The sessions of slot `n` are `n << 16` and those
    /// that follow.
    #[must_use]
    pub fn reserve(&self, count: usize) -> u32 {
        let count = u32::try_from(count).expect("a command line holds fewer targets");
        self.next_slot.fetch_add(count, Ordering::Relaxed)
    }

    /// Sends a command to the session layer. The events report that the thread has ended.
    pub fn send(&self, command: session::Command) {
        let _ = self.net.handle.send(Command::Session(command));
    }

    /// Sends a datagram of plain text.
    pub fn send_plain(&self, path: Path, text: bytes::Bytes) {
        let _ = self.net.handle.send(Command::Plain { path, text });
    }

    /// Returns the channel of events. Each one received must be followed by [`Client::taken`].
    #[must_use]
    pub const fn events(&self) -> &crossbeam_channel::Receiver<Event> {
        self.net.events.channel()
    }

    /// Reports that an event was taken from the channel.
    pub fn taken(&self) {
        self.net.events.taken();
    }

    /// Ends the thread after it has sent what is due. Waits for [`limits::CLOSE`] at most.
    pub fn close(self) {
        let _ = self.net.handle.send(Command::Shutdown);
        let deadline = std::time::Instant::now() + limits::CLOSE;
        while self.net.events.channel().recv_deadline(deadline).is_ok() {
            self.net.events.taken();
        }
    }
}
