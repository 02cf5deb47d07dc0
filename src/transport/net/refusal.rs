//! Reports of the network that datagrams do not reach a peer: ICMP errors.
//!
//! Not errors of a session. Anyone on the path can forge such a report, and an agent that restarts causes one. Invariant:
//! a report is told to people and changes nothing else.

use std::collections::VecDeque;
use std::net::IpAddr;

use quinn_udp::{TransportError, TransportErrorPayload};
use rustix::io::Errno;

use super::limits;

/// Report of the network that datagrams are not delivered; not authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Reason.
    pub reason: RefusalReason,
    /// Host that has sent the report, if known: the peer, or a router on the way.
    pub reporter: Option<IpAddr>,
}

/// Reason of a [`Refusal`] (RFC 792; RFC 4443, section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalReason {
    /// Port unreachable.
    Port,
    /// Host unreachable.
    Host,
    /// Network unreachable, or no route to it.
    Network,
    /// Communication prohibited.
    Prohibited,
}

impl Refusal {
    /// Returns the report in an entry of the kernel's error queue, if it is one.
    pub(super) fn of(error: &TransportError) -> Option<Self> {
        if !matches!(error.payload, TransportErrorPayload::Unreachable) {
            return None;
        }
        let reason = match Errno::from_raw_os_error(error.raw_errno) {
            Errno::CONNREFUSED => RefusalReason::Port,
            Errno::HOSTUNREACH | Errno::HOSTDOWN => RefusalReason::Host,
            Errno::NETUNREACH | Errno::NONET => RefusalReason::Network,
            Errno::ACCESS => RefusalReason::Prohibited,
            _ => return None,
        };
        let reporter = error.addr.map(|address| address.ip().to_canonical());
        Some(Self { reason, reporter })
    }
}

/// Reports that wait for the driver, each once.
#[derive(Default)]
pub(super) struct Refusals {
    waiting: VecDeque<Refusal>,
}

impl Refusals {
    /// Adds a report, unless it waits already or too many do.
    pub(super) fn add(&mut self, refusal: Refusal) {
        if self.waiting.len() < limits::REFUSALS && !self.waiting.contains(&refusal) {
            self.waiting.push_back(refusal);
        }
    }

    /// Returns the next report.
    pub(super) fn poll(&mut self) -> Option<Refusal> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_reports_keeps_few_of_them_each_once() {
        let mut refusals = Refusals::default();
        let refusal = |host: u32| Refusal {
            reason: RefusalReason::Port,
            reporter: Some(IpAddr::V4(host.into())),
        };
        for host in (0..1000).flat_map(|host| [host, host]) {
            refusals.add(refusal(host));
        }
        let kept: Vec<Refusal> = std::iter::from_fn(|| refusals.poll()).collect();
        let wanted: Vec<Refusal> = (0..16).map(refusal).collect();
        assert_eq!(kept, wanted);
        refusals.add(refusal(0));
        assert_eq!(refusals.poll(), Some(refusal(0)), "it may be told again");
    }
}
