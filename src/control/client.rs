//! Handle of the network thread, with a socket for each address family.
//!
//! Not the resolution of names, which is in [`host_resolver`](super::host_resolver). Invariant: slots are given out
//! once, so that no two contacts of a process share a session handle.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::atomic::{AtomicU32, Ordering};

use super::limits;
use crate::crypto::SecretKey;
use crate::net::{self, Carrier, Command, Event, Net, PlainSink};
use crate::session::{self, Path};

/// Handle of the network thread, with a socket for each address family.
pub struct Client {
    net: Net,
    /// First slot that has not been given out.
    next_slot: AtomicU32,
}

/// Any address and port of each family.
const UNSPECIFIED: [SocketAddr; 2] = [
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0)),
];

/// Error of an address whose family no socket here has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSocket;

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this machine has no network of its address family")
    }
}

impl std::error::Error for NoSocket {}

/// Datagrams that this machine has dropped because they arrived faster than they were taken. They were sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drops {
    /// Their number.
    pub datagrams: u64,
    /// Size of the receive buffer in octets, with the kernel's structures.
    pub buffer: u64,
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { datagrams, buffer } = self;
        write!(
            f,
            "{datagrams} datagrams were dropped here, because the receive buffer was full"
        )?;
        // The kernel reports twice what it has granted (socket(7)).
        if *buffer < 2 * net::limits::FLEET_RECEIVE_BUFFER as u64 {
            let wanted = net::limits::FLEET_RECEIVE_BUFFER;
            write!(
                f,
                "; the system allows {} bytes, set net.core.rmem_max to {wanted}",
                buffer / 2
            )?;
        }
        Ok(())
    }
}

impl Client {
    /// Binds a socket for each address family and starts the network thread.
    ///
    /// # Errors
    /// If neither family can be bound, or the system has no randomness.
    pub fn open(identity: SecretKey) -> io::Result<Self> {
        Self::run(net::bind_udp(&UNSPECIFIED)?.carriers, identity, None)
    }

    /// Does the same for the hosts of a command, all of whose addresses are there, or none, as long as not all are known: a
    /// family without one of them needs no socket, which the first datagram would wait for. A family that cannot be bound is an
    /// error of its addresses ([`Client::paths`]). The network's reports that a host is not reached are events ([`Event::Refused`]): they name no port, and so belong to the
    /// only host, or to the one that has an address alone.
    ///
    /// # Errors
    /// As [`Client::open`].
    pub fn open_with_refusals(identity: SecretKey, addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut carriers = bind_for(addresses)?;
        for carrier in &mut carriers {
            // Without the reports, the host is unreachable all the same.
            let _ = carrier.report_refusals();
        }
        Self::run(carriers, identity, None)
    }

    /// Does the same for plain text with one host that `sink` admits, from sockets at `binds` or at any port. The key is not
    /// kept. The network's reports that the host is not reached are events.
    ///
    /// # Errors
    /// As [`Client::open`]; also if an address of `binds` cannot be bound.
    pub fn open_plain(sink: Box<dyn PlainSink>, binds: &[SocketAddr]) -> io::Result<Self> {
        let identity = SecretKey::generate(&mut net::rng()?);
        let binds = if binds.is_empty() {
            &UNSPECIFIED
        } else {
            binds
        };
        let mut carriers = net::bind_udp(binds)?.carriers;
        for carrier in &mut carriers {
            // Without the reports, the text is lost without notice.
            let _ = carrier.report_refusals();
        }
        Self::run(carriers, identity, Some(sink))
    }

    fn run(
        carriers: Vec<Box<dyn Carrier>>,
        identity: SecretKey,
        plain: Option<Box<dyn PlainSink>>,
    ) -> io::Result<Self> {
        let config = session::Config::new(identity, None);
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

    /// Returns the number of hosts that may be contacted at a time, so that their answers do not overflow the receive
    /// buffer.
    #[must_use]
    pub fn first_contacts(&self) -> usize {
        usize::try_from(self.net.receive_buffer / limits::ANSWER_MEMORY).unwrap_or(usize::MAX)
    }

    /// Returns the loss of datagrams at this machine's own receive buffer, if there was any. Reads files.
    #[must_use]
    pub fn drops(&self) -> Option<Drops> {
        let datagrams = self.net.dropped().filter(|&dropped| dropped > 0)?;
        Some(Drops {
            datagrams,
            buffer: self.net.receive_buffer,
        })
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

/// Binds a socket for each family of the addresses, or for all if there is none of them.
fn bind_for(addresses: &[SocketAddr]) -> io::Result<Vec<Box<dyn Carrier>>> {
    let is_needed = |bind: &SocketAddr| {
        let mut addresses = addresses.iter();
        addresses.any(|address| address.is_ipv4() == bind.is_ipv4())
    };
    let binds: Vec<SocketAddr> = UNSPECIFIED.into_iter().filter(is_needed).collect();
    let bound = net::bind_udp(&binds).or_else(|_| net::bind_udp(&UNSPECIFIED))?;
    Ok(bound.carriers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn drops_name_the_setting_that_helps() {
        let full = 2 * net::limits::FLEET_RECEIVE_BUFFER as u64;
        let words = |buffer| {
            let datagrams = 3;
            Drops { datagrams, buffer }.to_string()
        };
        let begin = "3 datagrams were dropped here, because the receive buffer was full";
        assert_eq!(words(full), begin);
        assert_eq!(
            words(425_984),
            format!("{begin}; the system allows 212992 bytes, set net.core.rmem_max to 16777216")
        );
    }

    #[test]
    fn only_families_with_an_address_get_a_socket() {
        let v4 = SocketAddr::from(([192, 0, 2, 1], 7000));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 7000));
        let open = |addresses: &[SocketAddr]| {
            let identity = SecretKey::generate(&mut Rng::from_seed([1; 32]));
            Client::open_with_refusals(identity, addresses).unwrap()
        };
        let client = open(&[v4]);
        assert_eq!(client.net.addresses.len(), 1);
        assert!(client.paths(&[v4]).is_ok());
        assert!(matches!(client.paths(&[v6]), Err(NoSocket)));
        client.close();
        // Without any address, nothing is known of the families.
        let client = open(&[]);
        assert!(client.paths(&[v4]).is_ok());
        client.close();
    }
}
