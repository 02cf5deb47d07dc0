//! The share of packets that a path loses independently of the load.
//!
//! Radio links drop a share of all packets, and a sender that takes that for congestion is slow
//! without need. The two are distinguished as an empty round trip is distinguished from a queue: in
//! `ProbeRTT` half of the BDP is in flight, so loss during that phase is not caused by this flow. A
//! round that loses too much without a queue is therefore a reason to measure; until the
//! measurement it counts as congestion.
//!
//! Not part of the BBR draft. Invariant: congestion by other flows that is mistaken for the path's
//! own loss decays, because pacing compensates no more than half of the loss
//! ([`OwnLoss::made_up`]).

use super::super::limits::{
    LOOK_DATAGRAMS, LOOK_INTERVAL, LOSS_WITH_QUEUE, LOSS_WITHOUT_QUEUE, MIN_RTT_AGE, OWN_LOSS_MAX,
};
use crate::time::Instant;

/// Queue at the bottleneck, as the round trips show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    Seen,
    NotSeen,
}

/// The estimate and the counters that it is computed from.
#[derive(Debug, Default)]
pub struct OwnLoss {
    /// Loss per mille, and the time of its measurement.
    known: Option<(u64, Instant)>,
    lost: u64,
    acked: u64,
    counting: bool,
}

impl OwnLoss {
    /// Begins to count: little enough is in flight from now on.
    pub fn start(&mut self) {
        self.counting = true;
    }

    pub fn on_acked(&mut self, bytes: u64) {
        if self.counting {
            self.acked = self.acked.saturating_add(bytes);
        }
    }

    pub fn on_lost(&mut self, bytes: u64) {
        if self.counting {
            self.lost = self.lost.saturating_add(bytes);
        }
    }

    /// Takes losses back that were spurious.
    pub fn on_spurious(&mut self, bytes: u64) {
        if self.counting {
            self.lost = self.lost.saturating_sub(bytes);
        }
    }

    /// Returns true if enough datagrams were counted for an estimate.
    pub fn is_measured(&self, datagram: u64) -> bool {
        self.lost.saturating_add(self.acked) >= LOOK_DATAGRAMS.saturating_mul(datagram)
    }

    /// Ends counting. A count that is too small is kept and continued the next time.
    pub fn finish(&mut self, now: Instant, datagram: u64) {
        self.counting = false;
        if !self.is_measured(datagram) {
            // An estimate that can no longer be checked is no longer believed.
            if self.is_old(now) {
                self.known = None;
            }
            return;
        }
        let total = u128::from(self.lost) + u128::from(self.acked);
        let share = u64::try_from(u128::from(self.lost) * 1000 / total).unwrap_or(0);
        // A higher loss is a broken path, not a lossy one.
        let share = if share > OWN_LOSS_MAX { 0 } else { share };
        self.known = Some((share, now));
        (self.lost, self.acked) = (0, 0);
    }

    /// Ends counting without an estimate.
    pub fn abandon(&mut self) {
        self.counting = false;
    }

    /// Returns true if there is no estimate, or one too old to decide about a suspicious round.
    pub fn is_old(&self, now: Instant) -> bool {
        self.known.is_none_or(|(share, at)| {
            let age = if share > LOSS_WITH_QUEUE {
                MIN_RTT_AGE
            } else {
                LOOK_INTERVAL
            };
            now > at + age
        })
    }

    /// Returns true if an assumed loss should be measured again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.share() > LOSS_WITH_QUEUE && self.is_old(now)
    }

    /// Loss per mille of a round that is tolerated before it counts as congestion.
    pub fn tolerated(&self, queue: Queue) -> u64 {
        let own = self.share() + LOSS_WITH_QUEUE;
        match queue {
            Queue::Seen => own,
            Queue::NotSeen => own.max(LOSS_WITHOUT_QUEUE),
        }
    }

    /// Bytes to send for `bytes` to arrive, compensating half of the loss only.
    pub fn made_up(&self, bytes: u64) -> u64 {
        let sent = u128::from(bytes) * 2000 / u128::from(2000 - self.share());
        u64::try_from(sent).unwrap_or(u64::MAX)
    }

    fn share(&self) -> u64 {
        self.known.map_or(0, |(share, _)| share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATAGRAM: u64 = 1000;

    fn measured(lost: u64, acked: u64) -> OwnLoss {
        let mut own = OwnLoss::default();
        own.on_lost(1_000_000);
        own.start();
        own.on_lost(lost * DATAGRAM);
        own.on_acked(acked * DATAGRAM);
        own.finish(Instant::ZERO, DATAGRAM);
        own
    }

    #[test]
    fn a_measured_loss_is_tolerated_and_half_of_it_compensated() {
        let own = measured(100, 900);
        assert_eq!(own.tolerated(Queue::Seen), 120);
        assert_eq!(own.made_up(1900), 2000);
        assert_eq!(
            measured(0, 900).tolerated(Queue::NotSeen),
            LOSS_WITHOUT_QUEUE
        );
        assert_eq!(measured(0, 900).tolerated(Queue::Seen), LOSS_WITH_QUEUE);
    }

    #[test]
    fn loss_above_the_maximum_is_not_taken_for_the_paths_own() {
        let own = measured(700, 300);
        assert_eq!(own.tolerated(Queue::Seen), LOSS_WITH_QUEUE);
        assert_eq!(own.made_up(1900), 1900);
    }

    #[test]
    fn too_few_packets_give_no_loss_estimate_until_more_are_counted() {
        let mut own = measured(5, 5);
        assert!(own.is_old(Instant::ZERO));
        own.start();
        own.on_acked(90 * DATAGRAM);
        own.finish(Instant::ZERO, DATAGRAM);
        assert_eq!(own.tolerated(Queue::Seen), LOSS_WITH_QUEUE + 50);
        assert!(!own.is_old(Instant::ZERO));
        assert!(own.is_due(Instant::ZERO + MIN_RTT_AGE * 2));
    }
}
