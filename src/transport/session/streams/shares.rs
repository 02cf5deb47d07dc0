//! Memory that the streams of a session hold, and the further memory that its share allows.
//!
//! Invariant: the numbers are the sums over all streams.

use super::Streams;
use crate::session::Held;

impl Streams {
    /// Returns the memory held.
    pub(in crate::session) fn held(&self) -> Held {
        Held {
            gap_bytes: self.gap_bytes,
            ready_bytes: self.ready_bytes,
            calls: self.calls.len() as u64,
            window_growth: self.window_growth,
        }
    }

    /// Returns the credit of the session beyond its consumed bytes. What the windows of streams are opened by is part of
    /// its first one.
    pub(in crate::session) const fn credit_window(&self) -> u64 {
        let growth = self.window_growth - self.window_opened;
        self.session_window.saturating_add(growth)
    }

    /// Sets the further memory that may be held.
    pub(in crate::session) const fn set_allowance(&mut self, allowance: Held) {
        self.allowance = allowance;
    }

    /// Sets the further growth of windows that is allowed.
    pub(in crate::session) const fn set_window_allowance(&mut self, bytes: u64) {
        self.allowance.window_growth = bytes;
    }

    /// Returns true once if a frame did not fit the allowance and was ignored.
    pub(in crate::session) const fn take_refused(&mut self) -> bool {
        std::mem::replace(&mut self.refused, false)
    }

    /// Counts a change of the bytes that one half holds: those beyond gaps, and those in order.
    pub(in crate::session) const fn on_bytes(&mut self, before: (u64, u64), after: (u64, u64)) {
        self.gap_bytes = replaced(self.gap_bytes, before.0, after.0);
        self.ready_bytes = replaced(self.ready_bytes, before.1, after.1);
        let allowance = &mut self.allowance;
        allowance.gap_bytes = allowance
            .gap_bytes
            .saturating_sub(after.0.saturating_sub(before.0));
        allowance.ready_bytes = allowance
            .ready_bytes
            .saturating_sub(after.1.saturating_sub(before.1));
    }
}

/// Returns a sum in which one part has changed.
const fn replaced(sum: u64, before: u64, after: u64) -> u64 {
    sum.saturating_sub(before).saturating_add(after)
}
