//! The agent of `--local`, which `udpctl` starts as a child: the name and the arguments that it has, and its answer.
//!
//! Not the child itself. Invariant: a `udpagent` of another release is recognised before it does anything.

use std::fmt;
use std::net::SocketAddr;

use crate::crypto::PublicKey;

/// Name of the program, as its `argv[0]`.
pub const NAME: &str = "udpagent-local";

/// First argument, before the controller's key. A program that does not know [`NAME`] prints its version and exits.
pub const VERSION: &str = "--version";

/// Name of the agent in everything that is printed.
pub const LABEL: &str = "local";

/// First line of the answer.
pub const RELEASE: &str = concat!("udpagent ", env!("CARGO_PKG_VERSION"), ", agent of --local");

/// Prefix of the second line, before the reason, if the agent did not start.
pub const FAILED: &str = "failed: ";

/// An agent that serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served {
    /// Public key.
    pub key: PublicKey,
    /// Bound address.
    pub address: SocketAddr,
}

impl fmt::Display for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.address)
    }
}

impl Served {
    /// Parses the second line of the answer.
    pub fn parse(line: &str) -> Option<Self> {
        let (key, address) = line.split_once(' ')?;
        Some(Self {
            key: key.parse().ok()?,
            address: address.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_line_of_the_answer_has_the_key_and_the_address() {
        let served = Served {
            key: crate::crypto::SecretKey::generate(&mut crate::rng::Rng::from_seed([7; 32]))
                .public(),
            address: SocketAddr::from(([127, 0, 0, 1], 7001)),
        };
        assert_eq!(Served::parse(&served.to_string()), Some(served));
        for wrong in ["", "failed: no socket", "ua1: 127.0.0.1:1"] {
            assert_eq!(Served::parse(wrong), None, "{wrong}");
        }
    }
}
