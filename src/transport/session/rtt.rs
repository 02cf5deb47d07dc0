//! Round-trip time of a path, estimated from acknowledgements (RFC 9002 §5).
//!
//! It computes durations and sets no timer. Invariant: before the first sample every estimate follows from the initial
//! values, and afterwards none does, but for the variation that an earlier session has measured on what seems to be the
//! same path.

use std::time::Duration;

use super::limits::{GRANULARITY, MAX_ACK_DELAY};

/// Smoothed round-trip time, its variation and its minimum.
#[derive(Clone, Copy, Debug)]
pub struct RttEstimator {
    smoothed: Duration,
    var: Duration,
    /// True if both are those of an earlier session, until the first sample.
    is_remembered: bool,
    sampled: Option<Sampled>,
}

/// Values that exist from the first sample on.
#[derive(Clone, Copy, Debug)]
struct Sampled {
    latest: Duration,
    min: Duration,
}

impl RttEstimator {
    /// Creates an estimator without samples.
    #[must_use]
    pub fn new(initial: Duration) -> Self {
        Self {
            smoothed: initial,
            var: initial / 2,
            is_remembered: false,
            sampled: None,
        }
    }

    /// Creates an estimator without samples from the estimates of an earlier session. A first sample from half to twice
    /// of the remembered time continues its variation.
    #[must_use]
    pub fn remembered(smoothed: Duration, variation: Duration) -> Self {
        let smoothed = smoothed.max(GRANULARITY);
        Self {
            var: variation.min(smoothed / 2),
            is_remembered: true,
            ..Self::new(smoothed)
        }
    }

    /// Adds a sample: the round-trip time of the largest newly acknowledged datagram, and the delay of the
    /// acknowledgement that the peer reports.
    pub fn on_sample(&mut self, rtt: Duration, ack_delay: Duration) {
        let Some(sampled) = &mut self.sampled else {
            self.sampled = Some(Sampled {
                latest: rtt,
                min: rtt,
            });
            let is_similar = rtt * 2 >= self.smoothed && rtt <= self.smoothed * 2;
            self.var = if std::mem::take(&mut self.is_remembered) && is_similar {
                (rtt / 2).min((self.var * 3 + self.smoothed.abs_diff(rtt)) / 4)
            } else {
                rtt / 2
            };
            self.smoothed = rtt;
            return;
        };
        sampled.latest = rtt;
        // The minimum ignores the reported delay, which the peer could exaggerate (§5.2).
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

    /// Discards the minimum, which starts over with the next sample: after persistent congestion the path may
    /// have changed (§5.2).
    pub fn forget_min(&mut self) {
        if let Some(sampled) = &mut self.sampled {
            sampled.min = Duration::MAX;
        }
    }

    /// Returns the smoothed round-trip time.
    #[must_use]
    pub fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// Returns the mean variation.
    #[must_use]
    pub fn var(&self) -> Duration {
        self.var
    }

    /// Returns the latest sample, or the smoothed value if there is none.
    #[must_use]
    pub fn latest(&self) -> Duration {
        self.sampled.map_or(self.smoothed, |sampled| sampled.latest)
    }

    /// Returns the lowest sample, or the smoothed value if there is none.
    #[must_use]
    pub fn min(&self) -> Duration {
        match self.sampled {
            Some(sampled) if sampled.min < Duration::MAX => sampled.min,
            _ => self.smoothed,
        }
    }

    #[cfg(test)]
    fn is_sampled(&self) -> bool {
        self.sampled.is_some()
    }

    /// Returns the probe timeout without backoff (§6.2.1).
    #[must_use]
    pub fn pto(&self) -> Duration {
        self.smoothed + (self.var * 4).max(GRANULARITY) + MAX_ACK_DELAY
    }

    /// Returns the age at which a datagram sent before an acknowledged one counts as lost, for a time threshold
    /// in eighths of a round trip (§6.1.2).
    #[must_use]
    pub fn loss_delay(&self, time_threshold: u32) -> Duration {
        (self.longest_recent() * time_threshold / 8).max(GRANULARITY)
    }

    /// Returns the longer of the smoothed and the latest round-trip time, to which the time threshold refers.
    #[must_use]
    pub fn longest_recent(&self) -> Duration {
        self.smoothed.max(self.latest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::limits::TIME_THRESHOLD;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn estimates_before_the_first_sample_follow_from_the_initial_value() {
        let rtt = RttEstimator::new(ms(100));
        assert_eq!(rtt.smoothed(), ms(100));
        assert_eq!(rtt.min(), ms(100));
        assert_eq!(rtt.pto(), ms(300) + MAX_ACK_DELAY);
        assert!(!rtt.is_sampled());
    }

    #[test]
    fn a_first_sample_like_the_remembered_time_continues_its_variation() {
        let remembered = RttEstimator::remembered(ms(100), ms(4));
        assert_eq!(remembered.pto(), ms(116) + MAX_ACK_DELAY);
        for (sample, var) in [(50, ms(31) / 2), (100, ms(3)), (104, ms(4)), (200, ms(28))] {
            let mut rtt = remembered;
            rtt.on_sample(ms(sample), ms(0));
            assert_eq!((rtt.smoothed(), rtt.min()), (ms(sample), ms(sample)));
            assert_eq!(rtt.var(), var, "after {sample} ms");
        }
        // Another path.
        for sample in [49, 201] {
            let mut rtt = remembered;
            rtt.on_sample(ms(sample), ms(0));
            assert_eq!(rtt.var(), ms(sample) / 2, "after {sample} ms");
        }
        // A variation that no estimate has is none.
        let exaggerated = RttEstimator::remembered(ms(100), Duration::MAX);
        assert_eq!(exaggerated.pto(), ms(300) + MAX_ACK_DELAY);
    }

    #[test]
    fn the_first_sample_replaces_the_initial_value() {
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
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD), ms(135));
    }

    #[test]
    fn the_reported_ack_delay_is_subtracted_within_bounds() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(80), ms(0));
        rtt.on_sample(ms(88), ms(8));
        assert_eq!(rtt.smoothed(), ms(80));
        // A delay above the protocol's maximum is not the receiver's.
        rtt.on_sample(ms(160), ms(80));
        let adjusted = ms(160).saturating_sub(MAX_ACK_DELAY);
        assert_eq!(rtt.smoothed(), (ms(80) * 7 + adjusted) / 8);
        // The delay must not take a sample below the minimum.
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(80), ms(0));
        rtt.on_sample(ms(82), ms(8));
        assert_eq!(rtt.smoothed(), (ms(80) * 7 + ms(82)) / 8);
    }

    #[test]
    fn the_minimum_starts_over_after_forget_min() {
        let mut rtt = RttEstimator::new(ms(100));
        rtt.on_sample(ms(20), ms(0));
        rtt.on_sample(ms(90), ms(0));
        assert_eq!(rtt.min(), ms(20));
        rtt.forget_min();
        rtt.on_sample(ms(90), ms(5));
        assert_eq!(rtt.min(), ms(90));
    }

    #[test]
    fn timeouts_of_a_steady_path_are_at_least_the_granularity() {
        let mut rtt = RttEstimator::new(ms(1));
        for _ in 0..200 {
            rtt.on_sample(Duration::from_micros(100), ms(0));
        }
        assert!(rtt.pto() >= Duration::from_micros(100) + GRANULARITY + MAX_ACK_DELAY);
        assert_eq!(rtt.loss_delay(TIME_THRESHOLD), GRANULARITY);
    }
}
