//! A congestion controller after BBR version 3 (draft-ietf-ccwg-bbr).
//!
//! Two numbers describe a path: its bandwidth and its round-trip time without a queue. Their
//! product, the BDP, fills the path; more only builds a queue. The two cannot be measured at the
//! same time, so the flow probes for one and the other in turn ([`phase`]). Unlike a window that
//! halves at every loss, the model reacts only to loss beyond what the path has at random
//! ([`signals`], [`own_loss`]).
//!
//! Left out of version 3: precautionary probes, and reactions to marks finer than one congested
//! round. Not here: pacing and delivery-rate samples, which every
//! controller needs.
//!
//! Invariants: the window is never below four datagrams and the pacing rate is never 0. An
//! application that does not fill the path lowers no estimate, and raises none beyond the rate that
//! was delivered.

mod filters;
mod own_loss;
mod phase;
mod probe_bw;
mod probe_rtt;
mod resume;
mod signals;
mod startup;
#[cfg(test)]
mod tests;
mod undo;

use std::time::Duration;

use super::limits::{
    MIN_WINDOW_DATAGRAMS, NOMINAL_RTT, PACING_MARGIN, QUANTUM_MAX, QUANTUM_TIME, Ratio,
    STARTUP_GAIN, SUSPECT_DATAGRAMS, initial_window,
};
use super::{Acked, Controller, KnownPath, Lost, RateSample};
use crate::time::{Instant, micros};
use filters::{Aggregation, MaxRate, MinRtt, Rounds, volume};
use own_loss::{OwnLoss, Queue};
use phase::Phase;
use probe_bw::{Bounds, Cycle};
use probe_rtt::RttProbe;
use resume::Resume;
use signals::{Signals, Verdict};
use startup::FullPipe;
use undo::Undo;

/// A BBR controller.
#[derive(Debug)]
pub struct Bbr {
    datagram: u64,
    phase: Phase,
    rounds: Rounds,
    max_rate: MaxRate,
    min_rtt: MinRtt,
    aggregation: Aggregation,
    signals: Signals,
    /// Queue seen in the last round.
    queue: Queue,
    own_loss: OwnLoss,
    pipe: FullPipe,
    drain_until: u64,
    bounds: Bounds,
    cycle: Cycle,
    rtt_probe: Option<RttProbe>,
    undo: Option<Undo>,
    /// Progress of the use of an earlier session's knowledge.
    resume: Option<Resume>,
    window: u64,
    /// Window before `ProbeRTT`.
    window_before: u64,
    /// Window with which the path was begun. Determines the pacing rate until a rate is known.
    first_window: u64,
    /// Round-trip time assumed until one is measured.
    first_rtt: Duration,
    /// True if the window limited the sender in this round or the last.
    window_limited: bool,
    window_limited_next: bool,
    /// True from the first packet after idle time until its acknowledgement.
    idle_restart: bool,
    delivered: u64,
}

/// Input of one ACK for all parts of the testbed.
#[derive(Debug)]
struct Turn {
    now: Instant,
    bytes: u64,
    in_flight: u64,
    sample: RateSample,
    round_ended: bool,
    loss_round_ended: bool,
}

impl Bbr {
    /// Returns the state for a path of which nothing is known.
    #[must_use]
    pub fn new(now: Instant, datagram: u64, seed: u64) -> Self {
        let datagram = datagram.max(1);
        let window = initial_window(datagram);
        Self {
            datagram,
            phase: Phase::Startup,
            rounds: Rounds::default(),
            max_rate: MaxRate::default(),
            min_rtt: MinRtt::new(now),
            aggregation: Aggregation::new(now),
            signals: Signals::new(),
            queue: Queue::NotSeen,
            own_loss: OwnLoss::default(),
            pipe: FullPipe::default(),
            drain_until: 0,
            bounds: Bounds::default(),
            cycle: Cycle::new(now, seed),
            rtt_probe: None,
            undo: None,
            resume: None,
            window,
            window_before: 0,
            first_window: window,
            first_rtt: NOMINAL_RTT,
            window_limited: false,
            window_limited_next: false,
            idle_restart: false,
            delivered: 0,
        }
    }

    /// Bandwidth estimate in bytes per second; 0 if nothing is known (BBR, `bw`).
    fn rate(&self) -> u64 {
        let best = self.max_rate.best();
        self.bounds.rate_low.map_or(best, |low| best.min(low))
    }

    /// Rate at which to send for the estimated bandwidth to arrive. Loss is not compensated where
    /// that would feed a queue.
    fn rate_to_send(&self) -> u64 {
        if self.queue == Queue::Seen && !self.phase.is_probing() {
            self.rate()
        } else {
            self.own_loss.made_up(self.rate())
        }
    }

    /// Bandwidth-delay product times a gain.
    fn bdp(&self, gain: Ratio) -> Option<u64> {
        let rtt = self.min_rtt.estimate()?;
        let rate = self.rate_to_send();
        (rate > 0).then(|| gain.of(volume(rate, rtt)))
    }

    /// Largest volume that arrived within a round trip, as the bytes in flight that it took.
    fn proven_volume(&self) -> u64 {
        self.own_loss.made_up(self.signals.volume())
    }

    /// Bytes in flight for a gain. Never so few that batches and delayed ACKs leave the path empty.
    fn inflight(&self, gain: Ratio) -> u64 {
        let Some(bdp) = self.bdp(gain) else {
            return self.first_window;
        };
        let quantum = volume(self.rate(), QUANTUM_TIME).min(QUANTUM_MAX);
        let probe = if self.phase == Phase::Up {
            2 * self.datagram
        } else {
            0
        };
        bdp.max(quantum).max(self.least()) + probe
    }

