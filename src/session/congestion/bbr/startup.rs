//! Startup and Drain: from nothing known to a full pipe without a queue.

use super::super::RateSample;
use super::super::limits::{DRAIN_ROUNDS, PLATEAU_GROWTH, PLATEAU_ROUNDS, Ratio};
use super::signals::Verdict;
use super::{Bbr, Phase, Turn};

/// Looks for the plateau: accelerating, and yet nothing more is delivered.
#[derive(Debug, Default)]
pub struct FullPipe {
    baseline: u64,
    rounds: u32,
    /// Three rounds without growth since the last [`restart`](Self::restart).
    pub now: bool,
    /// At any time.
    pub ever: bool,
}

impl FullPipe {
    /// Looks anew for growth beyond `rate`.
    pub fn restart(&mut self, rate: u64) {
        self.baseline = rate;
        self.rounds = 0;
        self.now = false;
    }

    /// A round has ended with this sample. One that the application limited shows no plateau.
    pub fn on_round(&mut self, sample: &RateSample) {
        if self.now || sample.app_limited {
            return;
        }
        if sample.rate >= PLATEAU_GROWTH.of(self.baseline).max(1) {
            self.restart(sample.rate);
            return;
        }
        self.rounds += 1;
        if self.rounds >= PLATEAU_ROUNDS {
            self.now = true;
            self.ever = true;
        }
    }
}

impl Bbr {
    pub(super) fn leave_startup(&mut self, turn: &Turn) {
        if self.phase != Phase::Startup {
            return;
        }
        if turn.loss_round_ended && self.verdict() != Verdict::Clear {
            self.pipe.ever = true;
            self.bounds.volume_high = Some(self.inflight(Ratio::ONE).max(self.proven_volume()));
        }
        if self.pipe.ever {
            self.phase = Phase::Drain;
            self.drain_until = self.rounds.count() + DRAIN_ROUNDS;
        }
    }

    pub(super) fn leave_drain(&mut self, turn: &Turn) {
        if self.phase == Phase::Drain
            && (turn.in_flight <= self.inflight(Ratio::ONE)
                || self.rounds.count() > self.drain_until)
        {
            self.start_down(turn);
        }
    }
}
