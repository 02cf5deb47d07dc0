//! Routes of this machine to the addresses of a host, and refusals of its port.
//!
//! Not a session. Invariant: what is sent is a datagram that an agent drops without an answer, never a line of chat.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use if_addrs::Interface;

use crate::wire::TAG;

/// Time for which the refusal of a port is awaited: a round trip of most paths. A later one is reported by the session.
const REFUSAL: Duration = Duration::from_millis(200);

/// Route of the system to an address.
#[derive(Debug)]
pub(super) struct Route {
    /// Address that datagrams to it are sent from.
    local: IpAddr,
    /// Interface that has this address.
    pub(super) interface: Option<String>,
    socket: UdpSocket,
}

impl Route {
    /// Returns the route to an address. Sends nothing.
    pub(super) fn to(remote: SocketAddr) -> io::Result<Self> {
        let unspecified = match remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((unspecified, 0))?;
        socket.connect(remote)?;
        let local = socket.local_addr()?.ip();
        Ok(Self {
            local,
            interface: interface(local),
            socket,
        })
    }

    /// Returns true if the port is refused.
    pub(super) fn is_refused(&self) -> bool {
        // Only an ICMP report can come: what is sent has no answer.
        let asked = self
            .socket
            .set_read_timeout(Some(REFUSAL))
            .and_then(|()| self.socket.send(&TAG))
            .and_then(|_| self.socket.recv(&mut [0]));
        asked.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Returns the MTU of the interface.
    pub(super) fn mtu(&self) -> Option<usize> {
        let interface = self.interface.as_ref()?;
        let mtu = std::fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?;
        mtu.trim().parse().ok()
    }
}

/// `from 192.0.2.1 by eth0`
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {}", self.local)?;
        match &self.interface {
            Some(interface) => write!(f, " by {interface}"),
            None => Ok(()),
        }
    }
}

/// Returns the interface that has an address. Those of 127.0.0.0/8 that none has are the loopback interface's.
fn interface(local: IpAddr) -> Option<String> {
    let interfaces = if_addrs::get_if_addrs().ok()?;
    let has = |interface: &&Interface| interface.ip() == local;
    let is_here = |interface: &&Interface| local.is_loopback() && interface.is_loopback();
    let found = interfaces.iter().find(has);
    let found = found.or_else(|| interfaces.iter().find(is_here))?;
    Some(found.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_to_this_machine_is_the_loopback_interface() {
        for local in [[127, 0, 0, 1], [127, 1, 2, 3]] {
            let route = Route::to((local, 7000).into()).unwrap();
            assert!(route.to_string().ends_with(" by lo"), "{route}");
            assert!(route.mtu().unwrap() >= 1500);
        }
        // A machine without IPv6 has none.
        if UdpSocket::bind("[::1]:0").is_ok() {
            let route = Route::to((Ipv6Addr::LOCALHOST, 7000).into()).unwrap();
            assert_eq!(route.to_string(), "from ::1 by lo");
        }
    }

    #[test]
    fn an_address_that_no_interface_has_is_shown_alone() {
        assert_eq!(interface([192, 0, 2, 1].into()), None);
        let route = Route {
            local: [192, 0, 2, 1].into(),
            interface: None,
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
        };
        assert_eq!(route.to_string(), "from 192.0.2.1");
        assert_eq!(route.mtu(), None);
    }

    #[test]
    fn a_port_is_refused_only_if_nothing_listens_there() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!Route::to(address).unwrap().is_refused());
        drop(listener);
        assert!(Route::to(address).unwrap().is_refused());
    }
}
