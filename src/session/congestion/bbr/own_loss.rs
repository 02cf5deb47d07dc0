//! How much a path loses by itself, whatever is sent on it.
//!
//! Radio links drop some share of all packets, and a sender that takes that for congestion is slow for
//! nothing. The two are told apart as an empty round trip is told from a queue: in `ProbeRTT` half of
//! what fills the path is in flight, so what is lost then is not of our making. A round that loses too
//! much without a queue is therefore reason to look; until then it counts as congestion.
//!
//! Invariant: congestion by others that is mistaken for the path's own loss dies out, because pacing
//! makes up for no more than half of what is lost ([`OwnLoss::made_up`]).

use super::super::limits::{
    LOOK_DATAGRAMS, LOOK_INTERVAL, LOSS_WITH_QUEUE, LOSS_WITHOUT_QUEUE, MIN_RTT_AGE, OWN_LOSS_MAX,
};
use super::signals::Queue;
use crate::time::Instant;

/// The estimate, and the count that it comes from.
#[derive(Debug, Default)]
pub struct OwnLoss {
    /// Per mille, and when it was measured.
    known: Option<(u64, Instant)>,
    lost: u64,
    acked: u64,
    counting: bool,
}

impl OwnLoss {
    /// What is in flight from now on is little enough.
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

    /// Whether enough was counted to tell.
    pub fn is_measured(&self, datagram: u64) -> bool {
        self.lost.saturating_add(self.acked) >= LOOK_DATAGRAMS.saturating_mul(datagram)
    }

    /// Counting ends; too few are kept to be added to the next time.
    pub fn finish(&mut self, now: Instant, datagram: u64) {
        self.counting = false;
        if !self.is_measured(datagram) {
            // What can no longer be checked is no longer believed.
            if self.is_old(now) {
                self.known = None;
            }
            return;
        }
        let total = u128::from(self.lost) + u128::from(self.acked);
        let share = u64::try_from(u128::from(self.lost) * 1000 / total).unwrap_or(0);
        // More than that is a broken path, not a lossy one.
        let share = if share > OWN_LOSS_MAX { 0 } else { share };
        self.known = Some((share, now));
        (self.lost, self.acked) = (0, 0);
    }

    /// Whether what is known, if anything, is too old to judge a suspicious round by.
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

    /// Whether something is assumed that should be checked again.
    pub fn is_due(&self, now: Instant) -> bool {
        self.share() > LOSS_WITH_QUEUE && self.is_old(now)
    }

    /// Per mille of a round that may be lost before it is congestion.
    pub fn tolerated(&self, queue: Queue) -> u64 {
        let own = self.share() + LOSS_WITH_QUEUE;
        match queue {
            Queue::Seen => own,
            Queue::NotSeen => own.max(LOSS_WITHOUT_QUEUE),
        }
    }

    /// What must be sent for `bytes` to arrive, but making up for half of the loss only.
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
    fn a_measured_share_is_tolerated_and_half_made_up_for() {
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
    fn a_broken_path_is_not_a_lossy_one() {
        let own = measured(700, 300);
        assert_eq!(own.tolerated(Queue::Seen), LOSS_WITH_QUEUE);
        assert_eq!(own.made_up(1900), 1900);
    }

    #[test]
    fn few_packets_tell_nothing_until_there_are_more() {
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
