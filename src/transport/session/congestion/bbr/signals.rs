//! Signs of congestion, round by round: loss, ECN marks, queueing.
//!
//! Decides whether a round lost more than chance and the path's own loss explain. The phases decide
//! about the consequences. Invariant: a mark counts once a round, however many packets carried it.

use std::time::Duration;

use super::super::limits::{LOSS_DEVIATIONS, QUEUE_RTT, QUEUE_SLACK, Ratio};
use super::super::{Acked, RateSample};
use super::filters::Rounds;
use super::own_loss::{OwnLoss, Queue};
use crate::time::micros;

/// Signs of one round.
#[derive(Debug)]
pub struct Signals {
    rounds: Rounds,
    lost: u64,
    acked: u64,
    /// Bytes in flight when the round began: the base of the loss ratio.
    flight: u64,
    marked: bool,
    min_rtt: Option<Duration>,
    /// Maximum delivery rate of the round.
    rate: u64,
    /// Largest volume delivered within a round trip of the round.
    volume: u64,
}

/// Verdict on a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Clear,
    /// Too much was lost, without any other sign of congestion.
    Suspect,
    Congested,
}

/// Loss of a round, in datagrams.
#[derive(Clone, Copy, Debug)]
pub struct RoundLoss {
    lost: u64,
    total: u64,
}

impl RoundLoss {
    /// Converts bytes to datagrams.
    pub fn new(lost: u64, total: u64, datagram: u64) -> Self {
        Self {
            lost: lost / datagram.max(1),
            total: total / datagram.max(1),
        }
    }

    pub fn total(self) -> u64 {
        self.total
    }

    /// Returns true if the loss exceeds what a path that loses `share` per mille at random
    /// explains: the expectation, plus [`LOSS_DEVIATIONS`] standard deviations of a Poisson count,
    /// plus one.
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

    /// Processes an ACK. Returns true if it ends the round; the verdict is then complete, until
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

    /// Takes losses back that were spurious.
    pub fn on_spurious(&mut self, bytes: u64) {
        self.lost = self.lost.saturating_sub(bytes);
    }

    /// Begins a round.
    pub fn begin(&mut self, in_flight: u64) {
        *self = Self {
            rounds: std::mem::take(&mut self.rounds),
            flight: in_flight,
            ..Self::new()
        };
    }

    /// Maximum delivery rate of the round.
    pub fn rate(&self) -> u64 {
        self.rate
    }

    /// Largest volume that was delivered within one round trip.
    pub fn volume(&self) -> u64 {
        self.volume
    }

    /// Verdict on the round so far, for a path with the round-trip time `min_rtt` without a queue
    /// and a loss of its own of `own`.
    pub fn verdict(&self, datagram: u64, min_rtt: Option<Duration>, own: &OwnLoss) -> Verdict {
        let queue = self.queue(min_rtt);
        let excessive = self.loss(datagram).exceeds(own.tolerated(queue));
        match queue {
            Queue::Seen | Queue::NotSeen if self.marked => Verdict::Congested,
            Queue::Seen if excessive => Verdict::Congested,
            Queue::NotSeen if excessive => Verdict::Suspect,
            Queue::Seen | Queue::NotSeen => Verdict::Clear,
        }
    }

    /// Loss of the round so far.
    pub fn loss(&self, datagram: u64) -> RoundLoss {
        let total = self.flight.max(self.acked.saturating_add(self.lost));
        RoundLoss::new(self.lost, total, datagram)
    }

    /// Queue that the round trips of the round show so far.
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
        RoundLoss { lost, total }.exceeds(share)
    }

    #[test]
    fn chance_does_not_decide_about_short_rounds() {
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
    fn the_same_loss_is_congestion_only_if_there_is_a_queue() {
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
    fn an_ecn_mark_makes_its_own_round_congested_and_no_other() {
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
