//! Family of the addresses of a host that are contacted.

use std::io;
use std::net::SocketAddr;

use crate::control::host_resolver::Resolved;
use crate::net::{ResolveError, Target};

/// Address family.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Family {
    /// Either.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the addresses of a target that are of this family; `None` if they are looked up during the run.
    pub fn resolve(self, target: &Target) -> Option<Resolved> {
        let (is_wanted, missing): (fn(&SocketAddr) -> bool, _) = match self {
            Self::Any if target.is_name() => return None,
            Self::Any => return Some(target.resolve()),
            Self::V4 => (SocketAddr::is_ipv4, "it has no IPv4 address"),
            Self::V6 => (SocketAddr::is_ipv6, "it has no IPv6 address"),
        };
        let addresses = target.resolve().and_then(|mut addresses| {
            addresses.retain(is_wanted);
            if addresses.is_empty() {
                return Err(ResolveError {
                    host: target.name().to_owned(),
                    error: Some(io::Error::other(missing)),
                });
            }
            Ok(addresses)
        });
        Some(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_another_family_are_left_out() {
        let four: Target = "127.0.0.1".parse().unwrap();
        let six: Target = "[::1]:7001".parse().unwrap();
        let found = |family: Family, target: &Target| family.resolve(target).unwrap().is_ok();
        assert!(found(Family::Any, &four) && found(Family::Any, &six));
        assert!(found(Family::V4, &four) && !found(Family::V4, &six));
        assert!(found(Family::V6, &six) && !found(Family::V6, &four));
    }

    #[test]
    fn a_name_is_looked_up_at_once_only_for_one_family() {
        let name: Target = "localhost".parse().unwrap();
        assert!(Family::Any.resolve(&name).is_none());
        let found = Family::V4.resolve(&name).unwrap().unwrap();
        assert!(!found.is_empty() && found.iter().all(SocketAddr::is_ipv4));
    }
}
