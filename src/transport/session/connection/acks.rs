//! Received counters, and the time of the next acknowledgement (RFC 9000 §13.2).
//!
//! Reordering, and every [`limits::ACK_EVERY`]th ack-eliciting datagram, or fewer that bring [`limits::ACK_BYTES`], is
//! acknowledged at once; reordering not within [`limits::GRANULARITY`] of the last ACK, so that a path that reorders all
//! the time does not cost an ACK for each datagram. Any other acknowledgement is delayed by an eighth of a round trip, at
//! most [`limits::MAX_ACK_DELAY`], so that it can cover several datagrams.

use std::time::Duration;

use crate::session::range_set::RangeSet;
use crate::session::{Ecn, limits};
use crate::time::Instant;
use crate::wire::{EcnCounts, encode_ack};

pub(in crate::session) struct Acks {
    received: RangeSet,
    /// Time at which the largest counter was received.
    largest_at: Instant,
    /// Number of ack-eliciting datagrams since the last ACK.
    unreported: u32,
    /// Bytes in them.
    unreported_bytes: usize,
    /// Time of the last ACK.
    written_at: Option<Instant>,
    due: Option<Instant>,
    /// ECN marks received.
    ecn: EcnCounts,
}

/// Properties of a received datagram that decide about its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Arrival {
    pub(in crate::session) counter: u64,
    /// Its size, if it is ack-eliciting.
    pub(in crate::session) eliciting: Option<usize>,
    pub(in crate::session) ecn: Option<Ecn>,
}

impl Acks {
    pub(in crate::session) fn new() -> Self {
        Self {
            received: RangeSet::new(limits::RECEIVED_RANGES),
            largest_at: Instant::ZERO,
            unreported: 0,
            written_at: None,
            unreported_bytes: 0,
            due: None,
            ecn: EcnCounts::default(),
        }
    }

    /// Records a new datagram that was opened.
    pub(in crate::session) fn on_received(
        &mut self,
        now: Instant,
        arrival: Arrival,
        smoothed_rtt: Duration,
    ) {
        let Arrival {
            counter,
            eliciting,
            ecn,
        } = arrival;
        match ecn {
            Some(Ecn::Ect0) => self.ecn.ect0 += 1,
            Some(Ecn::Ect1) => self.ecn.ect1 += 1,
            Some(Ecn::Ce) => self.ecn.ce += 1,
            None => {}
        }
        let expected = self
            .received
            .highest()
            .map_or(1, |highest| highest.saturating_add(1));
        if counter >= expected {
            self.largest_at = now;
        }
        self.received.insert(counter);
        let Some(bytes) = eliciting else { return };
        self.unreported = self.unreported.saturating_add(1);
        self.unreported_bytes = self.unreported_bytes.saturating_add(bytes);
        // Congestion is reported at once, as RFC 9000 §13.2.1 asks for.
        let enough = self.unreported >= limits::ACK_EVERY
            || self.unreported_bytes >= limits::ACK_BYTES
            || ecn == Some(Ecn::Ce);
        let at = if enough {
            now
        } else if counter == expected {
            now + (smoothed_rtt / 8).clamp(limits::GRANULARITY, limits::MAX_ACK_DELAY)
        } else {
            // Late, or after a gap: of a loss, or of a counter that the peer has skipped.
            self.written_at
                .map_or(now, |written| now.max(written + limits::GRANULARITY))
        };
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
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
        let delay = now.since(self.largest_at);
        let ecn = (self.ecn != EcnCounts::default()).then_some(self.ecn);
        if !encode_ack(self.received.iter(), delay, ecn, space, out) {
            return None;
        }
        self.unreported = 0;
        self.written_at = Some(now);
        self.unreported_bytes = 0;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, Frames};

    fn arrival(counter: u64, bytes: usize) -> Arrival {
        Arrival {
            counter,
            eliciting: Some(bytes),
            ecn: None,
        }
    }

    #[test]
    fn a_gap_is_acknowledged_at_once_and_constant_reordering_once_a_millisecond() {
        let mut acks = Acks::new();
        let (mut now, mut written) = (Instant::from_micros(1_000_000), 0);
        let rtt = Duration::from_millis(40);
        acks.on_received(now, arrival(1, 1200), rtt);
        assert!(!acks.is_due(now));
        acks.on_received(now, arrival(3, 1200), rtt);
        assert!(acks.is_due(now));
        assert!(acks.write(now, 100, &mut Vec::new()).is_some());
        // Pairs in the wrong order: 500 datagrams in 100 ms.
        for pair in 2..252 {
            for counter in [2 * pair + 1, 2 * pair] {
                now += Duration::from_micros(200);
                acks.on_received(now, arrival(counter, 1200), rtt);
                if acks.is_due(now) {
                    acks.write(now, 100, &mut Vec::new());
                    written += 1;
                }
            }
        }
        assert_eq!(written, 100);
        // On a faster path, every tenth.
        for counter in (1001..1101).rev() {
            acks.on_received(now, arrival(counter, 1200), rtt);
            if acks.is_due(now) {
                acks.write(now, 100, &mut Vec::new());
                written += 1;
            }
        }
        assert_eq!(written, 110);
    }

    #[test]
    fn a_skipped_counter_costs_one_immediate_ack() {
        let mut acks = Acks::new();
        let mut now = Instant::from_micros(1_000_000);
        let rtt = Duration::from_millis(40);
        acks.on_received(now, arrival(1, 1200), rtt);
        acks.on_received(now, arrival(3, 1200), rtt);
        assert!(acks.is_due(now));
        acks.write(now, 100, &mut Vec::new());
        now += Duration::from_millis(2);
        for counter in 4..12 {
            acks.on_received(now, arrival(counter, 1200), rtt);
            assert!(!acks.is_due(now));
        }
    }

    /// Returns the number of datagrams of a size after which an ACK is due at once.
    fn due_after(bytes: usize) -> u64 {
        let now = Instant::from_micros(1);
        let mut acks = Acks::new();
        (1..100)
            .find(|&counter| {
                acks.on_received(now, arrival(counter, bytes), Duration::from_secs(1));
                acks.is_due(now)
            })
            .expect("a number of datagrams")
    }

    #[test]
    fn large_datagrams_are_acknowledged_by_their_bytes() {
        assert_eq!([1164, 1436].map(due_after), [10, 10]);
        assert_eq!([8936, 65_471, 65_536].map(due_after), [8, 2, 1]);
    }

    #[test]
    fn congestion_is_reported_at_once_and_marks_are_counted() {
        let now = Instant::from_micros(1_000_000);
        let mut acks = Acks::new();
        let mut report = |counter, ecn| {
            let ecn = Some(ecn);
            let arrival = Arrival {
                ecn,
                ..arrival(counter, 1200)
            };
            acks.on_received(now, arrival, Duration::from_secs(1));
            let is_due = acks.is_due(now);
            let mut frame = Vec::new();
            acks.write(now, 100, &mut frame).expect("an ACK");
            let Some(Ok(Frame::Ack(ack))) = Frames::new(&frame).next() else {
                panic!("an ACK");
            };
            let counts = ack.ecn.expect("counts");
            (is_due, [counts.ect0, counts.ect1, counts.ce])
        };
        assert_eq!(report(1, Ecn::Ect0), (false, [1, 0, 0]));
        assert_eq!(report(2, Ecn::Ect0), (false, [2, 0, 0]));
        assert_eq!(report(3, Ecn::Ect1), (false, [2, 1, 0]));
        assert_eq!(report(4, Ecn::Ce), (true, [2, 1, 1]));
    }
}
