//! The steady state (BBR, `ProbeBW`): Down, Cruise, Refill, Up, and the bounds that probing finds.

use std::time::Duration;

use super::super::limits::{
    BETA, HEADROOM, PROBE_ROUNDS, PROBE_WAIT, PROBE_WAIT_SPREAD, Ratio, SLOPE_ROUNDS, UP_GAIN,
};
use super::signals::Verdict;
use super::{Bbr, Phase, Turn};
use crate::time::{Instant, micros};

/// Bounds of the path. `None` means that no bound was met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Largest volume found by probing (BBR, `inflight_longterm`).
    pub volume_high: Option<u64>,
    /// Volume left by recent congestion, until the next probe (BBR, `inflight_shortterm`).
    pub volume_low: Option<u64>,
    /// Rate left by recent congestion, until the next probe (BBR, `bw_shortterm`).
    pub rate_low: Option<u64>,
}

impl Bounds {
    pub fn forget_recent(&mut self) {
        self.volume_low = None;
        self.rate_low = None;
    }

    /// Returns the looser of each bound.
    pub fn looser(self, other: Self) -> Self {
        let looser = |one: Option<u64>, other: Option<u64>| Some(one?.max(other?));
        Self {
            volume_high: looser(self.volume_high, other.volume_high),
            volume_low: looser(self.volume_low, other.volume_low),
            rate_low: looser(self.rate_low, other.rate_low),
        }
    }
}

/// State of the probing cycle.
#[derive(Debug)]
pub struct Cycle {
    /// Time at which Down began.
    since: Instant,
    /// Time from then to the next probe.
    wait: Duration,
    /// Rounds since the last probe.
    rounds: u64,
    /// Subject of the ACKs that arrive now.
    feedback: Feedback,
    /// True while the samples of the last probe still arrive.
    advance_pending: bool,
    /// Rounds of Up so far.
    slope: u32,
    /// Bytes acknowledged per datagram of growth in Up.
    acked_per_datagram: u64,
    /// Bytes acknowledged and not yet turned into growth.
    acked: u64,
    /// Time at which Up began.
    up_since: Instant,
    random: u64,
}

/// Packets that the arriving ACKs are about (BBR, `ack_phase`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Feedback {
    /// Packets that were not sent by a probe.
    None,
    /// Packets of a running probe.
    Probe,
    /// Last packets of a probe that is over, until the end of this round.
    Tail,
}

impl Cycle {
    pub fn new(now: Instant, seed: u64) -> Self {
        Self {
            since: now,
            wait: PROBE_WAIT,
            rounds: 0,
            feedback: Feedback::None,
            advance_pending: false,
            slope: 0,
            acked_per_datagram: u64::MAX,
            acked: 0,
            up_since: now,
            random: seed,
        }
    }

    /// Begins a cycle that no probe preceded.
    pub fn restart(&mut self, now: Instant) {
        self.draw(now);
        self.feedback = Feedback::None;
    }

    /// Begins a cycle as [`restart`](Self::restart) does, with a probe for bandwidth at once.
    pub fn restart_probing(&mut self, now: Instant) {
        self.restart(now);
        self.wait = Duration::ZERO;
    }

    /// Returns a seed for another cycle.
    pub fn into_seed(self) -> u64 {
        self.random
    }

    /// Draws the time of the next probe at random: flows that started together must not probe
    /// together.
    fn draw(&mut self, now: Instant) {
        let random = self.random();
        self.since = now;
        self.wait = PROBE_WAIT + Duration::from_micros(random % micros(PROBE_WAIT_SPREAD));
        self.rounds = random >> 63;
    }

    /// `SplitMix64`: sufficient for a phase offset, with one word of state.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Bbr {
    /// Advances the cycle by one ACK.
    pub(super) fn steady(&mut self, turn: &Turn) {
        if turn.round_ended {
            self.cycle.rounds += 1;
        }
        if !self.pipe.ever {
            return;
        }
        self.learn_from_probe(turn);
        match self.phase {
            Phase::Down => {
                if self.is_time_to_probe(turn) {
                    self.start_refill(turn);
                } else if turn.in_flight <= self.volume_with_headroom()
                    && turn.in_flight <= self.inflight(Ratio::ONE)
                {
                    self.phase = Phase::Cruise;
                }
            }
            Phase::Cruise => {
                if self.is_time_to_probe(turn) {
                    self.start_refill(turn);
                }
            }
            Phase::Refill => {
                if turn.round_ended {
                    self.start_up(turn);
                }
            }
            Phase::Up => {
                if self.is_probe_done(turn) {
                    self.start_down(turn);
                }
            }
            Phase::Startup | Phase::Drain | Phase::ProbeRtt => {}
        }
    }

    pub(super) fn start_down(&mut self, turn: &Turn) {
        self.signals.begin(turn.in_flight);
        self.cycle.draw(turn.now);
        self.cycle.acked_per_datagram = u64::MAX;
        self.cycle.feedback = match self.cycle.feedback {
            Feedback::None => Feedback::None,
            Feedback::Probe | Feedback::Tail => Feedback::Tail,
        };
        self.cycle.advance_pending = true;
        self.rounds.restart(turn.sample.delivered);
        self.phase = Phase::Down;
    }

