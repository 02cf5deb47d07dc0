//! Round-trip time of a path, estimated from acknowledgements (RFC 9002 §5).
//!
//! Not a timer: it says how long to wait, not when. Invariant: until the first sample every answer
//! comes from the initial value, after it none does.

use std::time::Duration;

use super::limits::{GRANULARITY, MAX_ACK_DELAY};

/// Smoothed round-trip time, its variation and its minimum.
#[derive(Clone, Copy, Debug)]
pub struct RttEstimator {
    smoothed: Duration,
    var: Duration,
    sampled: Option<Sampled>,
}

/// What there is once a sample was taken.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    latest: Duration,
    min: Duration,
}

impl RttEstimator {
    /// Nothing measured yet on this path; `initial` is remembered from an earlier session or a default.
    #[must_use]
    pub fn new(initial: Duration) -> Self {
        Self {
            smoothed: initial,
            var: initial / 2,
            sampled: None,
        }
    }

    /// The largest newly acknowledged packet took `rtt`, of which the peer says that it held the
    /// acknowledgement back for `ack_delay`.
    pub fn on_sample(&mut self, rtt: Duration, ack_delay: Duration) {
        let Some(sampled) = &mut self.sampled else {
            self.sampled = Some(Sampled {
                latest: rtt,
                min: rtt,
            });
            self.smoothed = rtt;
            self.var = rtt / 2;
            return;
        };
        sampled.latest = rtt;
        // The minimum ignores the delay that the peer claims: it would only have to lie (§5.2).
        sampled.min = sampled.min.min(rtt);
        let delay = ack_delay.min(MAX_ACK_DELAY);
        let adjusted = if rtt >= sampled.min + delay {
            rtt.saturating_sub(delay)
        } else {
            rtt
        };
        self.var = (self.var * 3 + self.smoothed.abs_diff(adjusted)) / 4;
        self.smoothed = (self.smoothed * 7 + adjusted) / 8;
    }

    /// After persistent congestion the path is another one: the minimum starts over with the next
    /// sample (§5.2).
    pub fn forget_min(&mut self) {
        if let Some(sampled) = &mut self.sampled {
            sampled.min = Duration::MAX;
        }
    }

    /// Smoothed.
    #[must_use]
    pub fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// Mean variation.
    #[cfg(test)]
    fn var(&self) -> Duration {
        self.var
    }

    /// The latest sample; the smoothed value before there is one.
    #[must_use]
    pub fn latest(&self) -> Duration {
        self.sampled.map_or(self.smoothed, |sampled| sampled.latest)
    }

    /// The lowest sample; the smoothed value before there is one.
    #[must_use]
    pub fn min(&self) -> Duration {
        match self.sampled {
            Some(sampled) if sampled.min < Duration::MAX => sampled.min,
            _ => self.smoothed,
        }
    }

    /// Whether anything was measured.
    #[cfg(test)]
    fn is_sampled(&self) -> bool {
        self.sampled.is_some()
    }

    /// How long an acknowledgement may take before it is asked for, without backoff (§6.2.1).
    #[must_use]
    pub fn pto(&self) -> Duration {
        self.smoothed + (self.var * 4).max(GRANULARITY) + MAX_ACK_DELAY
    }

    /// How much later than an acknowledged packet another may come before it counts as lost (§6.1.2).
    #[must_use]
    pub fn loss_delay(&self) -> Duration {
        (self.smoothed.max(self.latest()) * 9 / 8).max(GRANULARITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn before_the_first_sample_the_initial_value_speaks() {
        let rtt = RttEstimator::new(ms(100));
        assert_eq!(rtt.smoothed(), ms(100));
        assert_eq!(rtt.min(), ms(100));
        assert_eq!(rtt.pto(), ms(300) + MAX_ACK_DELAY);
        assert!(!rtt.is_sampled());
    }

    #[test]
    fn the_first_sample_replaces_it() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(20), ms(9));
        assert_eq!(rtt.smoothed(), ms(20));
        assert_eq!(rtt.var(), ms(10));
        assert_eq!(rtt.latest(), ms(20));
        assert_eq!(rtt.min(), ms(20));
    }

    #[test]
    fn later_samples_are_smoothed_as_in_rfc_9002_5_3() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(80), ms(0));
        rtt.on_sample(ms(120), ms(0));
        assert_eq!(rtt.smoothed(), ms(85));
        assert_eq!(rtt.var(), ms(40));
        assert_eq!(rtt.loss_delay(), ms(135));
    }

    #[test]
    fn the_peers_delay_is_taken_off_but_only_as_far_as_it_is_credible() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(80), ms(0));
        rtt.on_sample(ms(88), ms(8));
        assert_eq!(rtt.smoothed(), ms(80));
        // Beyond the protocol's maximum it is not the receiver's delay.
        rtt.on_sample(ms(160), ms(80));
        let adjusted = ms(160).saturating_sub(MAX_ACK_DELAY);
        assert_eq!(rtt.smoothed(), (ms(80) * 7 + adjusted) / 8);
        // Nor may it take a sample below the minimum.
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(80), ms(0));
        rtt.on_sample(ms(82), ms(8));
        assert_eq!(rtt.smoothed(), (ms(80) * 7 + ms(82)) / 8);
    }

    #[test]
    fn the_minimum_starts_over_when_told() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(20), ms(0));
        rtt.on_sample(ms(90), ms(0));
        assert_eq!(rtt.min(), ms(20));
        rtt.forget_min();
        rtt.on_sample(ms(90), ms(5));
        assert_eq!(rtt.min(), ms(90));
    }

    #[test]
    fn a_steady_path_never_waits_less_than_the_granularity() {
        let mut rtt = RttEstimator::new(ms(1));
        for _ in 0..200 {
            rtt.on_sample(Duration::from_micros(100), ms(0));
        }
        assert!(rtt.pto() >= Duration::from_micros(100) + GRANULARITY + MAX_ACK_DELAY);
        assert_eq!(rtt.loss_delay(), GRANULARITY);
    }
}
