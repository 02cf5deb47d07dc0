//! A delivery-rate model of the path after BBR version 3 (draft-ietf-ccwg-bbr).

use std::time::Duration;

use super::limits::{
    INITIAL_WINDOW_BYTES, INITIAL_WINDOW_DATAGRAMS, MIN_WINDOW_DATAGRAMS, Ratio, STARTUP_GAIN,
    WINDOW_GAIN,
};
use super::{Acked, Controller, Lost};
use crate::time::{Instant, micros};

/// Pacing gains of a probing cycle, one round trip each.
const CYCLE: [Ratio; 8] = [
    Ratio(5, 4),
    Ratio(3, 4),
    Ratio(1, 1),
    Ratio(1, 1),
    Ratio(1, 1),
    Ratio(1, 1),
    Ratio(1, 1),
    Ratio(1, 1),
];

/// The controller.
#[derive(Debug)]
pub struct Bbr {
    datagram: u64,
    min_rtt: Option<Duration>,
    /// Best rates of the last rounds.
    rates: [u64; 10],
    round: usize,
    round_end: u64,
    full: u64,
    full_rounds: u32,
    window: u64,
}

impl Bbr {
    /// Nothing known of the path.
    #[must_use]
    pub fn new(_now: Instant, datagram: u64, seed: u64) -> Self {
        Self {
            datagram,
            min_rtt: None,
            rates: [0; 10],
            round: usize::try_from(seed % 8).unwrap_or(0),
            round_end: 0,
            full: 0,
            full_rounds: 0,
            window: initial_window(datagram),
        }
    }

    fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    fn gain(&self) -> Ratio {
        if self.full_rounds < 3 {
            STARTUP_GAIN
        } else {
            CYCLE[self.round % CYCLE.len()]
        }
    }

    fn least(&self) -> u64 {
        MIN_WINDOW_DATAGRAMS * self.datagram
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, _now: Instant, _bytes: u64, _in_flight: u64) {}

    fn on_acked(&mut self, _now: Instant, acked: &Acked) {
        self.min_rtt = Some(acked.min_rtt);
        let Some(sample) = acked.rate else { return };
        if sample.prior_delivered >= self.round_end {
            self.round_end = sample.delivered;
            if !sample.app_limited && self.full_rounds < 3 {
                if self.rate() >= Ratio(5, 4).of(self.full) {
                    self.full = self.rate();
                    self.full_rounds = 0;
                } else {
                    self.full_rounds += 1;
                }
            }
            self.round += 1;
            let slot = self.round % self.rates.len();
            self.rates[slot] = 0;
        }
        if !sample.app_limited || sample.rate > self.rate() {
            let slot = self.round % self.rates.len();
            self.rates[slot] = self.rates[slot].max(sample.rate);
        }
        let product = u128::from(self.rate()) * u128::from(micros(acked.min_rtt)) / 1_000_000;
        let product = u64::try_from(product).unwrap_or(u64::MAX);
        let target = WINDOW_GAIN.of(product) + 3 * self.datagram;
        let grown = self.window.saturating_add(acked.bytes);
        self.window = if self.full_rounds < 3 {
            self.window.max(grown.min(target))
        } else {
            grown.min(target)
        }
        .max(self.least());
    }

    fn on_lost(&mut self, _now: Instant, lost: &Lost) {
        if lost.persistent {
            self.rates = [0; 10];
            self.full = 0;
            self.full_rounds = 0;
            self.window = self.least();
        }
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self) -> u64 {
        let rate = if self.rate() > 0 {
            self.rate()
        } else {
            let rtt = self.min_rtt.unwrap_or(Duration::from_millis(1));
            self.window.saturating_mul(1_000_000) / micros(rtt).max(1)
        };
        self.gain().of(rate).max(1)
    }

    fn on_datagram_size(&mut self, bytes: u64) {
        self.datagram = bytes;
        self.window = self.window.max(self.least());
    }
}

/// RFC 9002 §7.2.
fn initial_window(datagram: u64) -> u64 {
    (INITIAL_WINDOW_DATAGRAMS * datagram).min(INITIAL_WINDOW_BYTES.max(2 * datagram))
}
