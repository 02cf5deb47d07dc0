//! Addresses of the hosts of a command, which tell the host that a refusal is about.
//!
//! Not the refusals of a host, which are in [`refusals`](super::refusals). Invariant: a report names an address without its
//! port, so one from an address of several hosts is about none of them.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::Refusal;
use crate::session::Path;

/// Number of hosts of a command at each address.
#[derive(Clone, Debug, Default)]
pub struct Reporters {
    hosts_at: HashMap<IpAddr, u32>,
}

impl Reporters {
    /// Adds a host with these addresses.
    pub fn add(&mut self, paths: &[Path]) {
        for ip in paths.iter().filter_map(|path| path.remote.ip()) {
            *self.hosts_at.entry(ip).or_default() += 1;
        }
    }

    /// Returns true if a report is from an address that one host has alone: it is about this one.
    #[must_use]
    pub fn is_of_one(&self, refusal: Refusal) -> bool {
        let hosts = refusal.reporter.and_then(|ip| self.hosts_at.get(&ip));
        hosts == Some(&1)
    }
}
