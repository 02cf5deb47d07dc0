//! `ProbeRTT`: little in flight for a moment, to see the path without our own queue: how long its
//! round trip takes, and how much it loses.

use super::super::limits::{LOOK_ROUNDS, PROBE_RTT_GAIN, PROBE_RTT_TIME, Ratio};
use super::filters::Freshness;
use super::own_loss::OwnLoss;
use super::probe_bw::Bounds;
use super::signals::{Queue, Toll, Verdict};
use super::{Bbr, Phase, Turn};
use crate::time::Instant;

/// A probe in progress.
#[derive(Clone, Copy, Debug)]
pub struct RttProbe {
    /// Set when the volume is down: the earliest end.
    until: Option<Instant>,
    /// Rounds since; in the first, packets of the time before are still heard of.
    rounds: u32,
    purpose: Purpose,
}

/// Why it is probed.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// For a fresh round trip; what is lost meanwhile is counted if there is time.
    RoundTrip,
    /// To see whether the path still loses what it did.
    Loss,
    /// To see whose a loss was.
    Suspicion(Suspicion),
}

/// The loss that was reason to look, and what follows if the path does not explain it.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    toll: Toll,
    /// Volume that got through, if we were looking for the most.
    high: Option<u64>,
}

impl RttProbe {
    fn is_over(&self, now: Instant, own: &OwnLoss, datagram: u64) -> bool {
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
    /// Loss that nothing but its amount speaks for: whose is it? In Up the answer is at hand.
    pub(super) fn look_if_suspect(&mut self, turn: &Turn) {
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
            toll: self.signals.toll(self.datagram),
            high,
        };
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

    /// Leaves when it is time; also asked when sending resumes after a silence.
    pub(super) fn leave_probe_rtt(&mut self, now: Instant, in_flight: u64, delivered: u64) {
        let Some(probe) = self
            .rtt_probe
            .take_if(|probe| probe.is_over(now, &self.own_loss, self.datagram))
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
        // The queue is gone already, so Down would have nothing to do but to set the clock.
        self.cycle.restart(now);
        if let Purpose::Suspicion(suspicion) = probe.purpose {
            self.conclude(now, suspicion);
        }
        self.phase = if self.pipe.ever {
            Phase::Cruise
        } else {
            Phase::Startup
        };
    }

    fn conclude(&mut self, now: Instant, suspicion: Suspicion) {
        let tolerated = self.own_loss.tolerated(Queue::NotSeen);
        if !suspicion.toll.exceeds(tolerated) {
            // It was the path's own: what it made us believe of volumes does not hold.
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
