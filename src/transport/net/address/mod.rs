//! Addresses in the notation of the command line: the address at which an agent listens, and the
//! target of a controller.
//!
//! Parsing is pure. Names are resolved in a separate step that may take seconds and therefore never
//! runs on the network thread. Not here: sets of hosts (`web[01-40]`) and groups (`@db`). Their
//! characters are refused, so that the code that expands them can rely on it. Invariant: the normal
//! form of a parsed address parses to the same address.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use crate::escape::line;

/// Port of an agent unless another is given.
pub const DEFAULT_PORT: u16 = 7000;

/// The host of an address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Host {
    /// A literal address.
    Ip(IpAddr),
    /// A link-local address with its zone (RFC 4007 §11), `fe80::1%eth0`.
    Zoned(Ipv6Addr, String),
    /// A host name, in lower case.
    Name(String),
}

/// Address at which an agent listens: `:7000` (every address, both families), `127.0.0.1:7000`,
/// `[::1]:7000`, `host:port`, `host`. Port 0 is any free port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Bind {
    /// Every address of this machine.
    All(u16),
    /// The addresses of a host.
    At(Host, u16),
}

/// Address of an agent: `host`, `host:port`, `[v6]:port`, `::1`. Keeps the text that the user
/// typed. Two targets are equal if their normal forms are.
#[derive(Clone, Debug)]
pub struct Target {
    label: String,
    host: Host,
    port: u16,
}

/// Reason why a text is not an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParseAddressError {
    /// The host is missing.
    Empty,
    /// The part after the last colon is not a port.
    Port(String),
    /// The port is 0, which can be bound but not reached.
    PortZero,
    /// The host is neither an address nor a host name.
    Host(String),
    /// A bracket is not closed, or does not hold an IPv6 address.
    Bracket,
    /// The text has only digits: a port without its colon.
    BareNumber(String),
    /// The text is an IPv6 address without brackets and a port.
    Unbracketed(Host, u16),
    /// The text has a character that separates or selects hosts elsewhere.
    Set(char),
}

/// Error: a name could not be resolved.
#[derive(Debug)]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// The error of the resolver; `None` if the name exists but has no address.
    pub error: Option<io::Error>,
}

/// Longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// Longest label of a host name (RFC 1035 §2.3.4).
const MAX_NAME_PART: usize = 63;

/// Characters that belong to sets of hosts.
const SET: &[char] = &['[', ']', ',', '!', '&', '^', '@'];

impl Target {
    /// Builds a target from its parts. The label is the normal form.
    #[must_use]
    pub fn new(host: Host, port: u16) -> Self {
        Self {
            label: write_address(&host, port),
            host,
            port,
        }
    }

    /// Builds a target that is called `label`.
    #[must_use]
    pub fn labelled(label: &str, host: Host, port: u16) -> Self {
        let label = label.to_owned();
        Self { label, host, port }
    }

    /// Returns the text that the user typed. It names the target in all output.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns the host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns true if the text that the user typed has a port.
    #[must_use]
    pub fn names_port(&self) -> bool {
        self.label.contains("]:") || self.label.matches(':').count() == 1
    }

    /// Returns the text that the user typed without its port.
    #[must_use]
    pub fn name(&self) -> &str {
        let name = match self.label.rsplit_once(':') {
            Some((name, _)) if self.names_port() => name,
            Some(_) | None => &self.label,
        };
        let inner = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        inner.unwrap_or(name)
    }

    /// Returns true if the host is a name, which takes a lookup to resolve.
    #[must_use]
    pub const fn is_name(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    /// Returns the target that the user may have meant by an IPv6 address without brackets: `[::1]:7000` for `::1:7000`,
    /// an address as well (RFC 5952 §6).
    #[must_use]
    pub fn with_last_group_as_port(&self) -> Option<Self> {
        let (host, port) = self.label.rsplit_once(':')?;
        let port = parse_port(port).ok().filter(|port| *port != 0)?;
        Some(Self::new(parse_ipv6(host)?, port))
    }

    /// Resolves the name. The unspecified address is this machine, as for connect(2); the answer would come from the loopback
    /// address. May take seconds.
    ///
    /// # Errors
    /// [`ResolveError`] if there is no address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let mut addresses = resolve(&self.host, self.port)?;
        for address in &mut addresses {
            if address.ip().is_unspecified() {
                address.set_ip(match address {
                    SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
        }
        Ok(addresses)
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

impl Eq for Target {}

impl std::hash::Hash for Target {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.host, self.port).hash(state);
    }
}

/// The normal form: `host:port` in lower case, IPv6 in brackets. It is the key of `known_agents`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write_address(&self.host, self.port))
    }
}

impl FromStr for Target {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split(text)?;
        let port = port.unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(ParseAddressError::PortZero);
        }
        Ok(Self {
            label: text.to_owned(),
            host,
            port,
        })
    }
}

impl Bind {
    /// Resolves the addresses to bind; `[::]` and `0.0.0.0` for [`Bind::All`]. May take seconds.
    ///
    /// # Errors
    /// [`ResolveError`] if there is no address.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        match self {
            Self::All(port) => Ok(vec![
                (Ipv6Addr::UNSPECIFIED, *port).into(),
                (Ipv4Addr::UNSPECIFIED, *port).into(),
            ]),
            Self::At(host, port) => resolve(host, *port),
        }
    }
}

impl Default for Bind {
    fn default() -> Self {
        Self::All(DEFAULT_PORT)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(port) => write!(f, ":{port}"),
            Self::At(host, port) => f.write_str(&write_address(host, *port)),
        }
    }
}

