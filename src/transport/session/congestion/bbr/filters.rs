//! Filters over samples: rounds, maximum delivery rate, minimum round-trip time, ACK aggregation.
//!
//! Each filter keeps one extreme value over its own kind of time. The phases decide what a value
//! means. Invariant: memory is constant.

use std::time::Duration;

use super::super::RateSample;
use super::super::limits::{AGGREGATION_ROUNDS, MIN_RTT_AGE, PROBE_RTT_INTERVAL, Ratio};
use crate::time::{Instant, micros};

/// Bytes that `rate` delivers in `time`.
pub fn volume(rate: u64, time: Duration) -> u64 {
    Ratio(micros(time), 1_000_000).of(rate)
}

/// Round trips, counted by packets: a round ends when a packet is acknowledged that was sent after
/// the round began.
#[derive(Debug, Default)]
pub struct Rounds {
    end: u64,
    count: u64,
}

impl Rounds {
    /// Counts a sample. Returns true if it ends a round.
    pub fn on_sample(&mut self, sample: &RateSample) -> bool {
        let ended = sample.prior_delivered >= self.end;
        if ended {
            self.count += 1;
            self.end = sample.delivered;
        }
        ended
    }

    /// Begins a new round.
    pub fn restart(&mut self, delivered: u64) {
        self.end = delivered;
    }

    /// Number of rounds that have ended.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Maximum delivery rate of this probing cycle and the previous one (BBR, `MaxBwFilter`).
#[derive(Debug, Default)]
pub struct MaxRate {
    current: u64,
    previous: u64,
}

impl MaxRate {
    /// Adds a sample. An application-limited sample shows that the path can carry this much, not
    /// that it cannot carry more: it only raises the maximum.
    pub fn on_sample(&mut self, rate: u64, app_limited: bool) {
        if !app_limited || rate >= self.best() {
            self.current = self.current.max(rate);
        }
    }

    /// Begins the next cycle.
    pub fn advance(&mut self) {
        // A cycle in which the application never filled the path has measured nothing.
        if self.current > 0 {
            self.previous = self.current;
            self.current = 0;
        }
    }

    /// Maximum in bytes per second; 0 if nothing was measured.
    pub fn best(&self) -> u64 {
        self.current.max(self.previous)
    }
}

/// Minimum round-trip time over a few seconds, and the age of that minimum.
#[derive(Debug)]
pub struct MinRtt {
    /// The estimate, and the time of its sample.
    rtt: Option<(Duration, Instant)>,
    /// Minimum since the last probe.
    recent: Duration,
    recent_at: Instant,
}

/// Age of the minimum: a stale one asks for the queue to be drained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    Fresh,
    Stale,
}

impl MinRtt {
    pub fn new(now: Instant) -> Self {
        Self {
            rtt: None,
            recent: Duration::MAX,
            recent_at: now,
        }
    }

    /// Adds a sample. Returns the freshness of the minimum at this time.
    pub fn on_sample(&mut self, now: Instant, sample: Option<Duration>) -> Freshness {
        let stale = now > self.recent_at + PROBE_RTT_INTERVAL;
        if let Some(rtt) = sample
            && (rtt <= self.recent || stale)
        {
            self.recent = rtt;
            self.recent_at = now;
        }
        let expired = self.rtt.is_none_or(|(_, at)| now > at + MIN_RTT_AGE);
        if self.recent < Duration::MAX
            && (expired || self.rtt.is_none_or(|(rtt, _)| self.recent <= rtt))
        {
            self.rtt = Some((self.recent, self.recent_at));
        }
        if stale {
            Freshness::Stale
        } else {
            Freshness::Fresh
        }
    }

    /// Notes that the queue was drained; the next probe is due an interval later.
    pub fn on_probed(&mut self, now: Instant) {
        self.recent_at = now;
    }

    pub fn estimate(&self) -> Option<Duration> {
        self.rtt.map(|(rtt, _)| rtt)
    }
}

