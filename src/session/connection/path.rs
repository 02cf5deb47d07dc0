//! Where a session's datagrams go, and how much may go there before the address is validated.
//!
//! Only the controller roams. Invariant: to an address that was not validated at most
//! [`limits::AMPLIFICATION`] times the bytes go that came from it (RFC 9000 §8.1).

use crate::session::{Path, limits};

#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct PathState {
    pub(in crate::session) path: Path,
    pub(in crate::session) validated: bool,
    received: u64,
    sent: u64,
    /// Sent there and awaited back, to prove it.
    pub(in crate::session) challenge: Option<[u8; 8]>,
    /// The challenge has yet to be sent.
    pub(in crate::session) challenge_due: bool,
}

impl PathState {
    /// A route to an address that is known to be the peer's.
    pub(in crate::session) const fn validated(path: Path) -> Self {
        Self {
            path,
            validated: true,
            received: 0,
            sent: 0,
            challenge: None,
            challenge_due: false,
        }
    }

    /// A route to an address that so many bytes came from.
    pub(in crate::session) fn unvalidated(path: Path, received: usize) -> Self {
        Self {
            validated: false,
            received: received as u64,
            ..Self::validated(path)
        }
    }

    pub(in crate::session) fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    pub(in crate::session) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Bytes that may still go there.
    pub(in crate::session) fn budget(&self) -> u64 {
        if self.validated {
            return u64::MAX;
        }
        self.received
            .saturating_mul(limits::AMPLIFICATION)
            .saturating_sub(self.sent)
    }
}
