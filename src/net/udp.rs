//! Sockets as the driver wants them: bound, non-blocking, with GSO, GRO, ECN and packet info.
//!
//! Not here: readiness, and whose turn it is. Invariant: a datagram that cannot be sent is lost and
//! counted, never an error for the caller; only a full socket makes it wait.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use mio::net::UdpSocket;
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Type};

use super::limits;
use crate::session::{Ecn, Transmit};
use crate::wire::limits::MAX_DATAGRAM;

/// A bound UDP socket.
pub(super) struct Socket {
    pub(super) io: UdpSocket,
    state: UdpSocketState,
    pub(super) address: SocketAddr,
}

/// Datagrams on their way out, and how far they are.
pub(super) struct Outgoing {
    pub(super) transmit: Transmit,
    /// Bytes of the buffer that are sent or lost.
    pub(super) done: usize,
}

/// How far [`Socket::send`] got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// Nothing is left of it; so many datagrams were lost.
    Whole {
        /// Refused by the system.
        lost: u64,
    },
    /// The socket is full; go on when it is writable.
    Blocked,
}

/// Room for what one system call receives.
pub(super) struct Inbox {
    buffers: Box<[u8]>,
    metas: [RecvMeta; limits::RECEIVE_BATCH],
}

/// One buffer of an [`Inbox`]: datagrams from one peer.
pub(super) struct Received<'a> {
    pub(super) meta: RecvMeta,
    pub(super) bytes: &'a mut [u8],
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![0; limits::RECEIVE_BATCH * limits::RECEIVE].into(),
            metas: [RecvMeta::default(); limits::RECEIVE_BATCH],
        }
    }

    /// What the last `count` receives brought.
    pub(super) fn received(&mut self, count: usize) -> impl Iterator<Item = Received<'_>> {
        self.metas
            .iter()
            .zip(self.buffers.chunks_exact_mut(limits::RECEIVE))
            .take(count)
            .map(|(&meta, buffer)| Received {
                meta,
                bytes: &mut buffer[..meta.len.min(limits::RECEIVE)],
            })
    }
}

impl Received<'_> {
    /// The datagrams: the kernel may have glued together what came in a row (GRO).
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = &mut [u8]> {
        // An empty datagram is one datagram; a chunk iterator would say none.
        let empty = self.bytes.is_empty().then(<&mut [u8]>::default);
        let stride = self.meta.stride.max(1);
        empty.into_iter().chain(self.bytes.chunks_mut(stride))
    }
}

impl Socket {
    /// Binds `address`; an IPv6 socket takes IPv6 alone, so that both families can share a port.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Beyond the system's limit only for those with CAP_NET_ADMIN; otherwise what the system allows.
        if sockopt::set_socket_recv_buffer_size_force(&socket, limits::RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(limits::RECEIVE_BUFFER)?;
        }
        if sockopt::set_socket_send_buffer_size_force(&socket, limits::SEND_BUFFER).is_err() {
            socket.set_send_buffer_size(limits::SEND_BUFFER)?;
        }
        socket.bind(&address.into())?;
        let io = UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new((&io).into())?;
        let address = io.local_addr()?;
        Ok(Self { io, state, address })
    }

    /// How many datagrams one system call can send.
    pub(super) fn segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Fills `inbox`; the number of its buffers that now hold something.
    pub(super) fn receive(&self, inbox: &mut Inbox) -> io::Result<usize> {
        let mut buffers = inbox.buffers.chunks_exact_mut(limits::RECEIVE);
        let mut slices: [IoSliceMut<'_>; limits::RECEIVE_BATCH] = std::array::from_fn(|_| {
            IoSliceMut::new(buffers.next().expect("as many buffers as the batch has"))
        });
        self.state
            .recv((&self.io).into(), &mut slices, &mut inbox.metas)
    }

    /// Sends what is left of `outgoing`, whose datagrams stand in `buffer`.
    pub(super) fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent {
        let mut lost = 0;
        while outgoing.done < buffer.len() {
            let rest = &buffer[outgoing.done..];
            let segment = outgoing.transmit.segment.unwrap_or(rest.len()).max(1);
            let at_once = self.segments().min(MAX_DATAGRAM / segment).max(1);
            let chunk = &rest[..rest.len().min(segment.saturating_mul(at_once))];
            let batch = chunk.len() > segment;
            match self.send_chunk(&outgoing.transmit, chunk, segment) {
                Ok(()) => outgoing.done += chunk.len(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Blocked,
                // The device cannot segment: quinn-udp has taken note, the rest goes one by one.
                Err(error) if batch && offload_refused(&error) => {}
                // The address that the request came to is gone, or was a broadcast address: the
                // system chooses another.
                Err(error)
                    if source_refused(&error) && outgoing.transmit.path.local.take().is_some() =>
                {
                    self.restore_offload(&error);
                }
                Err(error) => {
                    self.restore_offload(&error);
                    lost += chunk.len().div_ceil(segment) as u64;
                    outgoing.done += chunk.len();
                }
            }
        }
        Sent::Whole { lost }
    }

    fn send_chunk(&self, transmit: &Transmit, chunk: &[u8], segment: usize) -> io::Result<()> {
        let destination = transmit.path.remote.socket_addr();
        let transmit = quinn_udp::Transmit {
            destination: destination.ok_or(io::ErrorKind::AddrNotAvailable)?,
            ecn: transmit.ecn.map(ecn_to_system),
            contents: chunk,
            segment_size: (chunk.len() > segment).then_some(segment),
            src_ip: transmit.path.local,
        };
        self.state.try_send((&self.io).into(), &transmit)
    }

    /// quinn-udp takes EINVAL for a missing GSO and never tries again. A bad address says the same,
    /// and must not slow everyone else down.
    fn restore_offload(&mut self, error: &io::Error) {
        if Errno::from_io_error(error) == Some(Errno::INVAL)
            && let Ok(state) = UdpSocketState::new((&self.io).into())
        {
            self.state = state;
        }
    }
}

/// What sendmsg says when the device cannot do GSO (udp(7), and `udp_send_skb` in the kernel).
fn offload_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL))
}

/// What sendmsg says to a source address that is none of ours: the first for IPv4, the others for IPv6
/// and for broadcast addresses.
fn source_refused(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NETUNREACH | Errno::INVAL | Errno::ADDRNOTAVAIL)
    )
}

const fn ecn_to_system(ecn: Ecn) -> EcnCodepoint {
    match ecn {
        Ecn::Ect0 => EcnCodepoint::Ect0,
        Ecn::Ect1 => EcnCodepoint::Ect1,
        Ecn::Ce => EcnCodepoint::Ce,
    }
}

/// The mark on a datagram that came in.
pub(super) const fn ecn_from_system(ecn: EcnCodepoint) -> Ecn {
    match ecn {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
