//! A token bucket that spreads a window over a round trip (RFC 9002 §7.7).
//!
//! Neither a clock nor a queue: it says how many bytes may leave now, and when more may. Credit is
//! counted in millionths of a byte. A rate in bytes per second earns exactly that many in a
//! microsecond, so nothing is lost to rounding.
//!
//! Invariants: the bytes sent in any interval never exceed the rate times the interval plus one
//! bucket. At [`Pacer::ready_at`] the requested bytes are allowed, so a sender that sleeps until
//! then never spins.

use std::time::Duration;

use super::limits::{BURST_TIME, QUANTUM_MAX, QUANTUM_TIME, initial_window};
use crate::time::{Instant, micros};
use crate::wire::limits::MIN_DATAGRAM;

/// Units of credit in a byte.
const UNIT: u64 = 1_000_000;

/// Decides when the next datagrams may leave.
#[derive(Debug)]
pub struct Pacer {
    /// Credit earned and not yet spent, in [`UNIT`]s. Negative after packets that had to leave at
    /// once, such as probes.
    credit: i64,
    /// Time up to which credit was earned.
    earned: Instant,
    /// Bytes of one datagram.
    datagram: u64,
}

impl Pacer {
    /// Returns a pacer with a full bucket.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let datagram = MIN_DATAGRAM as u64;
        Self {
            credit: units(initial_window(datagram)),
            earned: now,
            datagram,
        }
    }

    /// Adopts a new datagram size of the path.
    pub fn on_datagram_size(&mut self, bytes: u64) {
        self.datagram = bytes.max(1);
    }

    /// Returns the bytes that may be sent now at `rate` bytes per second: zero, or at least one
    /// datagram.
    pub fn allowance(&mut self, now: Instant, rate: u64) -> u64 {
        self.credit = self.credit_at(now, rate);
        self.earned = self.earned.max(now);
        let bytes = u64::try_from(self.credit).unwrap_or(0) / UNIT;
        if bytes < self.datagram { 0 } else { bytes }
    }

    /// Spends credit for `bytes` sent. They may exceed the allowance; a debt of more than one
    /// bucket is forgiven.
    pub fn on_sent(&mut self, bytes: u64) {
        let floor = -units(initial_window(self.datagram));
        self.credit = self.credit.saturating_sub(units(bytes)).max(floor);
    }

    /// Returns `now` if `bytes` are allowed, else the time at which a whole quantum will be.
    /// Waiting for a quantum wakes a fast sender once per batch instead of once per datagram.
    #[must_use]
    pub fn ready_at(&self, now: Instant, bytes: u64, rate: u64) -> Instant {
        let credit = self.credit_at(now, rate);
        let least = bytes.max(self.datagram);
        if credit >= units(least.min(self.capacity(rate))) {
            return now;
        }
        let quantum = earned(rate, QUANTUM_TIME).min(units(QUANTUM_MAX));
        let wanted = units(least).max(quantum).min(units(self.capacity(rate)));
        let missing = u64::try_from(wanted.saturating_sub(credit)).unwrap_or(0);
        now + Duration::from_micros(missing.div_ceil(rate.max(1)).max(1))
    }

    fn credit_at(&self, now: Instant, rate: u64) -> i64 {
        self.credit
            .saturating_add(earned(rate, now.since(self.earned)))
            .min(units(self.capacity(rate)))
    }

    /// Size of the bucket in bytes: at least the initial window, which may always leave in one burst (RFC 9002 §7.7).
    fn capacity(&self, rate: u64) -> u64 {
        let time = u64::try_from(earned(rate, BURST_TIME)).unwrap_or(0) / UNIT;
        time.max(initial_window(self.datagram))
    }
}

/// Credit that a rate earns in `time`.
fn earned(rate: u64, time: Duration) -> i64 {
    i64::try_from(rate.max(1).saturating_mul(micros(time))).unwrap_or(i64::MAX)
}

fn units(bytes: u64) -> i64 {
    i64::try_from(bytes.saturating_mul(UNIT)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATAGRAM: u64 = MIN_DATAGRAM as u64;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let mut pacer = Pacer::new(at(0));
        let rate = 1_200_000;
        assert_eq!(pacer.allowance(at(0), rate), 10 * DATAGRAM);
        pacer.on_sent(10 * DATAGRAM);
        assert_eq!(pacer.allowance(at(0), rate), 0);
        assert_eq!(pacer.ready_at(at(0), DATAGRAM, rate), at(1000));
        assert_eq!(pacer.allowance(at(999), rate), 0);
        assert_eq!(pacer.allowance(at(1000), rate), DATAGRAM);
    }

    #[test]
    fn a_fast_sender_wakes_for_a_batch() {
        let mut pacer = Pacer::new(at(0));
        let rate = 125_000_000;
        let burst = pacer.allowance(at(0), rate);
        pacer.on_sent(burst);
        let ready = pacer.ready_at(at(0), DATAGRAM, rate);
        assert!(pacer.allowance(ready, rate) >= QUANTUM_MAX);
    }

    #[test]
    fn bytes_sent_beyond_the_allowance_are_paid_back() {
        let mut pacer = Pacer::new(at(0));
        let rate = 1_200_000;
        pacer.on_sent(12 * DATAGRAM);
        assert_eq!(pacer.ready_at(at(0), DATAGRAM, rate), at(3000));
    }

    #[test]
    fn a_larger_datagram_is_a_larger_burst() {
        let mut pacer = Pacer::new(at(0));
        pacer.on_datagram_size(1400);
        pacer.on_sent(9 * DATAGRAM);
        assert_eq!(pacer.allowance(at(0), 1), 0);
        assert_eq!(pacer.allowance(at(1_000_000), 14_000_000), 28_000);
    }

    #[test]
    fn a_burst_of_large_datagrams_is_two_of_them() {
        let mut pacer = Pacer::new(at(0));
        pacer.on_datagram_size(9000);
        assert_eq!(pacer.allowance(at(60_000_000), 300), 18_000);
    }

    proptest! {
        #[test]
        fn at_the_ready_time_the_bytes_are_allowed_and_before_it_they_are_not(
            steps in prop::collection::vec((0..5000_u64, 1..20_000_u64), 1..60),
            rate in prop_oneof![1..2000_u64, 1000..10_000_000_u64, 1_000_000..20_000_000_000_u64, Just(u64::MAX)],
        ) {
            let mut pacer = Pacer::new(at(0));
            let mut now = at(0);
            for (wait, bytes) in steps {
                now += Duration::from_micros(wait);
                let bytes = bytes.min(initial_window(DATAGRAM));
                let allowed = pacer.allowance(now, rate);
                let ready = pacer.ready_at(now, bytes, rate);
                if allowed >= bytes {
                    prop_assert_eq!(ready, now);
                } else {
                    prop_assert!(ready > now);
                    now = ready;
                }
                prop_assert!(pacer.allowance(now, rate) >= bytes);
                pacer.on_sent(bytes);
            }
        }

        #[test]
        fn the_bytes_sent_never_exceed_the_rate_plus_one_bucket(
            waits in prop::collection::vec(0..3000_u64, 1..200),
            rate in 10_000..100_000_000_u64,
        ) {
            let mut pacer = Pacer::new(at(0));
            let (mut now, mut sent) = (at(0), 0);
            for wait in waits {
                now += Duration::from_micros(wait);
                let allowed = pacer.allowance(now, rate);
                pacer.on_sent(allowed);
                sent += allowed;
            }
            let bucket = (rate / 500).max(10 * DATAGRAM);
            prop_assert!(sent <= rate * now.as_micros() / UNIT + bucket);
        }
    }
}
