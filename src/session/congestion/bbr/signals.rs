//! Signs of congestion, round by round: loss, marks, queueing.
//!
//! It tells whether a round lost more than chance and radio explain; what follows from that is the
//! phases' affair. Invariant: a mark counts once a round, however many packets carried it.

use std::time::Duration;

use super::super::limits::{LOSS_DEVIATIONS, QUEUE_RTT, QUEUE_SLACK, Ratio};
use super::super::{Acked, RateSample};
use super::filters::Rounds;
use super::own_loss::OwnLoss;
use crate::time::micros;

/// One round's signs.
#[derive(Debug)]
pub struct Signals {
    rounds: Rounds,
    lost: u64,
    acked: u64,
    /// In flight when the round began: what the loss will be a share of.
    flight: u64,
    marked: bool,
    min_rtt: Option<Duration>,
    /// Best rate and volume delivered in the round.
    rate: u64,
    volume: u64,
}

/// Whether a round was congested.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Clear,
    /// Too much was lost, but nothing else speaks of congestion.
    Suspect,
    Congested,
}

/// What the round trips say of the bottleneck.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queue {
    Seen,
    NotSeen,
}

/// A round's loss, in datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Toll {
    lost: u64,
    total: u64,
}

impl Toll {
    pub fn total(self) -> u64 {
        self.total
    }

    /// Whether it is more than a path that loses `share` per mille at random does: the expectation, so
    /// many standard deviations of a Poisson count, and one.
    pub fn exceeds(self, share: u64) -> bool {
        let square = LOSS_DEVIATIONS * LOSS_DEVIATIONS;
        let share = Ratio(share, 1000);
        let deviation = share.of(self.total.saturating_mul(square)).isqrt();
        let bound = share.of(self.total).saturating_add(deviation);
        self.lost > bound.saturating_add(1)
    }
}

impl Signals {
    pub fn new() -> Self {
        Self {
            rounds: Rounds::default(),
            lost: 0,
            acked: 0,
            flight: 0,
            marked: false,
            min_rtt: None,
            rate: 0,
            volume: 0,
        }
    }

    /// Takes an ACK in; whether it ends the round. Then the verdict is complete, until
    /// [`begin`](Self::begin).
    pub fn on_acked(&mut self, acked: &Acked, sample: &RateSample) -> bool {
        self.acked = self.acked.saturating_add(acked.bytes);
        self.marked |= acked.ce;
        if let Some(rtt) = acked.rtt {
            self.min_rtt = Some(self.min_rtt.map_or(rtt, |min| min.min(rtt)));
        }
        self.rate = self.rate.max(sample.rate);
        let delivered = sample.delivered.saturating_sub(sample.prior_delivered);
        self.volume = self.volume.max(delivered);
        self.rounds.on_sample(sample)
    }

    pub fn on_lost(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_add(bytes);
    }

    /// A round begins.
    pub fn begin(&mut self, in_flight: u64) {
        *self = Self {
            rounds: std::mem::take(&mut self.rounds),
            flight: in_flight,
            ..Self::new()
        };
    }

    /// Best delivery rate of the round.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Most that was delivered within one round trip.
    pub fn volume(&self) -> u64 {
        self.volume
    }

    /// Whether the round so far lost or was marked too much for a path whose empty round trip is
    /// `min_rtt`, and that loses `own` by itself.
    pub fn verdict(&self, datagram: u64, min_rtt: Option<Duration>, own: &OwnLoss) -> Verdict {
        let queue = self.queue(min_rtt);
        let excessive = self.toll(datagram).exceeds(own.tolerated(queue));
        match queue {
            _ if self.marked => Verdict::Congested,
            Queue::Seen if excessive => Verdict::Congested,
            Queue::NotSeen if excessive => Verdict::Suspect,
            Queue::Seen | Queue::NotSeen => Verdict::Clear,
        }
    }

    /// The round's loss so far.
    pub fn toll(&self, datagram: u64) -> Toll {
        let total = self.flight.max(self.acked.saturating_add(self.lost));
        Toll {
            lost: self.lost / datagram.max(1),
            total: total / datagram.max(1),
        }
    }

    /// What the round trips of the round say so far.
    pub fn queue(&self, min_rtt: Option<Duration>) -> Queue {
        let (Some(lowest), Some(empty)) = (self.min_rtt, min_rtt) else {
            return Queue::NotSeen;
        };
        if micros(lowest) > QUEUE_RTT.of(micros(empty)) && lowest > empty + QUEUE_SLACK {
            Queue::Seen
        } else {
            Queue::NotSeen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceeds(lost: u64, total: u64, share: u64) -> bool {
        Toll { lost, total }.exceeds(share)
    }

    #[test]
    fn short_rounds_are_not_judged_by_chance() {
        assert!(!exceeds(2, 4, 50));
        assert!(exceeds(3, 4, 50));
        assert!(!exceeds(3, 10, 50));
        assert!(exceeds(4, 10, 50));
        assert!(!exceeds(41, 500, 50));
        assert!(exceeds(41, 500, 20));
        assert!(exceeds(60, 500, 50));
        assert!(exceeds(5300, 100_000, 50));
        assert!(!exceeds(0, 0, 50));
        assert!(!exceeds(u64::MAX, u64::MAX, 1000));
    }

    fn acked(rtt_ms: u64, ce: bool) -> (Acked, RateSample) {
        let sample = RateSample {
            rate: 1000,
            app_limited: false,
            prior_delivered: 0,
            delivered: 1200,
            interval: Duration::from_millis(rtt_ms),
            tx_in_flight: 1200,
        };
        let acked = Acked {
            bytes: 1200,
            in_flight: 0,
            rtt: Some(Duration::from_millis(rtt_ms)),
            min_rtt: Duration::from_millis(50),
            rate: Some(sample),
            app_limited: false,
            ce,
        };
        (acked, sample)
    }

    #[test]
    fn the_same_loss_weighs_more_when_there_is_a_queue() {
        let verdict = |rtt_ms| {
            let mut signals = Signals::new();
            signals.begin(500 * 1200);
            let (acked, sample) = acked(rtt_ms, false);
            signals.on_acked(&acked, &sample);
            signals.on_lost(30 * 1200);
            signals.verdict(1200, Some(Duration::from_millis(50)), &OwnLoss::default())
        };
        assert_eq!(verdict(51), Verdict::Clear);
        assert_eq!(verdict(80), Verdict::Congested);
    }

    #[test]
    fn a_mark_condemns_its_round_and_no_other() {
        let mut signals = Signals::new();
        let (acked, sample) = acked(50, true);
        signals.on_acked(&acked, &sample);
        assert_eq!(
            signals.verdict(1200, None, &OwnLoss::default()),
            Verdict::Congested
        );
        signals.begin(0);
        assert_eq!(
            signals.verdict(1200, None, &OwnLoss::default()),
            Verdict::Clear
        );
    }
}
