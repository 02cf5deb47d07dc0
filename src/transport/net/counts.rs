//! Counters of the network thread, those of its session machine included.

use serde::{Deserialize, Serialize};

use crate::session::Stats;

/// Counters of a network thread since its start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Counts {
    /// Counters of the session machine.
    pub session: Stats,
    /// Received datagrams, of sessions and plain text.
    pub received: u64,
    /// Their octets.
    pub received_bytes: u64,
    /// Datagrams handed to the carriers, of sessions and plain text.
    pub sent: u64,
    /// Their octets.
    pub sent_bytes: u64,
    /// Datagrams that the carriers refused to send: no route, larger than the device's MTU, forbidden by a firewall.
    pub unsent: u64,
    /// Datagrams dropped because they come from port 0, which nobody can be answered at.
    pub no_port: u64,
    /// Counters of plain text.
    pub plain: PlainCounts,
}

impl Counts {
    /// Returns the sums of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            session: self.session.plus(&other.session),
            received: self.received.saturating_add(other.received),
            received_bytes: self.received_bytes.saturating_add(other.received_bytes),
            sent: self.sent.saturating_add(other.sent),
            sent_bytes: self.sent_bytes.saturating_add(other.sent_bytes),
            unsent: self.unsent.saturating_add(other.unsent),
            no_port: self.no_port.saturating_add(other.no_port),
            plain: PlainCounts {
                admitted: self.plain.admitted.saturating_add(other.plain.admitted),
                suppressed: self.plain.suppressed.saturating_add(other.plain.suppressed),
                unwanted: self.plain.unwanted.saturating_add(other.plain.unwanted),
            },
        }
    }
}

/// Counters of plain text.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlainCounts {
    /// Datagrams that the application got.
    pub admitted: u64,
    /// Datagrams beyond the limits of their source or of all sources.
    pub suppressed: u64,
    /// Datagrams to an application that takes no plain text.
    pub unwanted: u64,
}
