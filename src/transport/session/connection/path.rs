//! Path of a session, its validation, and the amplification limit before it.
//!
//! Only the controller migrates. Invariant: an address that is not validated is sent at most
//! [`limits::AMPLIFICATION`] times the bytes received from it (RFC 9000 §8.1), and once
//! [`limits::KNOWN_ADDRESS_BUDGET`] if it is remembered.

use crate::session::{Path, limits};

#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct PathState {
    pub(in crate::session) path: Path,
    pub(in crate::session) validated: bool,
    received: u64,
    sent: u64,
    /// Bytes that may be sent besides those that the received ones allow.
    granted: u64,
    /// Data of the PATH_CHALLENGEs sent, one of which a PATH_RESPONSE must return.
    challenges: [Option<[u8; 8]>; limits::CHALLENGES],
    /// True if a PATH_CHALLENGE is to be sent.
    pub(in crate::session) challenge_due: bool,
}

impl PathState {
    /// Creates the state of a path whose address is known to be the peer's.
    pub(in crate::session) const fn validated(path: Path) -> Self {
        Self {
            path,
            validated: true,
            received: 0,
            sent: 0,
            granted: 0,
            challenges: [None; limits::CHALLENGES],
            challenge_due: false,
        }
    }

    /// Creates the state of a path that is not validated, from which `received` bytes came.
    pub(in crate::session) fn unvalidated(path: Path, received: usize) -> Self {
        Self {
            validated: false,
            received: received as u64,
            ..Self::validated(path)
        }
    }

    /// Allows a first window towards an address at which the peer was lately.
    pub(in crate::session) const fn trust_address(&mut self) {
        self.granted = limits::KNOWN_ADDRESS_BUDGET;
    }

    /// Begins a validation, with a PATH_CHALLENGE that is due now.
    pub(in crate::session) const fn begin_validation(&mut self) {
        self.challenges = [None; limits::CHALLENGES];
        self.challenge_due = true;
    }

    /// Has a PATH_CHALLENGE sent again, if not enough were sent.
    pub(in crate::session) fn repeat_challenge(&mut self) {
        self.challenge_due = self.challenges.contains(&None);
    }

    pub(in crate::session) fn on_challenge_sent(&mut self, data: [u8; 8]) {
        self.challenge_due = false;
        if let Some(free) = self.challenges.iter_mut().find(|sent| sent.is_none()) {
            *free = Some(data);
        }
    }

    /// Returns true if `data` is that of a PATH_CHALLENGE of the present validation.
    pub(in crate::session) fn was_challenged(&self, data: [u8; 8]) -> bool {
        self.challenges.contains(&Some(data))
    }

    pub(in crate::session) fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    pub(in crate::session) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Returns the number of bytes that may be sent now.
    pub(in crate::session) fn budget(&self) -> u64 {
        if self.validated {
            return u64::MAX;
        }
        self.received
            .saturating_mul(limits::AMPLIFICATION)
            .saturating_add(self.granted)
            .saturating_sub(self.sent)
    }
}
