//! Received counters, and the time of the next acknowledgement (RFC 9000 §13.2).
//!
//! Reordering, and every [`limits::ACK_EVERY`]th ack-eliciting datagram, is acknowledged at once. Any other
//! acknowledgement is delayed by an eighth of a round trip, at most [`limits::MAX_ACK_DELAY`], so that it
//! can cover several datagrams.

use std::time::Duration;

use crate::session::limits;
use crate::session::range_set::RangeSet;
use crate::time::Instant;
use crate::wire::encode_ack;

pub(in crate::session) struct Acks {
    received: RangeSet,
    /// Time at which the largest counter was received.
    largest_at: Instant,
    /// Number of ack-eliciting datagrams since the last ACK.
    unreported: u32,
    due: Option<Instant>,
}

impl Acks {
    pub(in crate::session) fn new() -> Self {
        Self {
            received: RangeSet::new(limits::RECEIVED_RANGES),
            largest_at: Instant::ZERO,
            unreported: 0,
            due: None,
        }
    }

    /// Records the counter of a new datagram that was opened.
    pub(in crate::session) fn on_received(
        &mut self,
        now: Instant,
        counter: u64,
        eliciting: bool,
        smoothed_rtt: Duration,
    ) {
        let expected = self
            .received
            .highest()
            .map_or(1, |highest| highest.saturating_add(1));
        if counter >= expected {
            self.largest_at = now;
        }
        self.received.insert(counter);
        if !eliciting {
            return;
        }
        self.unreported = self.unreported.saturating_add(1);
        if counter != expected || self.unreported >= limits::ACK_EVERY {
            self.due = Some(now);
        } else if self.due.is_none() {
            self.due =
                Some(now + (smoothed_rtt / 8).clamp(limits::GRANULARITY, limits::MAX_ACK_DELAY));
        }
    }

    pub(in crate::session) fn timeout(&self) -> Option<Instant> {
        self.due
    }

    pub(in crate::session) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Returns true if an acknowledgement is pending, due or not.
    pub(in crate::session) const fn is_pending(&self) -> bool {
        self.due.is_some()
    }

    /// Writes an ACK frame; returns the largest counter in it.
    pub(in crate::session) fn write(
        &mut self,
        now: Instant,
        space: usize,
        out: &mut Vec<u8>,
    ) -> Option<u64> {
        let largest = self.received.highest()?;
        if !encode_ack(self.received.iter(), now.since(self.largest_at), space, out) {
            return None;
        }
        self.unreported = 0;
        self.due = None;
        Some(largest)
    }

    /// Handles the arrival of an ACK frame at the peer: counters far below its `largest` need not be reported
    /// again.
    pub(in crate::session) fn on_ack_arrived(&mut self, largest: u64) {
        self.received
            .remove_below(largest.saturating_sub(limits::ACK_HISTORY));
    }
}
