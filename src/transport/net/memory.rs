//! A carrier between two drivers of one process: bounded queues, no socket.
//!
//! For tests, examples and programs that embed both ends. Invariants: it never blocks; a datagram arrives whole,
//! once and in order, or is lost, as at a router, because the queue is full.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::event::{EventfdFlags, eventfd};

use super::carrier::{Carrier, Inbox, Outgoing, ReceiveMeta, Sent};
use super::limits;
use crate::peer_addr::PeerAddr;
use crate::session;
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// A datagram and its ECN mark.
type Datagram = (Vec<u8>, Option<session::Ecn>);

/// Decides about each datagram that is sent; true loses it.
type Loss = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// One end of a pair.
pub struct MemoryCarrier {
    local: PeerAddr,
    peer: PeerAddr,
    incoming: Receiver<Datagram>,
    /// Becomes readable when the peer sends.
    arrival: Arc<OwnedFd>,
    outgoing: Sender<Datagram>,
    peer_arrival: Arc<OwnedFd>,
    loss: Option<Loss>,
    mtu: usize,
}

impl MemoryCarrier {
    /// Creates two ends that are connected to each other.
    ///
    /// # Errors
    /// If the process has no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (near, far) = (PeerAddr::from_id(1), PeerAddr::from_id(2));
        let near_arrival = Arc::new(eventfd(0, flags)?);
        let far_arrival = Arc::new(eventfd(0, flags)?);
        let (to_far, from_near) = bounded(limits::MEMORY_QUEUE);
        let (to_near, from_far) = bounded(limits::MEMORY_QUEUE);
        Ok((
            Self {
                local: near,
                peer: far,
                incoming: from_far,
                arrival: Arc::clone(&near_arrival),
                outgoing: to_far,
                peer_arrival: Arc::clone(&far_arrival),
                loss: None,
                mtu: MAX_DATAGRAM,
            },
            Self {
                local: far,
                peer: near,
                incoming: from_near,
                arrival: far_arrival,
                outgoing: to_near,
                peer_arrival: near_arrival,
                loss: None,
                mtu: MAX_DATAGRAM,
            },
        ))
    }

    /// Loses each datagram from this end for which `loss` returns true.
    #[must_use]
    pub fn with_loss(mut self, loss: impl FnMut(&[u8]) -> bool + Send + 'static) -> Self {
        self.loss = Some(Box::new(loss));
        self
    }

    /// Refuses each datagram from this end with more than `mtu` octets, as a route with that MTU does.
    #[must_use]
    pub fn with_mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu;
        self
    }

    /// Address of the other end.
    #[must_use]
    pub const fn peer_addr(&self) -> PeerAddr {
        self.peer
    }
}

impl Carrier for MemoryCarrier {
    fn local_addr(&self) -> PeerAddr {
        self.local
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let descriptor = self.arrival.as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)
    }

    /// Of no use to this carrier, which never blocks: the event comes at once.
    fn set_writable_interest(
        &mut self,
        registry: &Registry,
        token: Token,
        on: bool,
    ) -> io::Result<()> {
        let interest = if on {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        let descriptor = self.arrival.as_raw_fd();
        registry.reregister(&mut SourceFd(&descriptor), token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut SourceFd(&self.arrival.as_raw_fd()))
    }

    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<usize> {
        let mut count = 0;
        while count < limits::RECEIVE_BATCH
            && let Ok((datagram, ecn)) = self.incoming.try_recv()
        {
            let buffer = inbox.buffers().nth(count).expect("a buffer for each");
            buffer[..datagram.len()].copy_from_slice(&datagram);
            let meta = ReceiveMeta {
                remote: self.peer,
                local: None,
                ecn,
                length: datagram.len(),
                stride: datagram.len(),
            };
            inbox.describe(count, meta);
            count += 1;
        }
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }

    fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent {
        let rest = &buffer[outgoing.done..];
        let segment = outgoing.transmit.segment.unwrap_or(rest.len()).max(1);
        outgoing.done = buffer.len();
        let datagrams = rest.chunks(segment);
        if outgoing.transmit.path.remote != self.peer || segment > self.mtu {
            let lost = datagrams.len() as u64;
            let too_large = segment > self.mtu;
            return Sent::Whole { lost, too_large };
        }
        for datagram in datagrams {
            let is_lost = self.loss.as_mut().is_some_and(|loss| loss(datagram));
            if !is_lost {
                // A full queue loses it, and a peer that is gone receives nothing.
                let _ = self
                    .outgoing
                    .try_send((datagram.to_vec(), outgoing.transmit.ecn));
            }
        }
        // Every write is a new edge, so the counter is never read. It can only fail when the counter is full.
        let _ = rustix::io::write(&*self.peer_arrival, &1_u64.to_ne_bytes());
        Sent::ALL
    }

    fn segments(&self) -> usize {
        session::limits::SEGMENTS
    }

    fn max_datagram(&self) -> usize {
        MAX_DATAGRAM
    }

    fn receive_buffer(&self) -> usize {
        limits::MEMORY_QUEUE * MIN_DATAGRAM
    }

    fn validates_addresses(&self) -> bool {
        true
    }
}
