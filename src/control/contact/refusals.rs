//! Refusals of a contact: which of its addresses the network reports as unreachable, and the words for it.
//!
//! Sans-IO. Not a reason to give up: a report can be forged, and an agent may be restarting. Invariant: a host counts as
//! refused once all its addresses are, as one that answers is enough.

use std::fmt;
use std::net::IpAddr;

use crate::net::{Refusal, RefusalReason};
use crate::peer_addr::PeerAddr;
use crate::session::Path;

/// Addresses that were refused, each with its newest report.
#[derive(Clone, Debug)]
pub(super) struct Refusals {
    refused: Vec<(PeerAddr, Refusal)>,
    is_told: bool,
}

impl Refusals {
    pub(super) const fn new() -> Self {
        Self {
            refused: Vec::new(),
            is_told: false,
        }
    }

    /// Handles a report about one of the paths, or an unknown one of the same family.
    pub(super) fn add(&mut self, paths: &[Path], refusal: Refusal) {
        let Some(address) = refused_address(paths, refusal.reporter) else {
            return;
        };
        self.refused.retain(|(other, _)| *other != address);
        self.refused.push((address, refusal));
    }

    /// Returns true the first time that all paths are refused.
    pub(super) fn is_news(&mut self, paths: &[Path]) -> bool {
        self.words(paths).is_some() && !std::mem::replace(&mut self.is_told, true)
    }

    /// Returns true once [`Refusals::is_news`] was.
    pub(super) const fn is_told(&self) -> bool {
        self.is_told
    }

    /// Returns the reason in words, if all paths are refused: that of the first path.
    pub(super) fn words(&self, paths: &[Path]) -> Option<String> {
        let of = |path: &Path| {
            let mut refused = self.refused.iter();
            refused.find(|(address, _)| *address == path.remote)
        };
        let first = of(paths.first()?)?;
        let is_refused = paths.iter().all(|path| of(path).is_some());
        is_refused.then(|| Words(first).to_string())
    }
}

/// Returns the address that a report is about. A router on the way reports under its own address.
fn refused_address(paths: &[Path], reporter: Option<IpAddr>) -> Option<PeerAddr> {
    let mut addresses = paths.iter().map(|path| path.remote);
    if let Some(own) = addresses.clone().find(|address| address.ip() == reporter) {
        return Some(own);
    }
    let same_family = |address: &PeerAddr| match (address.ip(), reporter) {
        (Some(ip), Some(reporter)) => ip.is_ipv4() == reporter.is_ipv4(),
        (Some(_), None) => true,
        (None, _) => false,
    };
    let found = addresses.find(same_family)?;
    // Of several addresses it is not known which one.
    addresses
        .all(|address| !same_family(&address))
        .then_some(found)
}

/// Returns the words for a report about an address.
#[must_use]
pub fn refusal_words(address: PeerAddr, refusal: Refusal) -> String {
    Words(&(address, refusal)).to_string()
}

/// Words for the refusal of an address.
struct Words<'a>(&'a (PeerAddr, Refusal));

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, Refusal { reason, reporter }) = self.0;
        let router = reporter.filter(|reporter| address.ip() != Some(*reporter));
        let (plain, term) = match (reason, router) {
            (RefusalReason::Port, None) => ("nothing listens there", "port unreachable"),
            (RefusalReason::Port, Some(_)) => ("refused on the way", "port unreachable"),
            (RefusalReason::Host, _) => ("the host cannot be reached", "host unreachable"),
            (RefusalReason::Network, _) => ("there is no route to it", "network unreachable"),
            (RefusalReason::Prohibited, _) => ("a firewall refuses it", "communication prohibited"),
        };
        match router {
            Some(router) => write!(f, "{plain} ({term}, reported by {router})"),
            None => write!(f, "{plain} ({term})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(ip: [u8; 4]) -> Path {
        Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from((ip, 7000)).into(),
        }
    }

    fn report(reason: RefusalReason, reporter: [u8; 4]) -> Refusal {
        let reporter = Some(reporter.into());
        Refusal { reason, reporter }
    }

    const HOST: [u8; 4] = [192, 0, 2, 1];
    const OTHER: [u8; 4] = [192, 0, 2, 2];
    const ROUTER: [u8; 4] = [198, 51, 100, 1];

    #[test]
    fn the_words_of_a_refusal_say_who_has_reported_it() {
        let paths = [path(HOST)];
        for (reason, reporter, words) in [
            (
                RefusalReason::Port,
                HOST,
                "nothing listens there (port unreachable)",
            ),
            (
                RefusalReason::Port,
                ROUTER,
                "refused on the way (port unreachable, reported by 198.51.100.1)",
            ),
            (
                RefusalReason::Host,
                ROUTER,
                "the host cannot be reached (host unreachable, reported by 198.51.100.1)",
            ),
            (
                RefusalReason::Network,
                ROUTER,
                "there is no route to it (network unreachable, reported by 198.51.100.1)",
            ),
            (
                RefusalReason::Prohibited,
                HOST,
                "a firewall refuses it (communication prohibited)",
            ),
        ] {
            let mut refusals = Refusals::new();
            refusals.add(&paths, report(reason, reporter));
            assert_eq!(refusals.words(&paths).as_deref(), Some(words));
            assert!(refusals.is_news(&paths));
            assert!(!refusals.is_news(&paths), "once");
        }
    }

    #[test]
    fn a_host_is_refused_once_all_its_addresses_are() {
        let paths = [path(HOST), path(OTHER)];
        let mut refusals = Refusals::new();
        refusals.add(&paths, report(RefusalReason::Host, ROUTER));
        refusals.add(&paths, report(RefusalReason::Port, OTHER));
        assert!(
            !refusals.is_news(&paths),
            "a router's report may be about either"
        );
        refusals.add(&paths, report(RefusalReason::Port, HOST));
        assert!(refusals.is_news(&paths));
    }
}
