//! UDP as a carrier: a bound, non-blocking socket with GSO, GRO, ECN and packet info, whose datagrams are never
//! fragmented (`UdpSocketState::new` sets that up).
//!
//! Not here: readiness and scheduling (`driver`). Invariant: an answer leaves from the address that the
//! request came to, as long as this machine has that address.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{EcnCodepoint, RecvMeta, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Type};

use super::carrier::{Carrier, Inbox, Outgoing, ReceiveMeta, Sent};
use super::limits;
use super::refusal::{Refusal, Refusals};
use crate::peer_addr::PeerAddr;
use crate::session::{Ecn, Transmit};
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// A bound UDP socket.
pub struct UdpCarrier {
    pub(super) io: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    metas: [RecvMeta; limits::RECEIVE_BATCH],
    /// Reports of undelivered datagrams, if they are wanted.
    refusals: Option<Refusals>,
}

/// Result of [`bind_udp`].
pub struct UdpCarriers {
    /// One carrier for each address that was bound; not empty.
    pub carriers: Vec<Box<dyn Carrier>>,
    /// Addresses that could not be bound although others could, for instance without IPv6.
    pub unbound: Vec<(SocketAddr, io::Error)>,
}

/// Binds a UDP socket to each address and returns them as carriers, with the receive buffer of a controller.
///
/// # Errors
/// If no address could be bound: the last error.
pub fn bind_udp(addresses: &[SocketAddr]) -> io::Result<UdpCarriers> {
    let buffer = limits::FLEET_RECEIVE_BUFFER;
    let UdpSockets { sockets, unbound } = bind_all(addresses, buffer)?;
    let carriers = sockets
        .into_iter()
        .map(|socket| Ok(Box::new(UdpCarrier::adopt(socket)?) as Box<dyn Carrier>))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(UdpCarriers { carriers, unbound })
}

/// Result of [`bind_sockets`].
pub struct UdpSockets {
    /// One socket for each address that was bound; not empty.
    pub sockets: Vec<std::net::UdpSocket>,
    /// Addresses that could not be bound although others could, for instance without IPv6.
    pub unbound: Vec<(SocketAddr, io::Error)>,
}

/// Binds a UDP socket to each address, with the receive buffer of an agent.
///
/// # Errors
/// If no address could be bound: the last error.
pub fn bind_sockets(addresses: &[SocketAddr]) -> io::Result<UdpSockets> {
    bind_all(addresses, limits::RECEIVE_BUFFER)
}

fn bind_all(addresses: &[SocketAddr], receive_buffer: usize) -> io::Result<UdpSockets> {
    let mut sockets = Vec::new();
    let mut unbound = Vec::new();
    for &address in addresses {
        match bind(address, receive_buffer) {
            Ok(socket) => sockets.push(socket),
            Err(error) => unbound.push((address, error)),
        }
    }
    if sockets.is_empty() {
        return Err(match unbound.pop() {
            Some((_, error)) => error,
            None => io::Error::new(io::ErrorKind::InvalidInput, "no address to bind"),
        });
    }
    Ok(UdpSockets { sockets, unbound })
}

/// Returns bound sockets for the addresses: those of an earlier program where they fit, and new ones. A port of 0 stands
/// for any. Sockets that do not fit are closed, unless they are all that is left.
#[must_use]
pub fn rebind_sockets(
    addresses: &[SocketAddr],
    mut earlier: Vec<std::net::UdpSocket>,
) -> UdpSockets {
    let mut sockets = Vec::new();
    let mut missing = Vec::new();
    for &address in addresses {
        let fits = |socket: &std::net::UdpSocket| {
            socket.local_addr().is_ok_and(|own| {
                own.ip() == address.ip() && (address.port() == 0 || own.port() == address.port())
            })
        };
        match earlier.iter().position(fits) {
            Some(index) => sockets.push(earlier.swap_remove(index)),
            None => missing.push(address),
        }
    }
    let mut unbound = Vec::new();
    for address in missing {
        match bind(address, limits::RECEIVE_BUFFER) {
            Ok(socket) => sockets.push(socket),
            Err(error) => unbound.push((address, error)),
        }
    }
    if sockets.is_empty() {
        return UdpSockets {
            sockets: earlier,
            unbound,
        };
    }
    // An address that was in the way of another one is free now.
    drop(earlier);
    let again = std::mem::take(&mut unbound);
    for (address, _) in again {
        match bind(address, limits::RECEIVE_BUFFER) {
            Ok(socket) => sockets.push(socket),
            Err(error) => unbound.push((address, error)),
        }
    }
    UdpSockets { sockets, unbound }
}

