//! Check of the size of datagrams: the largest that the session has found to pass, beside what the interface holds.
//!
//! Not the search, which is that of the session. Invariant: a size is named only if a datagram of it has arrived.

use std::net::IpAddr;

use super::check::{Check, State, check};
use super::route::Route;
use crate::wire::limits::{MAX_DATAGRAM, MIN_DATAGRAM};

/// Headers of IPv4 and UDP.
const IPV4_HEADERS: usize = 20 + 8;

/// Headers of IPv6 and UDP.
const IPV6_HEADERS: usize = 40 + 8;

/// Checks the size of datagrams after an answer: that of the largest that has passed, beside the one that the interface
/// holds.
pub(super) fn mtu(routes: &[Route], ip: Option<IpAddr>, found: Option<usize>) -> Check {
    let interface = routes
        .iter()
        .find_map(|route| Some((route.interface.as_deref()?, route.mtu()?)));
    mtu_check(interface, ip, found)
}

fn mtu_check(interface: Option<(&str, usize)>, ip: Option<IpAddr>, found: Option<usize>) -> Check {
    // The request and its answer had the least size.
    let size = found.unwrap_or(MIN_DATAGRAM);
    let passed = match found {
        Some(_) => format!("datagrams of {size} bytes pass"),
        None => {
            format!("datagrams of {size} bytes pass, and larger ones were not tried to the end")
        }
    };
    let Some((name, mtu)) = interface else {
        return check("mtu", State::Ok, passed);
    };
    let headers = match ip {
        Some(IpAddr::V4(_)) => IPV4_HEADERS,
        Some(IpAddr::V6(_)) | None => IPV6_HEADERS,
    };
    let held = mtu.saturating_sub(headers).min(MAX_DATAGRAM);
    if held < size {
        let words = format!("{passed} in fragments, as the MTU of {name} is {mtu}");
        return check("mtu", State::Warn, words);
    }
    let words = if held == size {
        format!("{passed}, as many as the MTU of {name} ({mtu}) holds")
    } else {
        format!("{passed}; the MTU of {name} ({mtu}) holds {held}")
    };
    check("mtu", State::Ok, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_that_passes_is_named_beside_the_one_that_the_interface_holds() {
        let eth = Some(("eth0", 1500));
        let lo = Some(("lo", 65_536));
        let v4 = Some(IpAddr::from([127, 0, 0, 1]));
        let v6 = Some(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]));
        for (interface, ip, found, state, words) in [
            (
                eth,
                v4,
                Some(1472),
                State::Ok,
                "datagrams of 1472 bytes pass, as many as the MTU of eth0 (1500) holds",
            ),
            (
                eth,
                v6,
                Some(1452),
                State::Ok,
                "datagrams of 1452 bytes pass, as many as the MTU of eth0 (1500) holds",
            ),
            (
                eth,
                v4,
                Some(1392),
                State::Ok,
                "datagrams of 1392 bytes pass; the MTU of eth0 (1500) holds 1472",
            ),
            (
                lo,
                v4,
                Some(65_507),
                State::Ok,
                "datagrams of 65507 bytes pass, as many as the MTU of lo (65536) holds",
            ),
            (
                lo,
                v6,
                Some(1200),
                State::Ok,
                "datagrams of 1200 bytes pass; the MTU of lo (65536) holds 65488",
            ),
            (
                Some(("ppp0", 576)),
                v4,
                Some(1200),
                State::Warn,
                "datagrams of 1200 bytes pass in fragments, as the MTU of ppp0 is 576",
            ),
            (
                None,
                v4,
                None,
                State::Ok,
                "datagrams of 1200 bytes pass, and larger ones were not tried to the end",
            ),
        ] {
            let check = mtu_check(interface, ip, found);
            assert_eq!((check.state, &*check.found), (state, words));
        }
    }
}
