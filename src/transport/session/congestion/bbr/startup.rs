//! Startup and Drain: from no knowledge of the path to a full pipe without a queue.

use super::super::RateSample;
use super::super::limits::{DRAIN_ROUNDS, PLATEAU_GROWTH, PLATEAU_ROUNDS, Ratio};
use super::signals::Verdict;
use super::{Bbr, Phase, Turn};

/// Detects the plateau: the sender accelerates, and no more is delivered (BBR, full-pipe
/// estimator).
#[derive(Debug, Default)]
pub struct FullPipe {
    baseline: u64,
    rounds: u32,
    /// True after three rounds without growth since the last [`restart`](Self::restart).
    pub now: bool,
    /// True after that happened once.
    pub ever: bool,
}

impl FullPipe {
    /// Looks for growth beyond `rate` from now on.
    pub fn restart(&mut self, rate: u64) {
        self.baseline = rate;
        self.rounds = 0;
        self.now = false;
    }

    /// Processes the sample that ended a round. An application-limited sample shows no plateau.
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
    /// Leaves Startup when the pipe is full or a round lost too much.
    pub(super) fn leave_startup(&mut self, turn: &Turn) {
        if self.phase != Phase::Startup {
            return;
        }
        if turn.loss_round_ended && self.verdict() != Verdict::Clear {
            self.note_reaction();
            self.pipe.ever = true;
            self.bounds.volume_high = Some(self.inflight(Ratio::ONE).max(self.proven_volume()));
        }
        if self.pipe.ever {
            self.phase = Phase::Drain;
            self.drain_until = self.rounds.count() + DRAIN_ROUNDS;
        }
    }

    /// Leaves Drain when the queue is gone, or after [`DRAIN_ROUNDS`].
    pub(super) fn leave_drain(&mut self, turn: &Turn) {
        if self.phase == Phase::Drain
            && (turn.in_flight <= self.inflight(Ratio::ONE)
                || self.rounds.count() > self.drain_until)
        {
            self.start_down(turn);
        }
    }
}
