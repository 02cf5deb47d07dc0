//! What is remembered of samples: rounds, the best rate, the lowest round trip, the burstiest ACK.
//!
//! Each keeps one extreme over its own kind of time. Not a judge: what a value means is decided in the
//! phases. Invariant: memory is constant.

use std::time::Duration;

use super::super::RateSample;
use super::super::limits::{AGGREGATION_ROUNDS, MIN_RTT_AGE, PROBE_RTT_INTERVAL};
use crate::time::{Instant, micros};

/// Bytes that `rate` delivers in `time`.
pub fn volume(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * u128::from(micros(time)) / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Round trips, counted by packets: one ends when a packet is acknowledged that left after it began.
#[derive(Debug, Default)]
pub struct Rounds {
    end: u64,
    count: u64,
}

impl Rounds {
    /// Whether the sample ends a round.
    pub fn on_sample(&mut self, sample: &RateSample) -> bool {
        let ended = sample.prior_delivered >= self.end;
        if ended {
            self.count += 1;
            self.end = sample.delivered;
        }
        ended
    }

    /// Begins one now.
    pub fn restart(&mut self, delivered: u64) {
        self.end = delivered;
    }

    /// How many have ended.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The best delivery rate of this probing cycle and the one before.
#[derive(Debug, Default)]
pub struct MaxRate {
    current: u64,
    previous: u64,
}

impl MaxRate {
    /// Takes a sample in. What the application limited says that the path can do this much, not that it
    /// cannot do more: it only raises.
    pub fn on_sample(&mut self, rate: u64, app_limited: bool) {
        if !app_limited || rate >= self.best() {
            self.current = self.current.max(rate);
        }
    }

    /// A cycle has ended.
    pub fn advance(&mut self) {
        // A cycle in which the application never filled the path has measured nothing.
        if self.current > 0 {
            self.previous = self.current;
            self.current = 0;
        }
    }

    /// Bytes per second; 0 when nothing was measured.
    pub fn best(&self) -> u64 {
        self.current.max(self.previous)
    }
}

/// The lowest round trip of some seconds, and whether it is time to look for one.
#[derive(Debug)]
pub struct MinRtt {
    /// The estimate, and since when it stands.
    rtt: Option<(Duration, Instant)>,
    /// The lowest since the last probe.
    recent: Duration,
    recent_at: Instant,
}

/// Whether the queue should be drained for a fresh minimum.
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

    /// The queue was drained: the next time is an interval away.
    pub fn on_probed(&mut self, now: Instant) {
        self.recent_at = now;
    }

    pub fn estimate(&self) -> Option<Duration> {
        self.rtt.map(|(rtt, _)| rtt)
    }
}

/// How much more than the rate explains was acknowledged at once: the window must cover it, or the sender
/// would stand still between bursts of ACKs.
#[derive(Debug)]
pub struct Aggregation {
    since: Instant,
    acked: u64,
    /// Most in these rounds and in those before.
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

    /// `rate` is the bandwidth estimate, `round` the count of rounds; the extra is never above `window`.
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

    /// The silence before now was the application's.
    pub fn restart(&mut self, now: Instant) {
        self.since = now;
        self.acked = 0;
    }

    /// Bytes.
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
    fn an_app_limited_sample_raises_but_never_stands_for_the_cycle() {
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
    fn a_rate_is_forgotten_after_two_cycles() {
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
    fn a_minimum_goes_stale_in_five_seconds_and_away_in_ten() {
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
    fn meeting_the_minimum_again_keeps_it_fresh() {
        let mut min = MinRtt::new(at(0));
        for second in 0..30 {
            let freshness = min.on_sample(at(second * 1000), Some(ms(50)));
            assert_eq!(freshness, Freshness::Fresh);
        }
    }

    #[test]
    fn bunched_acks_show_as_extra() {
        let mut aggregation = Aggregation::new(at(0));
        for burst in 1..20 {
            // A megabyte a second, but acknowledged every 10 ms.
            aggregation.on_acked(at(burst * 10), 10_000, 1_000_000, burst, 100_000);
        }
        assert_eq!(aggregation.extra(), 10_000);
        // Once ACKs fall behind the rate, the burst is over, and forgotten after ten rounds.
        for smooth in 0..400 {
            let round = 20 + smooth / 10;
            aggregation.on_acked(at(191 + smooth), 900, 1_000_000, round, 100_000);
        }
        assert!(aggregation.extra() <= 2000);
    }
}