    fn start_refill(&mut self, turn: &Turn) {
        self.bounds.forget_recent();
        self.cycle.slope = 0;
        self.cycle.acked = 0;
        self.rounds.restart(turn.sample.delivered);
        self.phase = Phase::Refill;
    }

    fn start_up(&mut self, turn: &Turn) {
        self.rounds.restart(turn.sample.delivered);
        self.signals.begin(turn.in_flight);
        self.pipe.restart(turn.sample.rate);
        self.resume_up(turn.now);
    }

    /// Begins Up, also after a spurious loss ended it.
    pub(super) fn resume_up(&mut self, now: Instant) {
        self.cycle.feedback = Feedback::Probe;
        self.cycle.up_since = now;
        self.phase = Phase::Up;
        self.steepen();
    }

    /// Returns true if a probe for bandwidth is due by time or by rounds (`T_bbr`, `T_reno`).
    fn is_time_to_probe(&self, turn: &Turn) -> bool {
        let reno = self.inflight(Ratio::ONE).min(self.window) / self.datagram;
        turn.now > self.cycle.since + self.cycle.wait || self.cycle.rounds >= reno.min(PROBE_ROUNDS)
    }

    /// Returns true at the end of Up: a quarter more is in flight, or the delivery rate did not
    /// grow for three rounds. Up goes on while it is limited by a bound that it is just raising.
    fn is_probe_done(&mut self, turn: &Turn) -> bool {
        if self.is_held_back() {
            self.pipe.restart(turn.sample.rate);
            return false;
        }
        let a_round = self.min_rtt.estimate().unwrap_or_default();
        self.pipe.now
            || turn.now > self.cycle.up_since + a_round && turn.in_flight >= self.inflight(UP_GAIN)
    }

    /// Returns true if the sender is limited by the bound that probing found.
    fn is_held_back(&self) -> bool {
        self.window_limited
            && self
                .bounds
                .volume_high
                .is_some_and(|high| self.window >= high)
    }

    /// Takes the ACKs of a probe into account: raises the long-term bound, or ends the probe.
    fn learn_from_probe(&mut self, turn: &Turn) {
        if turn.round_ended && self.cycle.advance_pending && self.phase != Phase::ProbeRtt {
            // The last samples of the probe have arrived: the maximum of the cycle is known.
            self.cycle.advance_pending = false;
            if !turn.sample.app_limited {
                self.max_rate.advance();
            }
        }
        if turn.round_ended && self.cycle.feedback == Feedback::Tail && self.phase != Phase::Up {
            self.cycle.feedback = Feedback::None;
        }
        if self.cycle.feedback != Feedback::None && self.verdict() != Verdict::Clear {
            self.on_probe_too_high(turn);
            return;
        }
        let Some(high) = self.bounds.volume_high else {
            return;
        };
        if self.verdict() == Verdict::Clear {
            self.bounds.volume_high = Some(high.max(turn.sample.tx_in_flight));
            if self.phase == Phase::Up {
                self.raise_high(turn);
            }
        }
    }

    /// Lowers the long-term bound after a probe that met it, once per probe.
    fn on_probe_too_high(&mut self, turn: &Turn) {
        self.note_reaction();
        self.cycle.feedback = Feedback::None;
        if !turn.sample.app_limited {
            let target = self.inflight(Ratio::ONE).min(self.window);
            self.bounds.volume_high = Some(self.proven_volume().max(BETA.of(target)));
        }
        if self.phase == Phase::Up {
            self.start_down(turn);
        }
    }

    /// Raises the bound by 1, 2, 4, 8 … datagrams a round, as long as it limits the sender.
    fn raise_high(&mut self, turn: &Turn) {
        if !self.is_held_back() {
            return;
        }
        self.cycle.acked = self.cycle.acked.saturating_add(turn.bytes);
        let datagrams = self.cycle.acked / self.cycle.acked_per_datagram;
        self.cycle.acked -= datagrams * self.cycle.acked_per_datagram;
        if let Some(high) = &mut self.bounds.volume_high {
            *high = high.saturating_add(datagrams.saturating_mul(self.datagram));
        }
        if turn.round_ended {
            self.steepen();
        }
    }

    /// Doubles the growth of the bound for the next round.
    fn steepen(&mut self) {
        self.cycle.acked_per_datagram = (self.window >> self.cycle.slope).max(self.datagram);
        self.cycle.slope = (self.cycle.slope + 1).min(SLOPE_ROUNDS);
    }

    /// Part of the bound found by probing that Cruise may use.
    pub(super) fn volume_with_headroom(&self) -> u64 {
        self.bounds.volume_high.map_or(u64::MAX, |high| {
            HEADROOM
                .of(high)
                .min(high.saturating_sub(self.datagram))
                .max(self.least())
        })
    }

    /// Adapts the short-term bounds, once per round outside of probes: congestion reduces rate and
    /// volume to what still arrives, by three tenths at most.
    pub(super) fn adapt_low(&mut self) {
        let answered = self.phase.is_probing() || self.phase == Phase::ProbeRtt;
        if answered || self.verdict() == Verdict::Clear {
            return;
        }
        self.note_reaction();
        let rate = self.bounds.rate_low.unwrap_or(self.max_rate.best());
        let volume = self.bounds.volume_low.unwrap_or(self.window);
        self.bounds.rate_low = Some(self.signals.rate().max(BETA.of(rate)));
        self.bounds.volume_low = Some(self.proven_volume().max(BETA.of(volume)));
    }
}