/// Binds `address`. An IPv6 socket takes IPv6 alone, so that both families can share a port.
fn bind(address: SocketAddr, receive_buffer: usize) -> io::Result<std::net::UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Beyond the system's limit only with CAP_NET_ADMIN; otherwise as much as the system allows.
    if sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer).is_err() {
        socket.set_recv_buffer_size(receive_buffer)?;
    }
    if sockopt::set_socket_send_buffer_size_force(&socket, limits::SEND_BUFFER).is_err() {
        socket.set_send_buffer_size(limits::SEND_BUFFER)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl UdpCarrier {
    /// Binds `address`, with the receive buffer of an agent.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::adopt(bind(address, limits::RECEIVE_BUFFER)?)
    }

    /// Takes a bound socket, also of another process.
    ///
    /// # Errors
    /// The system's.
    pub fn adopt(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = UdpSocket::from_std(socket);
        let state = UdpSocketState::new((&io).into())?;
        let address = io.local_addr()?;
        Ok(Self {
            io,
            state,
            address,
            metas: [RecvMeta::default(); limits::RECEIVE_BATCH],
            refusals: None,
        })
    }

    fn receive_batch(&mut self, inbox: &mut Inbox) -> io::Result<usize> {
        let mut buffers = inbox.buffers();
        let mut slices: [IoSliceMut<'_>; limits::RECEIVE_BATCH] = std::array::from_fn(|_| {
            IoSliceMut::new(buffers.next().expect("as many buffers as the batch has"))
        });
        let mut retries = 1..limits::REPORTED_CALLS;
        loop {
            let io = (&self.io).into();
            match self.state.recv(io, &mut slices, &mut self.metas) {
                Err(error)
                    if error.kind() != io::ErrorKind::WouldBlock
                        && self.read_reports()
                        && retries.next().is_some() => {}
                result => return result,
            }
        }
    }

    fn send_chunk(&self, transmit: &Transmit, chunk: &[u8], segment: usize) -> io::Result<()> {
        let destination = transmit.path.remote.socket_addr();
        let transmit = quinn_udp::Transmit {
            destination: destination.ok_or(io::ErrorKind::Unsupported)?,
            ecn: transmit.ecn.map(ecn_to_system),
            contents: chunk,
            segment_size: (chunk.len() > segment).then_some(segment),
            src_ip: transmit.path.local,
        };
        self.state.try_send((&self.io).into(), &transmit)
    }

    /// Reads the error queue, after which a call of the system succeeds that an ICMP report has failed. Returns true if
    /// there was such a report.
    fn read_reports(&mut self) -> bool {
        let Some(refusals) = &mut self.refusals else {
            return false;
        };
        let mut has_read = false;
        for _ in 0..limits::REFUSALS {
            let Ok(Some(error)) = self.state.recv_transport_error((&self.io).into()) else {
                break;
            };
            if let Some(refusal) = Refusal::of(&error) {
                refusals.add(refusal);
                has_read = true;
            }
        }
        has_read
    }

    /// Turns segmentation on again after EINVAL. quinn-udp takes that for a device without GSO and never
    /// tries again, but a bad address causes it too, and must not slow all other peers down.
    fn restore_offload(&mut self, error: &io::Error) {
        if Errno::from_io_error(error) == Some(Errno::INVAL) {
            self.renew();
        }
    }

    fn renew(&mut self) {
        if let Ok(state) = UdpSocketState::new((&self.io).into()) {
            self.state = state;
        }
    }
}

