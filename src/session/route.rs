//! Where a session's datagrams go, and how much may go there before the address is proved.
//!
//! Only the controller roams. Invariant: to an address that was not proved at most
//! [`limits::AMPLIFICATION`] times the bytes go that came from it (RFC 9000 §8.1).

use super::{Path, limits};

#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    pub(super) path: Path,
    pub(super) proved: bool,
    received: u64,
    sent: u64,
    /// Sent there and awaited back, to prove it.
    pub(super) challenge: Option<[u8; 8]>,
    /// The challenge has yet to be sent.
    pub(super) challenge_due: bool,
}

impl Route {
    /// A route to an address that is known to be the peer's.
    pub(super) const fn proved(path: Path) -> Self {
        Self {
            path,
            proved: true,
            received: 0,
            sent: 0,
            challenge: None,
            challenge_due: false,
        }
    }

    /// A route to an address that so many bytes came from.
    pub(super) fn unproved(path: Path, received: usize) -> Self {
        Self {
            proved: false,
            received: received as u64,
            ..Self::proved(path)
        }
    }

    pub(super) fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    pub(super) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Bytes that may still go there.
    pub(super) fn budget(&self) -> u64 {
        if self.proved {
            return u64::MAX;
        }
        self.received
            .saturating_mul(limits::AMPLIFICATION)
            .saturating_sub(self.sent)
    }
}
