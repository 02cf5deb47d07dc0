//! Patterns of `forward=`: `HOST:PORT`, `unix:/PATH`, or `*`, where a star may stand for the host and for the port.
//!
//! Names are compared as they are written, without a lookup, and addresses by value: what a name stands for is decided when
//! the agent connects. Invariant: a star stands for a whole host or port, never for a part of it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::message::{ForwardTarget, OsText};

/// Destinations that a key may forward connections to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DestinationPattern(Kind);

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Kind {
    Any,
    /// A TCP port; `None` for any host, and for any port.
    Tcp(Option<String>, Option<u16>),
    /// The socket with this path.
    Unix(OsText),
}

/// Description of a valid value.
pub const WANT: &str =
    "HOST:PORT, HOST:*, *:PORT, unix:/PATH or *, with an IPv6 address in brackets";

impl DestinationPattern {
    /// Parses the value of `forward=`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self(Kind::Any));
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return match ForwardTarget::unix(path).ok()? {
                ForwardTarget::Unix(path) => Some(Self(Kind::Unix(path.as_text().clone()))),
                ForwardTarget::Tcp(_) => None,
            };
        }
        let (host, port) = text.rsplit_once(':')?;
        let port = match port {
            "*" => None,
            // Not what else parses as a number, such as +1.
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok().filter(|&port| port != 0)?)
            }
            _ => return None,
        };
        let host = match host.strip_prefix('[') {
            Some(address) => Some(address.strip_suffix(']')?).filter(|host| host.contains(':')),
            None => Some(host).filter(|host| !host.contains(':')),
        }?;
        if host == "*" {
            return Some(Self(Kind::Tcp(None, port)));
        }
        // The same characters as in a request.
        ForwardTarget::tcp(host, 1).ok()?;
        Some(Self(Kind::Tcp(Some(host.to_owned()), port)))
    }

    /// Returns true if the pattern matches a destination.
    #[must_use]
    pub fn matches(&self, target: &ForwardTarget) -> bool {
        match (&self.0, target) {
            (Kind::Any, _) => true,
            (Kind::Tcp(host, port), ForwardTarget::Tcp(destination)) => {
                host.as_ref()
                    .is_none_or(|host| is_same_host(host, destination.host()))
                    && port.is_none_or(|port| port == destination.port())
            }
            (Kind::Unix(path), ForwardTarget::Unix(other)) => path == other.as_text(),
            (Kind::Tcp(..), ForwardTarget::Unix(_)) | (Kind::Unix(_), ForwardTarget::Tcp(_)) => {
                false
            }
        }
    }
}

/// The pattern in the notation of `forward=`.
impl fmt::Display for DestinationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Any => f.write_str("*"),
            Kind::Unix(path) => write!(f, "unix:{}", path.as_os_str().display()),
            Kind::Tcp(host, port) => {
                match host.as_deref() {
                    None => f.write_str("*")?,
                    Some(host) if host.contains(':') => write!(f, "[{host}]")?,
                    Some(host) => f.write_str(host)?,
                }
                match port {
                    None => f.write_str(":*"),
                    Some(port) => write!(f, ":{port}"),
                }
            }
        }
    }
}

fn is_same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one.to_canonical() == other.to_canonical(),
        (Err(_), Err(_)) => one.eq_ignore_ascii_case(other),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, target: Result<ForwardTarget, crate::message::TargetError>) -> bool {
        let parsed = DestinationPattern::parse(pattern).unwrap();
        assert_eq!(parsed.to_string(), pattern);
        parsed.matches(&target.unwrap())
    }

    #[test]
    fn hosts_ports_and_paths_are_compared_as_a_whole() {
        let tcp = ForwardTarget::tcp;
        let unix = |path: &str| ForwardTarget::unix(path);
        for (pattern, target, matched) in [
            ("db:5432", tcp("db", 5432), true),
            ("db:5432", tcp("DB", 5432), true),
            ("db:5432", tcp("db", 5433), false),
            ("db:5432", tcp("db2", 5432), false),
            ("db:5432", tcp("xdb", 5432), false),
            ("db:*", tcp("db", 1), true),
            ("*:5432", tcp("any", 5432), true),
            ("*:5432", tcp("any", 543), false),
            ("*:5432", unix("/run/x"), false),
            ("*:*", tcp("any", 1), true),
            ("*:*", unix("/run/x"), false),
            ("127.0.0.1:1", tcp("127.0.0.1", 1), true),
            ("127.0.0.1:1", tcp("::ffff:127.0.0.1", 1), true),
            ("127.0.0.1:1", tcp("localhost", 1), false),
            ("[::1]:1", tcp("0:0::1", 1), true),
            ("[::1]:1", tcp("::2", 1), false),
            ("unix:/run/x", unix("/run/x"), true),
            ("unix:/run/x", unix("/run/x/y"), false),
            ("unix:/run/x", unix("/run/../run/x"), false),
            ("unix:/run/x", tcp("run", 1), false),
            ("*", tcp("any", 1), true),
            ("*", unix("/run/x"), true),
        ] {
            let shown = format!("{pattern} {target:?}");
            assert_eq!(matches(pattern, target), matched, "{shown}");
        }
    }

    #[test]
    fn an_ambiguous_destination_is_refused() {
        for text in [
            "",
            "db",
            ":1",
            "db:",
            "db:0",
            "db:65536",
            "db:+1",
            "db: 1",
            "db*:1",
            "*.x:1",
            "db:1*",
            "**",
            "::1:1",
            "[db]:1",
            "[::1:1",
            "unix:",
            "unix:run/x",
            "unix:*",
            "a b:1",
            "db:1,db:2",
            "a:b:1",
        ] {
            assert_eq!(DestinationPattern::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", near in "[a*:/\\[\\]0-9]{0,20}") {
            for text in [&text, &near] {
                if let Some(pattern) = DestinationPattern::parse(text) {
                    prop_assert_eq!(DestinationPattern::parse(&pattern.to_string()), Some(pattern));
                }
            }
        }
    }
}