/// Bytes acknowledged at once beyond what the estimated rate explains (BBR, `extra_acked`). The
/// window must cover them, or the sender would be idle between bursts of ACKs.
#[derive(Debug)]
pub struct Aggregation {
    since: Instant,
    acked: u64,
    /// Maximum of the current rounds; `previous` has that of the rounds before.
    current: u64,
    previous: u64,
    turned_at: u64,
}

impl Aggregation {
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            acked: 0,
            current: 0,
            previous: 0,
            turned_at: 0,
        }
    }

    /// Processes an ACK. `rate` is the bandwidth estimate, `round` the number of rounds. The extra
    /// never exceeds `window`.
    pub fn on_acked(&mut self, now: Instant, bytes: u64, rate: u64, round: u64, window: u64) {
        if round >= self.turned_at + AGGREGATION_ROUNDS / 2 {
            self.previous = self.current;
            self.current = 0;
            self.turned_at = round;
        }
        let mut expected = volume(rate, now.since(self.since));
        if self.acked <= expected {
            self.acked = 0;
            self.since = now;
            expected = 0;
        }
        self.acked = self.acked.saturating_add(bytes);
        let extra = self.acked.saturating_sub(expected).min(window);
        self.current = self.current.max(extra);
    }

    /// Begins a new interval after idle time of the application.
    pub fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acked = 0;
    }

    /// Maximum of the extra, in bytes.
    pub fn extra(&self) -> u64 {
        self.current.max(self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_app_limited_sample_raises_the_maximum_but_never_lowers_it() {
        let mut rate = MaxRate::default();
        rate.on_sample(1000, false);
        rate.on_sample(500, true);
        rate.advance();
        assert_eq!(rate.best(), 1000);
        rate.on_sample(500, true);
        rate.advance();
        rate.advance();
        assert_eq!(rate.best(), 1000);
        rate.on_sample(2000, true);
        assert_eq!(rate.best(), 2000);
    }

    #[test]
    fn a_rate_sample_is_forgotten_after_two_cycles() {
        let mut rate = MaxRate::default();
        rate.on_sample(1000, false);
        rate.advance();
        rate.on_sample(100, false);
        assert_eq!(rate.best(), 1000);
        rate.advance();
        rate.on_sample(100, false);
        assert_eq!(rate.best(), 100);
    }

    #[test]
    fn a_minimum_rtt_is_stale_after_five_seconds_and_expires_after_ten() {
        let mut min = MinRtt::new(at(0));
        assert_eq!(min.on_sample(at(0), Some(ms(50))), Freshness::Fresh);
        assert_eq!(min.on_sample(at(5000), Some(ms(60))), Freshness::Fresh);
        assert_eq!(min.on_sample(at(5001), Some(ms(60))), Freshness::Stale);
        assert_eq!(min.estimate(), Some(ms(50)));
        min.on_probed(at(5300));
        assert_eq!(min.on_sample(at(10_001), Some(ms(70))), Freshness::Fresh);
        assert_eq!(min.estimate(), Some(ms(60)));
    }

    #[test]
    fn a_sample_equal_to_the_minimum_rtt_keeps_it_fresh() {
        let mut min = MinRtt::new(at(0));
        for second in 0..30 {
            let freshness = min.on_sample(at(second * 1000), Some(ms(50)));
            assert_eq!(freshness, Freshness::Fresh);
        }
    }

    #[test]
    fn aggregated_acks_are_counted_as_extra() {
        let mut aggregation = Aggregation::new(at(0));
        for burst in 1..20 {
            // A megabyte a second, acknowledged every 10 ms.
            aggregation.on_acked(at(burst * 10), 10_000, 1_000_000, burst, 100_000);
        }
        assert_eq!(aggregation.extra(), 10_000);
        // Once ACKs fall behind the rate, the burst is over; it is forgotten after ten rounds.
        for smooth in 0..400 {
            let round = 20 + smooth / 10;
            aggregation.on_acked(at(191 + smooth), 900, 1_000_000, round, 100_000);
        }
        assert!(aggregation.extra() <= 2000);
    }
}
