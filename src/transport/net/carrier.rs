//! The seam between the driver and what carries its datagrams: UDP, memory, or a carrier to come.
//!
//! A carrier moves whole datagrams between peers that it names by [`PeerAddr`]; it knows nothing of sessions.
//! Calls are made once per batch of datagrams, not once per datagram. Invariant: a datagram that cannot be
//! sent is lost and counted, never an error for the caller; only a full carrier makes it wait.

use std::io;
use std::net::IpAddr;

use mio::{Registry, Token};

use super::limits;
use super::refusal::Refusal;
use crate::peer_addr::PeerAddr;
use crate::session::{Ecn, Path, Transmit};

/// Carries datagrams for the driver.
///
/// An implementation is bound by its own constructor, since what it is bound to differs: an address of this
/// machine, a subject of a message broker, the other end of a pair. All further calls come from the network
/// thread and must not block.
pub trait Carrier: Send {
    /// Address under which this carrier receives.
    fn local_addr(&self) -> PeerAddr;

    /// Registers for edge-triggered readable events under `token`. No other token may be used.
    ///
    /// # Errors
    /// The system's.
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()>;

    /// Adds or removes the interest in writable events. The driver adds it while a transmit is
    /// [`Sent::Blocked`]; with it all the time, every datagram that leaves would wake the thread.
    ///
    /// # Errors
    /// The system's.
    fn set_writable_interest(
        &mut self,
        registry: &Registry,
        token: Token,
        on: bool,
    ) -> io::Result<()>;

    /// Ends the registration.
    ///
    /// # Errors
    /// The system's.
    fn deregister(&mut self, registry: &Registry) -> io::Result<()>;

    /// Receives into `inbox` and returns the number of its buffers that were filled, from the first. Fewer
    /// than [`limits::RECEIVE_BATCH`] mean that nothing is left, and that the next datagram causes a new
    /// readable event.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is nothing to receive. Any other error is counted; the
    /// carrier is given up after [`limits::RECEIVE_ERRORS`] in a row.
    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<usize>;

    /// Sends the datagrams in `buffer` from `outgoing.done` on, and advances `outgoing.done` past those that
    /// were sent or lost.
    fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent;

    /// Number of datagrams to one peer that [`Carrier::send`] passes on at once.
    fn segments(&self) -> usize;

    /// Largest datagram in octets that can be received, and sent without fragmentation if the route's MTU allows it.
    fn max_datagram(&self) -> usize;

    /// Octets of datagrams that it keeps until they are received.
    fn receive_buffer(&self) -> usize;

    /// Asks the network to report datagrams that it does not deliver, for [`Carrier::poll_refusal`]. Carriers without such
    /// reports ignore it.
    ///
    /// # Errors
    /// The system's.
    fn report_refusals(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Returns the next report of datagrams that were not delivered.
    fn poll_refusal(&mut self) -> Option<Refusal> {
        None
    }

    /// True if no peer can send from the address of another, as over connections. RFC 9000 §8.1 asks for no
    /// limit on amplification then; the session machine keeps its limit over every carrier.
    fn validates_addresses(&self) -> bool;
}

/// Buffers for what one [`Carrier::receive`] brings. Each begins at a page.
pub struct Inbox {
    /// The buffers, behind what precedes the first page.
    memory: Box<[u8]>,
    metas: [ReceiveMeta; limits::RECEIVE_BATCH],
}

/// Origin of the datagrams in one buffer of an [`Inbox`].
#[derive(Clone, Copy, Debug)]
pub struct ReceiveMeta {
    /// Sender.
    pub remote: PeerAddr,
    /// Local address that they were sent to, if known.
    pub local: Option<IpAddr>,
    /// ECN mark.
    pub ecn: Option<Ecn>,
    /// Octets in the buffer.
    pub length: usize,
    /// Size of each datagram but the last, which may be shorter.
    pub stride: usize,
}

/// One filled buffer of an [`Inbox`]: datagrams from one peer.
pub(super) struct Received<'a> {
    pub(super) meta: ReceiveMeta,
    bytes: &'a mut [u8],
}

/// Datagrams that are being sent, and the progress.
pub struct Outgoing {
    /// Destination and size of the datagrams.
    pub transmit: Transmit,
    /// Octets of the buffer that were sent or lost.
    pub done: usize,
}

/// Result of [`Carrier::send`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Nothing is left to send.
    Whole {
        /// Number of datagrams that were refused.
        lost: u64,
        /// True if some of them were refused because they are larger than the route's MTU.
        too_large: bool,
    },
    /// The carrier is full; the rest can be sent after a writable event.
    Blocked,
}

impl Sent {
    /// Result for datagrams that were all sent.
    pub const ALL: Self = Self::Whole {
        lost: 0,
        too_large: false,
    };
}

impl Inbox {
    pub(super) fn new() -> Self {
        let meta = ReceiveMeta {
            remote: PeerAddr::from_id(0),
            local: None,
            ecn: None,
            length: 0,
            stride: 0,
        };
        Self {
            memory: vec![0; limits::PAGE + limits::RECEIVE_BATCH * limits::RECEIVE].into(),
            metas: [meta; limits::RECEIVE_BATCH],
        }
    }

    /// The buffers, each of [`limits::RECEIVE`] octets.
    pub fn buffers(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let before = self.memory.as_ptr().align_offset(limits::PAGE);
        self.memory[before..].chunks_exact_mut(limits::RECEIVE)
    }

    /// Says what the buffer of this index holds.
    ///
    /// # Panics
    /// If there is no such buffer.
    pub fn describe(&mut self, index: usize, meta: ReceiveMeta) {
        self.metas[index] = meta;
    }

    /// The first `count` buffers.
    pub(super) fn received(&mut self, count: usize) -> impl Iterator<Item = Received<'_>> {
        let metas = self.metas;
        metas
            .into_iter()
            .zip(self.buffers())
            .take(count)
            .map(|(meta, buffer)| Received {
                meta,
                bytes: &mut buffer[..meta.length.min(limits::RECEIVE)],
            })
    }
}

impl Received<'_> {
    /// Path of the datagrams, as `socket` received them.
    pub(super) const fn path(&self, socket: u16) -> Path {
        Path {
            socket,
            local: self.meta.local,
            remote: self.meta.remote,
        }
    }

    /// The datagrams one by one. The carrier may have joined those that arrived in a row (GRO).
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = &mut [u8]> {
        // An empty datagram is one datagram; a chunk iterator would yield none.
        let empty = self.bytes.is_empty().then(<&mut [u8]>::default);
        let stride = self.meta.stride.max(1);
        empty.into_iter().chain(self.bytes.chunks_mut(stride))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_receive_buffer_begins_at_a_page() {
        let mut inbox = Inbox::new();
        let begins: Vec<_> = inbox
            .buffers()
            .map(|buffer| buffer.as_ptr().addr())
            .collect();
        assert_eq!(begins.len(), limits::RECEIVE_BATCH);
        assert!(begins.iter().all(|begin| begin % limits::PAGE == 0));
    }
}