impl FromStr for Bind {
    type Err = ParseAddressError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // "::" and "::1" are addresses; ":7000" is a port.
        if let Some(port) = text.strip_prefix(':').filter(|rest| !rest.contains(':')) {
            return parse_port(port).map(Self::All);
        }
        let (host, port) = split(text)?;
        Ok(Self::At(host, port.unwrap_or(DEFAULT_PORT)))
    }
}

fn write_address(host: &Host, port: u16) -> String {
    match host {
        Host::Ip(ip) => SocketAddr::new(*ip, port).to_string(),
        Host::Zoned(ip, zone) => format!("[{ip}%{zone}]:{port}"),
        Host::Name(name) => format!("{name}:{port}"),
    }
}

fn split(text: &str) -> Result<(Host, Option<u16>), ParseAddressError> {
    if text.is_empty() {
        return Err(ParseAddressError::Empty);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(ParseAddressError::Bracket)?;
        let host = parse_ipv6(inside).ok_or(ParseAddressError::Bracket)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(parse_port(port)?))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(ParseAddressError::Bracket),
        };
    }
    if let Some(set) = text.chars().find(|c| SET.contains(c)) {
        return Err(ParseAddressError::Set(set));
    }
    if let Some(host) = parse_ipv6(text) {
        return Ok((host, None));
    }
    match text.rsplit_once(':') {
        Some((host, port)) => match parse_ipv6(host) {
            Some(host) => Err(ParseAddressError::Unbracketed(host, parse_port(port)?)),
            None => Ok((parse_host(host)?, Some(parse_port(port)?))),
        },
        None => Ok((parse_host(text)?, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, ParseAddressError> {
    // The parser of u16 alone would accept a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| ParseAddressError::Port(text.to_owned()))
}

/// Parses an IPv6 address. One that maps an IPv4 address becomes that address, so that there is one
/// normal form.
fn parse_ipv6(text: &str) -> Option<Host> {
    match text.split_once('%') {
        None => {
            let ip: Ipv6Addr = text.parse().ok()?;
            Some(Host::Ip(IpAddr::V6(ip).to_canonical()))
        }
        Some((ip, zone)) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            let zone = Some(zone).filter(|zone| !zone.is_empty() && zone.bytes().all(plain))?;
            Some(Host::Zoned(ip.parse().ok()?, zone.to_owned()))
        }
    }
}

fn parse_host(text: &str) -> Result<Host, ParseAddressError> {
    if text.is_empty() {
        return Err(ParseAddressError::Empty);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseAddressError::BareNumber(text.to_owned()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let good = |part: &str| {
        (1..=MAX_NAME_PART).contains(&part.len())
            && !part.starts_with('-')
            && part.bytes().all(plain)
    };
    // A trailing dot makes a name absolute.
    let parts = text.strip_suffix('.').unwrap_or(text);
    // What ends in a number is an address (RFC 1123 §2.1): resolvers take 10.0.0.010 for 10.0.0.8.
    let last = parts.rsplit('.').next().unwrap_or_default();
    let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > MAX_NAME || is_address || !parts.split('.').all(good) {
        return Err(ParseAddressError::Host(text.to_owned()));
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn resolve(host: &Host, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let name = match host {
        Host::Ip(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Zoned(ip, zone) => format!("{ip}%{zone}"),
        Host::Name(name) => name.clone(),
    };
    let failed = |error| ResolveError {
        host: name.clone(),
        error,
    };
    let found = (name.as_str(), port)
        .to_socket_addrs()
        .map_err(|error| failed(Some(error)))?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(failed(None));
    }
    Ok(addresses)
}

/// Returns addresses with both families in turn, that of the first address first; within a family, in their order.
pub fn families_in_turn(addresses: &[SocketAddr]) -> impl Iterator<Item = SocketAddr> {
    let first_is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let family = move |is_v4: bool| {
        let addresses = addresses.iter().copied();
        addresses.filter(move |address| address.is_ipv4() == is_v4)
    };
    let (mut first, mut second) = (family(first_is_v4), family(!first_is_v4));
    let pairs = std::iter::from_fn(move || {
        let pair = [first.next(), second.next()];
        pair.iter().any(Option::is_some).then_some(pair)
    });
    pairs.flatten().flatten()
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may have been pasted from an untrusted source.
        let shown = |text: &str| line(text.as_bytes(), MAX_NAME).into_owned();
        match self {
            Self::Empty => f.write_str("the host is missing; write host:port"),
            Self::Port(text) => write!(f, "\"{}\" is not a port; write 1 to 65535", shown(text)),
            Self::PortZero => f.write_str("port 0 cannot be reached; write 1 to 65535"),
            Self::Host(text) => write!(
                f,
                "\"{}\" is neither an address nor a host name",
                shown(text)
            ),
            Self::Bracket => f.write_str(
                "brackets hold one IPv6 address; write [::1]:7000 or [fe80::1%eth0]:7000",
            ),
            Self::BareNumber(text) => write!(
                f,
                "{} is a number without a host; write host:{0}, or :{0} to listen",
                shown(text)
            ),
            Self::Unbracketed(host, port) => write!(
                f,
                "an IPv6 address with a port is written in brackets; did you mean {}?",
                write_address(host, *port)
            ),
            Self::Set(c) => write!(f, "\"{c}\" cannot be part of a host"),
        }
    }
}

impl std::error::Error for ParseAddressError {}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "cannot resolve \"{}\": {error}", self.host),
            None => write!(f, "\"{}\" has no address", self.host),
        }
    }
}

// The text contains that of the cause, so `source` has none.
impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests;