    /// Minimum window.
    fn least(&self) -> u64 {
        MIN_WINDOW_DATAGRAMS * self.datagram
    }

    /// Verdict on the round so far. In Startup the loss of a small round is not suspect.
    fn verdict(&self) -> Verdict {
        let verdict = self
            .signals
            .verdict(self.datagram, self.min_rtt.estimate(), &self.own_loss);
        let small = self.signals.loss(self.datagram).total() < SUSPECT_DATAGRAMS;
        if verdict == Verdict::Suspect && self.phase == Phase::Startup && small {
            return Verdict::Clear;
        }
        verdict
    }

    /// Sets the window: down to the model's target at once, up by the bytes acknowledged.
    fn set_window(&mut self, turn: &Turn) {
        let gain = self.phase.window_gain();
        let target = self.inflight(gain).saturating_add(self.aggregation.extra());
        let grown = self.window.saturating_add(turn.bytes);
        if self.pipe.ever {
            self.window = grown.min(target);
        } else if self.window < target || turn.sample.delivered < self.first_window {
            self.window = grown;
        }
        let cap = match self.phase {
            Phase::Startup => u64::MAX,
            Phase::Cruise => self.volume_with_headroom(),
            Phase::ProbeRtt => self.probe_rtt_window().min(self.volume_with_headroom()),
            Phase::Drain | Phase::Down | Phase::Refill | Phase::Up => {
                self.bounds.volume_high.unwrap_or(u64::MAX)
            }
        };
        let cap = cap.min(self.bounds.volume_low.unwrap_or(u64::MAX));
        self.window = self.window.min(cap).max(self.least());
    }

    /// Discards the model after persistent congestion (RFC 9002 §7.6).
    fn start_over(&mut self, now: Instant) {
        let cycle = std::mem::replace(&mut self.cycle, Cycle::new(now, 0));
        let (datagram, delivered) = (self.datagram, self.delivered);
        *self = Self::new(now, datagram, cycle.into_seed());
        self.window = self.least();
        self.first_window = self.least();
        self.delivered = delivered;
        self.rounds.restart(delivered);
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, now: Instant, bytes: u64, in_flight: u64) {
        if in_flight <= bytes && self.delivered > 0 {
            self.idle_restart = true;
            self.aggregation.restart(now);
            self.forget_unused_jump(now);
            self.leave_probe_rtt(now, in_flight, self.delivered);
        }
        if in_flight.saturating_add(self.datagram) > self.window {
            self.window_limited = true;
            self.window_limited_next = true;
        }
    }

    fn on_acked(&mut self, now: Instant, acked: &Acked) {
        let Some(mut sample) = acked.rate else { return };
        // A low rate in `ProbeRTT` is caused by the phase itself.
        sample.app_limited |= self.phase == Phase::ProbeRtt;
        self.delivered = sample.delivered;
        let turn = Turn {
            now,
            bytes: acked.bytes,
            in_flight: acked.in_flight,
            sample,
            loss_round_ended: self.signals.on_acked(acked, &sample),
            round_ended: self.rounds.on_sample(&sample),
        };
        self.max_rate.on_sample(sample.rate, sample.app_limited);
        if turn.round_ended {
            self.pipe.on_round(&sample);
        }
        self.own_loss.on_acked(acked.bytes);
        self.probe_if_suspect(&turn);
        if turn.loss_round_ended {
            self.queue = self.signals.queue(self.min_rtt.estimate());
            self.adapt_low();
        }
        self.aggregation.on_acked(
            now,
            acked.bytes,
            self.rate(),
            self.rounds.count(),
            self.window,
        );
        self.leave_startup(&turn);
        self.leave_drain(&turn);
        self.steady(&turn);
        let freshness = self.min_rtt.on_sample(now, acked.rtt);
        self.probe_rtt(&turn, freshness);
        self.resume_path(now);
        self.idle_restart = false;
        if turn.loss_round_ended {
            self.signals.begin(turn.in_flight);
        }
        if turn.round_ended {
            self.window_limited = std::mem::take(&mut self.window_limited_next);
        }
        self.set_window(&turn);
    }

    fn on_lost(&mut self, now: Instant, lost: &Lost) {
        self.save_upon_loss(lost.bytes);
        self.signals.on_lost(lost.bytes);
        self.own_loss.on_lost(lost.bytes);
        if lost.persistent {
            self.start_over(now);
        }
    }

    fn on_spurious(&mut self, now: Instant, bytes: u64) {
        self.signals.on_spurious(bytes);
        self.own_loss.on_spurious(bytes);
        self.undo_spurious(now, bytes);
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self) -> u64 {
        let gain = if self.idle_restart && self.phase.is_steady() {
            Ratio::ONE
        } else {
            self.phase.pacing_gain()
        };
        let known = PACING_MARGIN.of(gain.of(self.rate_to_send()));
        if self.pipe.ever {
            return known.max(1);
        }
        let rtt = self.min_rtt.estimate().unwrap_or(self.first_rtt);
        let first = self.first_window.saturating_mul(1_000_000) / micros(rtt).max(1);
        known
            .max(STARTUP_GAIN.of(first))
            .max(self.resumed_rate())
            .max(1)
    }

    fn on_datagram_size(&mut self, bytes: u64) {
        self.datagram = bytes.max(1);
        self.window = self.window.max(self.least());
    }

    fn resume(&mut self, known: KnownPath) {
        self.begin_with(known);
    }

    fn known_path(&self) -> Option<KnownPath> {
        let rtt = self.min_rtt.estimate()?;
        let window = self.pipe.ever.then(|| volume(self.rate(), rtt));
        let window = window.filter(|&window| window > 0);
        Some(KnownPath {
            window,
            rtt,
            variation: Duration::ZERO,
        })
    }
}