impl Carrier for UdpCarrier {
    fn local_addr(&self) -> PeerAddr {
        self.address.into()
    }

    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.io, token, Interest::READABLE)
    }

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
        registry.reregister(&mut self.io, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.io)
    }

    fn receive(&mut self, inbox: &mut Inbox) -> io::Result<usize> {
        let count = self.receive_batch(inbox)?;
        for (index, meta) in self.metas.iter().take(count).enumerate() {
            let meta = ReceiveMeta {
                remote: meta.addr.into(),
                local: meta.dst_ip,
                ecn: meta.ecn.map(ecn_from_system),
                length: meta.len,
                stride: meta.stride,
            };
            inbox.describe(index, meta);
        }
        Ok(count)
    }

    fn send(&mut self, outgoing: &mut Outgoing, buffer: &[u8]) -> Sent {
        let (mut lost, mut too_large, mut batch_refused) = (0, false, false);
        let mut retries = 1..limits::REPORTED_CALLS;
        while outgoing.done < buffer.len() {
            let rest = &buffer[outgoing.done..];
            let segment = outgoing.transmit.segment.unwrap_or(rest.len()).max(1);
            let at_once = self.segments().min(MAX_DATAGRAM / segment).max(1);
            let chunk = &rest[..rest.len().min(segment.saturating_mul(at_once))];
            let batch = chunk.len() > segment;
            match self.send_chunk(&outgoing.transmit, chunk, segment) {
                Ok(()) => outgoing.done += chunk.len(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Sent::Blocked,
                // The error was that of an earlier datagram.
                Err(_) if self.read_reports() && retries.next().is_some() => {}
                // The device cannot segment: quinn-udp has taken note, the rest goes one by one.
                Err(error) if batch && is_offload_refused(&error) => batch_refused = true,
                // The address that the request came to is gone, or was a broadcast address: the
                // system chooses another.
                Err(error)
                    if is_source_refused(&error)
                        && outgoing.transmit.path.local.take().is_some() =>
                {
                    self.restore_offload(&error);
                }
                Err(error) => {
                    self.restore_offload(&error);
                    if is_too_large(&error) {
                        too_large = true;
                        if std::mem::take(&mut batch_refused) {
                            // The size was refused, not the batch.
                            self.renew();
                        }
                    }
                    lost += chunk.len().div_ceil(segment) as u64;
                    outgoing.done += chunk.len();
                }
            }
        }
        Sent::Whole { lost, too_large }
    }

    fn segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_datagram(&self) -> usize {
        // A probe that can be fragmented on its way says nothing about the path.
        if self.state.may_fragment() {
            MIN_DATAGRAM
        } else {
            MAX_DATAGRAM
        }
    }

    fn receive_buffer(&self) -> usize {
        // The kernel reports twice what it was asked for, and counts its own structures against that (socket(7)).
        sockopt::socket_recv_buffer_size(&self.io).unwrap_or_default()
    }

    fn report_refusals(&mut self) -> io::Result<()> {
        self.state.enable_transport_errors((&self.io).into())?;
        self.refusals.get_or_insert_default();
        Ok(())
    }

    fn poll_refusal(&mut self) -> Option<Refusal> {
        self.refusals.as_mut()?.poll()
    }

    fn validates_addresses(&self) -> bool {
        false
    }
}

/// True if sendmsg failed because the device cannot do GSO (udp(7), and `udp_send_skb` in the kernel).
fn is_offload_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL))
}

/// True if sendmsg failed because the datagram is larger than the MTU of the route (ip(7), `IP_MTU_DISCOVER`).
fn is_too_large(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::MSGSIZE)
}

/// True if sendmsg failed because the source address is not one of this machine: the first error for IPv4,
/// the others for IPv6 and for broadcast addresses.
fn is_source_refused(error: &io::Error) -> bool {
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

const fn ecn_from_system(ecn: EcnCodepoint) -> Ecn {
    match ecn {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
