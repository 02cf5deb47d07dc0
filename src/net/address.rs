//! Addresses as people type them: where an agent listens, where a controller looks for one.
//!
//! Parsing is pure; names are resolved by a separate step that may take seconds and therefore never
//! runs on the network thread. Sets (`web[01-40]`) and groups (`@db`) are not for this module: it
//! refuses their characters, so that what expands them can rely on it. Invariant: what parses prints,
//! in its normal form, as something that parses to the same.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where agents are, unless said otherwise.
pub const DEFAULT_PORT: u16 = 7000;

/// The host of an address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A link-local address with its zone, `fe80::1%eth0`.
    Zoned(Ipv6Addr, String),
    /// A name, in lower case.
    Name(String),
}

/// Where an agent listens: `:7000` (every address, both families), `127.0.0.1:7000`, `[::1]:7000`,
/// `host:port`, `host`. Port 0 means any free one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Bind {
    /// Every address of this machine.
    All(u16),
    /// What this host means.
    At(Host, u16),
}

/// Where a controller finds an agent: `host`, `host:port`, `[v6]:port`, `::1`. Keeps the text that the
/// user typed; two targets are equal when their normal forms are.
#[derive(Clone, Debug)]
pub struct Target {
    label: String,
    host: Host,
    port: u16,
}

/// Text that is not an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseAddressError {
    /// Nothing there.
    Empty,
    /// The part after the last colon is no port.
    Port(String),
    /// Port 0 can be bound, but not reached.
    PortZero,
    /// Not an address and not a host name.
    Host(String),
    /// A bracket without its partner, or with something odd in it.
    Bracket,
    /// Only digits: a port without its colon.
    BareNumber(String),
    /// A character of set syntax.
    Set(char),
}

/// A name that leads nowhere.
#[derive(Debug)]
pub struct ResolveError {
    /// What was looked up.
    pub host: String,
    /// Why it failed; `None`: the name exists but has no address.
    pub error: Option<io::Error>,
}

impl Target {
    /// From its parts; the label is the normal form.
    #[must_use]
    pub fn new(host: Host, port: u16) -> Self {
        todo!()
    }

    /// As the user typed it: the name of this target in everything that is printed.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Looks the name up. May take seconds.
    ///
    /// # Errors
    /// When there is no address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        todo!()
    }
}

impl Bind {
    /// The addresses to bind; `[::]` and `0.0.0.0` for all. May take seconds.
    ///
    /// # Errors
    /// When there is no address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        todo!()
    }
}

/// The normal form: `host:port`, in lower case, IPv6 in brackets. The key of `known_agents`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Target {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Bind {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}
