//! `ProbeRTT`: a short time with little in flight, to measure the path without this flow's queue:
//! its round-trip time, and the loss that it has by itself.

use super::super::limits::{LOOK_ROUNDS, PROBE_RTT_GAIN, PROBE_RTT_TIME, Ratio};
use super::filters::Freshness;
use super::own_loss::OwnLoss;
use super::own_loss::Queue;
use super::probe_bw::Bounds;
use super::signals::{RoundLoss, Verdict};
use super::{Bbr, Phase, Turn};
use crate::time::Instant;

/// A probe in progress.
#[derive(Clone, Copy, Debug)]
pub struct RttProbe {
    /// Earliest end; set once the volume is down.
    until: Option<Instant>,
    /// Rounds since then. In the first, packets sent before it are still acknowledged.
    rounds: u32,
    purpose: Purpose,
}

/// Reason of a probe.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// The minimum round-trip time is stale. Loss is counted as well, if there is time.
    RoundTrip,
    /// The path's own loss is to be measured again.
    Loss,
    /// A round lost too much without a queue.
    Suspicion(Suspicion),
}

/// The suspicious loss, and the consequence if the path's own loss does not explain it.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    loss: RoundLoss,
    /// Volume that got through, if the largest volume was being looked for.
    high: Option<u64>,
}

impl RttProbe {
    fn is_complete(&self, now: Instant, own: &OwnLoss, datagram: u64) -> bool {
        let seen = match self.purpose {
            Purpose::RoundTrip => self.rounds >= 1,
            Purpose::Loss | Purpose::Suspicion(_) => {
                self.rounds >= 2 && own.is_measured(datagram) || self.rounds >= LOOK_ROUNDS
            }
        };
        seen && self.until.is_some_and(|until| now >= until)
    }
}

impl Bbr {
    /// Starts a measurement of the path's own loss when the loss of a round is the only sign of
    /// congestion. Up has its own reaction.
    pub(super) fn probe_if_suspect(&mut self, turn: &Turn) {
        if !matches!(self.phase, Phase::Startup | Phase::Cruise)
            || turn.sample.app_limited
            || !self.own_loss.is_old(turn.now)
            || self.verdict() != Verdict::Suspect
        {
            return;
        }
        let high = (self.phase == Phase::Startup)
            .then(|| self.inflight(Ratio::ONE).max(self.proven_volume()));
        let suspicion = Suspicion {
            loss: self.signals.loss(self.datagram),
            high,
        };
        self.note_reaction();
        self.start_probe_rtt(turn, Purpose::Suspicion(suspicion));
    }

    pub(super) fn probe_rtt(&mut self, turn: &Turn, freshness: Freshness) {
        if self.rtt_probe.is_none() && !self.idle_restart {
            if self.own_loss.is_due(turn.now) {
                self.start_probe_rtt(turn, Purpose::Loss);
            } else if freshness == Freshness::Stale {
                self.start_probe_rtt(turn, Purpose::RoundTrip);
            }
        }
        let target = self.probe_rtt_window();
        let Some(probe) = &mut self.rtt_probe else {
            return;
        };
        if probe.until.is_none() {
            if turn.in_flight <= target {
                probe.until = Some(turn.now + PROBE_RTT_TIME);
                self.rounds.restart(turn.sample.delivered);
            }
            return;
        }
        if turn.round_ended {
            probe.rounds += 1;
            self.own_loss.start();
        }
        self.leave_probe_rtt(turn.now, turn.in_flight, turn.sample.delivered);
    }

    fn start_probe_rtt(&mut self, turn: &Turn, purpose: Purpose) {
        self.rtt_probe = Some(RttProbe {
            until: None,
            rounds: 0,
            purpose,
        });
        self.window_before = self.window_before.max(self.window);
        self.rounds.restart(turn.sample.delivered);
        self.phase = Phase::ProbeRtt;
    }

    /// Ends the probe if it is over. Also called when sending resumes after idle time.
    pub(super) fn leave_probe_rtt(&mut self, now: Instant, in_flight: u64, delivered: u64) {
        let Some(probe) = self
            .rtt_probe
            .take_if(|probe| probe.is_complete(now, &self.own_loss, self.datagram))
        else {
            return;
        };
        self.min_rtt.on_probed(now);
        self.own_loss.finish(now, self.datagram);
        self.window = self.window.max(self.window_before);
        self.window_before = 0;
        self.bounds.forget_recent();
        self.signals.begin(in_flight);
        self.rounds.restart(delivered);
        // The queue is gone already, so Down would only set the clock.
        self.cycle.restart(now);
        if let Purpose::Suspicion(suspicion) = probe.purpose {
            self.conclude(now, suspicion);
        }
        self.continue_after_probe();
    }

    /// Continues with Cruise, or with Startup if the pipe was never full.
    fn continue_after_probe(&mut self) {
        self.phase = if self.pipe.ever {
            Phase::Cruise
        } else {
            Phase::Startup
        };
    }

    /// Ends a probe whose reason was a loss that was spurious.
    pub(super) fn cancel_suspicion(&mut self, now: Instant) {
        let is_suspicion = |probe: &mut RttProbe| matches!(probe.purpose, Purpose::Suspicion(_));
        if self.rtt_probe.take_if(is_suspicion).is_none() {
            return;
        }
        self.window = self.window.max(self.window_before);
        self.window_before = 0;
        self.own_loss.abandon();
        self.cycle.restart(now);
        self.continue_after_probe();
    }

    /// Decides about a suspicious loss, with the path's own loss measured.
    fn conclude(&mut self, now: Instant, suspicion: Suspicion) {
        let tolerated = self.own_loss.tolerated(Queue::NotSeen);
        if !suspicion.loss.exceeds(tolerated) {
            // The path loses this much by itself: the bounds derived from that loss do not hold.
            self.bounds = Bounds::default();
            self.cycle.restart_probing(now);
            self.pipe.restart(0);
        } else if let Some(high) = suspicion.high {
            self.bounds.volume_high = Some(high);
            self.pipe.ever = true;
        }
    }

    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.bdp(PROBE_RTT_GAIN)
            .unwrap_or(self.window)
            .max(self.least())
    }
}
