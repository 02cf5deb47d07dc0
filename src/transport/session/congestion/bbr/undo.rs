//! Undo of the reaction to a loss that turns out to be spurious.
//!
//! At the first loss of an episode the bounds are saved. They are restored once so many of the lost packets have
//! arrived after all that the rest would have caused no reaction. Not undone: persistent congestion. Invariant: an
//! undo restores at most what was in force at the first loss of its episode.

use super::super::limits::UNDO_ROUNDS;
use super::own_loss::Queue;
use super::probe_bw::Bounds;
use super::signals::RoundLoss;
use super::{Bbr, Phase};
use crate::time::Instant;

/// State at the first loss of an episode, and what has happened since.
#[derive(Debug)]
pub struct Undo {
    bounds: Bounds,
    phase: Phase,
    window: u64,
    /// Number of rounds at that time.
    round: u64,
    /// Bytes delivered by that time.
    delivered: u64,
    /// Bytes lost since, without those that have arrived late.
    lost: u64,
    reaction: Option<Reaction>,
}

/// Latest change of phase or bounds because of the losses of an episode.
#[derive(Clone, Copy, Debug)]
struct Reaction {
    /// Bytes lost in the episode by then, without those that have arrived late.
    lost: u64,
    /// Bytes lost or delivered in the episode by then.
    total: u64,
}

impl Bbr {
    /// Counts a loss; saves the state if the loss begins an episode (BBR, `BBRSaveStateUponLoss`).
    pub(super) fn save_upon_loss(&mut self, bytes: u64) {
        let round = self.rounds.count();
        let mut undo = match self.undo.take() {
            Some(undo) if round <= undo.round + UNDO_ROUNDS => undo,
            _ => Undo {
                bounds: self.bounds,
                phase: self.phase,
                window: self.window,
                round,
                delivered: self.delivered,
                lost: 0,
                reaction: None,
            },
        };
        undo.lost = undo.lost.saturating_add(bytes);
        self.undo = Some(undo);
    }

    /// Notes that phase or bounds change because of the losses of this episode.
    pub(super) fn note_reaction(&mut self) {
        if let Some(undo) = &mut self.undo {
            let acked = self.delivered.saturating_sub(undo.delivered);
            undo.reaction = Some(Reaction {
                lost: undo.lost,
                total: undo.lost.saturating_add(acked),
            });
        }
    }

    /// Takes a spurious loss back, and the reaction unless the loss that remains explains it (BBR,
    /// `BBRHandleSpuriousLossDetection`).
    pub(super) fn undo_spurious(&mut self, now: Instant, bytes: u64) {
        let Some(undo) = &mut self.undo else { return };
        undo.lost = undo.lost.saturating_sub(bytes);
        let Some(reaction) = &mut undo.reaction else {
            return;
        };
        reaction.lost = reaction.lost.saturating_sub(bytes);
        let remaining = RoundLoss::new(reaction.lost, reaction.total, self.datagram);
        if remaining.exceeds(self.own_loss.tolerated(Queue::Seen)) {
            return;
        }
        if let Some(undo) = self.undo.take() {
            self.restore(now, &undo);
        }
    }

    fn restore(&mut self, now: Instant, undo: &Undo) {
        self.cancel_suspicion(now);
        self.bounds = self.bounds.looser(undo.bounds);
        self.window = self.window.max(undo.window);
        // A plateau is no reaction to loss: the pipe is full all the same.
        let is_full = self.pipe.now;
        self.pipe.restart(0);
        if is_full || self.phase == Phase::ProbeRtt || self.phase == undo.phase {
            return;
        }
        match undo.phase {
            Phase::Startup => {
                self.pipe.ever = false;
                self.phase = Phase::Startup;
            }
            Phase::Up => self.resume_up(now),
            Phase::Drain | Phase::Down | Phase::Cruise | Phase::Refill | Phase::ProbeRtt => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::Lost;
    use super::super::super::testbed::{Link, Testbed};

    /// A flow on a path of 100 Mbit/s and 50 ms, after `time`.
    fn after(time: Duration) -> Testbed {
        let mut testbed = Testbed::new(Link::new(100, 50, 100, 0), 1);
        testbed.run(time);
        testbed
    }

    /// Reports a third of the window lost, and runs for some rounds, in which the controller reacts.
    fn lose(testbed: &mut Testbed) -> u64 {
        let bytes = testbed.window() / 3;
        let now = testbed.now;
        let lost = Lost {
            bytes,
            in_flight: 0,
            newest_sent: now,
            persistent: false,
        };
        testbed.flows[0].controller.on_lost(now, &lost);
        testbed.run(Duration::from_millis(120));
        bytes
    }

    fn arrive_late(testbed: &mut Testbed, bytes: u64) {
        let now = testbed.now;
        testbed.flows[0].controller.on_spurious(now, bytes);
    }

    #[test]
    fn a_spurious_loss_leaves_rate_and_window_as_they_were() {
        // In start-up, and in the steady state.
        for time in [Duration::from_millis(320), Duration::from_secs(4)] {
            let mut testbed = after(time);
            let before = (testbed.window(), testbed.pacing_rate());
            let bytes = lose(&mut testbed);
            let reduced = (testbed.window(), testbed.pacing_rate());
            assert!(reduced.0 < before.0, "{time:?}: {before:?} {reduced:?}");
            arrive_late(&mut testbed, bytes);
            let after = (testbed.window(), testbed.pacing_rate());
            assert!(
                after.0 >= before.0 && after.1 >= before.1,
                "{time:?}: {before:?} {reduced:?} {after:?}"
            );
        }
    }

    #[test]
    fn a_loss_that_was_real_for_the_most_part_is_not_undone() {
        let mut testbed = after(Duration::from_secs(4));
        let bytes = lose(&mut testbed);
        let reduced = testbed.window();
        arrive_late(&mut testbed, bytes / 2);
        assert_eq!(testbed.window(), reduced);
        arrive_late(&mut testbed, bytes / 2);
        assert!(testbed.window() > reduced);
    }

    #[test]
    fn a_late_arrival_long_after_the_loss_undoes_nothing() {
        let mut testbed = after(Duration::from_secs(4));
        let bytes = lose(&mut testbed);
        testbed.run(Duration::from_millis(300));
        // Another loss begins another episode.
        lose(&mut testbed);
        let reduced = testbed.window();
        arrive_late(&mut testbed, bytes / 2);
        assert_eq!(testbed.window(), reduced);
    }
}
