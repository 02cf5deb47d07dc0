//! The steady state: Down, Cruise, Refill, Up, and what a probe for bandwidth teaches.

use std::time::Duration;

use super::super::limits::{
    BETA, HEADROOM, PROBE_ROUNDS, PROBE_WAIT, PROBE_WAIT_SPREAD, Ratio, SLOPE_ROUNDS, UP_GAIN,
};
use super::signals::Verdict;
use super::{Bbr, Phase, Turn};
use crate::time::{Instant, micros};

/// What the path was found to bear. `None` means that no bound was met.
#[derive(Debug, Default)]
pub struct Bounds {
    /// Volume that probing found to be the most.
    pub volume_high: Option<u64>,
    /// Volume and rate that recent congestion left; gone with the next probe.
    pub volume_low: Option<u64>,
    pub rate_low: Option<u64>,
}

impl Bounds {
    pub fn forget_recent(&mut self) {
        self.volume_low = None;
        self.rate_low = None;
    }
}

/// Where the steady state is in its cycle.
#[derive(Debug)]
pub struct Cycle {
    /// When Down began.
    since: Instant,
    /// How long from then to the next probe.
    wait: Duration,
    /// Rounds since the last probe.
    rounds: u64,
    /// What loss and marks say is about the probe.
    feedback: Feedback,
    /// The best samples of the cycle are still coming in.
    advance_pending: bool,
    /// Rounds of Up so far.
    slope: u32,
    /// Bytes acknowledged per datagram of growth in Up, and those not yet turned into one.
    acked_per_datagram: u64,
    acked: u64,
    /// When Up began.
    up_since: Instant,
    random: u64,
}

/// Which packets the ACKs that come in now are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Feedback {
    /// Not those of a probe.
    None,
    /// Those of a probe.
    Probe,
    /// The last of a probe that is over; after this round not any more.
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

    /// The clock starts without a probe before it.
    pub fn restart(&mut self, now: Instant) {
        self.draw(now);
        self.feedback = Feedback::None;
    }

    /// As [`restart`](Self::restart), but with a probe for bandwidth at once.
    pub fn restart_probing(&mut self, now: Instant) {
        self.restart(now);
        self.wait = Duration::ZERO;
    }

    /// What another cycle may be seeded with.
    pub fn into_seed(self) -> u64 {
        self.random
    }

    /// Draws when to probe next: flows that started together must not probe together.
    fn draw(&mut self, now: Instant) {
        let random = self.random();
        self.since = now;
        self.wait = PROBE_WAIT + Duration::from_micros(random % micros(PROBE_WAIT_SPREAD));
        self.rounds = random >> 63;
    }

    /// `SplitMix64`: enough for a phase offset, and a word of state.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Bbr {
    /// One step of the cycle, for each ACK.
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
        self.cycle.feedback = Feedback::Probe;
        self.cycle.up_since = turn.now;
        self.rounds.restart(turn.sample.delivered);
        self.signals.begin(turn.in_flight);
        self.pipe.restart(turn.sample.rate);
        self.phase = Phase::Up;
        self.steepen();
    }

    fn is_time_to_probe(&self, turn: &Turn) -> bool {
        let reno = self.inflight(Ratio::ONE).min(self.window) / self.datagram;
        turn.now > self.cycle.since + self.cycle.wait || self.cycle.rounds >= reno.min(PROBE_ROUNDS)
    }

    /// Up ends when it has put a quarter more in flight, or when for three rounds nothing came of it;
    /// but not while it is held back by a bound that it is just raising.
    fn is_probe_done(&mut self, turn: &Turn) -> bool {
        if self.is_held_back() {
            self.pipe.restart(turn.sample.rate);
            return false;
        }
        let a_round = self.min_rtt.estimate().unwrap_or_default();
        self.pipe.now
            || turn.now > self.cycle.up_since + a_round && turn.in_flight >= self.inflight(UP_GAIN)
    }

    /// Whether the sender would send more, were it not for the bound that probing found.
    fn is_held_back(&self) -> bool {
        self.window_limited
            && self
                .bounds
                .volume_high
                .is_some_and(|high| self.window >= high)
    }

    fn learn_from_probe(&mut self, turn: &Turn) {
        if turn.round_ended && self.cycle.advance_pending && self.phase != Phase::ProbeRtt {
            // The last samples of the probe are in: the cycle has shown its best.
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

    /// The probe has met the bound; once per probe.
    fn on_probe_too_high(&mut self, turn: &Turn) {
        self.cycle.feedback = Feedback::None;
        if !turn.sample.app_limited {
            let target = self.inflight(Ratio::ONE).min(self.window);
            self.bounds.volume_high = Some(self.proven_volume().max(BETA.of(target)));
        }
        if self.phase == Phase::Up {
            self.start_down(turn);
        }
    }

    /// Grows the bound by 1, 2, 4, 8 … datagrams a round, as long as it is what holds the sender back.
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

    fn steepen(&mut self) {
        self.cycle.acked_per_datagram = (self.window >> self.cycle.slope).max(self.datagram);
        self.cycle.slope = (self.cycle.slope + 1).min(SLOPE_ROUNDS);
    }

    /// What Cruise may use of the bound that probing found.
    pub(super) fn volume_with_headroom(&self) -> u64 {
        self.bounds.volume_high.map_or(u64::MAX, |high| {
            HEADROOM
                .of(high)
                .min(high.saturating_sub(self.datagram))
                .max(self.least())
        })
    }

    /// Once per round outside of probes: congestion takes rate and volume down to what still arrives, by
    /// three tenths at most.
    pub(super) fn adapt_low(&mut self) {
        let answered = self.phase.is_probing() || self.phase == Phase::ProbeRtt;
        if answered || self.verdict() == Verdict::Clear {
            return;
        }
        let rate = self.bounds.rate_low.unwrap_or(self.max_rate.best());
        let volume = self.bounds.volume_low.unwrap_or(self.window);
        self.bounds.rate_low = Some(self.signals.rate().max(BETA.of(rate)));
        self.bounds.volume_low = Some(self.proven_volume().max(BETA.of(volume)));
    }
}
