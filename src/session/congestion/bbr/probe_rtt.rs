//! `ProbeRTT`: draining the queue for a moment, to see the round trip of the empty path.

use super::super::limits::{PROBE_RTT_GAIN, PROBE_RTT_TIME};
use super::filters::Freshness;
use super::{Bbr, Phase, Turn};
use crate::time::Instant;

/// A probe in progress.
#[derive(Clone, Copy, Debug)]
pub struct RttProbe {
    /// Set when the volume is down: the earliest end.
    until: Option<Instant>,
    /// A round has passed since.
    round_done: bool,
}

impl Bbr {
    pub(super) fn probe_rtt(&mut self, turn: &Turn, freshness: Freshness) {
        if self.rtt_probe.is_none() && freshness == Freshness::Stale && !self.idle_restart {
            self.rtt_probe = Some(RttProbe {
                until: None,
                round_done: false,
            });
            self.window_before = self.window_before.max(self.window);
            self.rounds.restart(turn.sample.delivered);
            self.phase = Phase::ProbeRtt;
        }
        let target = self.probe_rtt_window();
        let Some(probe) = &mut self.rtt_probe else {
            return;
        };
        match probe.until {
            None if turn.in_flight <= target => {
                probe.until = Some(turn.now + PROBE_RTT_TIME);
                self.rounds.restart(turn.sample.delivered);
            }
            None => {}
            Some(_) => {
                probe.round_done |= turn.round_ended;
                if probe.round_done {
                    self.leave_probe_rtt(turn.now, turn.in_flight, turn.sample.delivered);
                }
            }
        }
    }

    /// Leaves when it is time; also asked when sending resumes after a silence.
    pub(super) fn leave_probe_rtt(&mut self, now: Instant, in_flight: u64, delivered: u64) {
        let over = self
            .rtt_probe
            .and_then(|probe| probe.until)
            .is_some_and(|until| now >= until);
        if !over {
            return;
        }
        self.rtt_probe = None;
        self.min_rtt.on_probed(now);
        self.window = self.window.max(self.window_before);
        self.window_before = 0;
        self.bounds.forget_recent();
        self.signals.begin(in_flight);
        self.rounds.restart(delivered);
        if self.pipe.ever {
            // The queue is gone already, so Down has nothing to do but to set the clock.
            self.cycle.restart(now);
            self.phase = Phase::Cruise;
        } else {
            self.phase = Phase::Startup;
        }
    }

    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.bdp(PROBE_RTT_GAIN)
            .unwrap_or(self.window)
            .max(self.least())
    }
}
