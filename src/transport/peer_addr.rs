//! Address of a peer, opaque to everything but the carrier that made it.
//!
//! Not a target that a user typed (`net::Target`). Invariant: two values are equal exactly if their
//! carrier delivers to the same peer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Size of [`PeerAddr::to_bytes`].
pub const PEER_ADDR: usize = 19;

/// Address of a peer: a socket address, or an identifier that a carrier without such addresses chose.
///
/// Carriers make these values and take them apart; the layers above compare, store and print them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PeerAddr(Inner);

#[derive(Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
enum Inner {
    Socket(SocketAddr),
    /// In octets, because the alignment of `u128` would make the type half as large again.
    Id([u8; 16]),
}

impl PeerAddr {
    /// Creates the address of a peer that its carrier identifies by `id`.
    #[must_use]
    pub const fn from_id(id: u128) -> Self {
        Self(Inner::Id(id.to_be_bytes()))
    }

    /// The identifier, if the address was made by [`PeerAddr::from_id`].
    #[must_use]
    pub const fn id(&self) -> Option<u128> {
        match self.0 {
            Inner::Id(id) => Some(u128::from_be_bytes(id)),
            Inner::Socket(_) => None,
        }
    }

    /// The socket address, if the peer has one.
    #[must_use]
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self.0 {
            Inner::Socket(address) => Some(address),
            Inner::Id(_) => None,
        }
    }

    /// The IP address, if the peer has one. An IPv4-mapped IPv6 address is returned as IPv4.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.0 {
            Inner::Socket(address) => Some(address.ip().to_canonical()),
            Inner::Id(_) => None,
        }
    }

    /// The port, if the peer has one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        match self.0 {
            Inner::Socket(address) => Some(address.port()),
            Inner::Id(_) => None,
        }
    }

    /// The address without what one host can choose freely, for limits per source: the port, and the low 64
    /// bits of an IPv6 address.
    #[must_use]
    pub fn source(&self) -> Self {
        let network = match self.ip() {
            Some(ip @ IpAddr::V4(_)) => ip,
            Some(IpAddr::V6(ip)) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
            None => return *self,
        };
        SocketAddr::new(network, 0).into()
    }

    /// The network that one subscriber usually has, for limits that hold for many hosts together: an IPv4 /24 or an
    /// IPv6 /56, with port 0.
    #[must_use]
    pub fn network(&self) -> Self {
        let network = match self.ip() {
            Some(IpAddr::V4(ip)) => IpAddr::V4((u32::from(ip) >> 8 << 8).into()),
            Some(IpAddr::V6(ip)) => IpAddr::V6((u128::from(ip) >> 72 << 72).into()),
            None => return *self,
        };
        SocketAddr::new(network, 0).into()
    }

    /// True if both addresses belong to one host, so that at most the port differs.
    #[must_use]
    pub fn is_same_host(&self, other: &Self) -> bool {
        match (self.ip(), other.ip()) {
            (Some(ip), Some(other)) => ip == other,
            (Some(_) | None, None) | (None, Some(_)) => self == other,
        }
    }

    /// The address in octets, for keyed hashes: a kind, 16 octets of IP address or identifier, the port.
    /// An IPv4-mapped IPv6 address has the octets of the IPv4 address.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PEER_ADDR] {
        let (kind, octets, port) = match self.0 {
            Inner::Socket(address) => {
                let ip = match address.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                (0, ip.octets(), address.port())
            }
            Inner::Id(id) => (1, id, 0),
        };
        let mut bytes = [0; PEER_ADDR];
        bytes[0] = kind;
        bytes[1..17].copy_from_slice(&octets);
        bytes[17..].copy_from_slice(&port.to_be_bytes());
        bytes
    }
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self(Inner::Socket(address))
    }
}

/// `192.0.2.1:7000`, `[2001:db8::1]:7000` or `id:1f`. An IPv4-mapped IPv6 address is printed as IPv4.
impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Inner::Socket(address) => match address.ip().to_canonical() {
                ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()).fmt(f),
                IpAddr::V6(_) => address.fmt(f),
            },
            Inner::Id(id) => write!(f, "id:{:x}", u128::from_be_bytes(id)),
        }
    }
}

impl fmt::Debug for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerAddr {
        PeerAddr::from(text.parse::<SocketAddr>().unwrap())
    }

    #[test]
    fn a_mapped_address_is_printed_compared_and_hashed_as_ipv4() {
        let mapped = peer("[::ffff:192.0.2.1]:9");
        let ipv4 = peer("192.0.2.1:9");
        assert_eq!(mapped.to_string(), "192.0.2.1:9");
        assert_eq!(mapped.ip(), ipv4.ip());
        assert_eq!(mapped.to_bytes(), ipv4.to_bytes());
        assert!(mapped.is_same_host(&ipv4));
        assert_eq!(peer("[2001:db8::1]:4444").to_string(), "[2001:db8::1]:4444");
    }

    #[test]
    fn another_port_is_the_same_host_and_another_id_is_not() {
        assert!(peer("192.0.2.1:9").is_same_host(&peer("192.0.2.1:10")));
        assert!(!peer("192.0.2.1:9").is_same_host(&peer("192.0.2.2:9")));
        let (one, two) = (PeerAddr::from_id(1), PeerAddr::from_id(2));
        assert!(one.is_same_host(&one));
        assert!(!one.is_same_host(&two));
        assert!(!one.is_same_host(&peer("192.0.2.1:9")));
    }

    #[test]
    fn ports_and_addresses_of_an_ipv6_network_are_one_source() {
        assert_eq!(peer("192.0.2.1:9").source(), peer("192.0.2.1:10").source());
        assert_eq!(
            peer("[2001:db8::1]:9").source(),
            peer("[2001:db8::2]:10").source()
        );
        for other in ["192.0.2.2:9", "[2001:db8::1]:9"] {
            assert_ne!(peer("192.0.2.1:9").source(), peer(other).source());
        }
        let (one, two) = (PeerAddr::from_id(1), PeerAddr::from_id(2));
        assert_ne!(one.source(), two.source());
    }

    #[test]
    fn an_id_has_no_ip_address_and_no_octets_of_a_socket_address() {
        let id = PeerAddr::from_id(0x1f);
        assert_eq!((id.ip(), id.port(), id.socket_addr()), (None, None, None));
        assert_eq!(id.id(), Some(0x1f));
        assert_eq!(id.to_string(), "id:1f");
        assert_ne!(id.to_bytes(), peer("[::1f]:0").to_bytes());
    }

    #[test]
    fn an_address_of_a_peer_is_no_larger_than_a_socket_address() {
        assert_eq!(size_of::<PeerAddr>(), size_of::<SocketAddr>());
    }
}
