//! The boot-time clock, as instants of the session machine.

use rustix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// `CLOCK_BOOTTIME`: it advances during suspend and is never set, so tickets stay valid across processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl Clock {
    /// Returns the current time.
    #[must_use]
    pub fn now(self) -> Instant {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let micros = u64::try_from(time.tv_nsec / 1000).unwrap_or(0);
        Instant::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let mut last = Clock.now();
        assert!(last > Instant::ZERO);
        for _ in 0..1000 {
            let now = Clock.now();
            assert!(now >= last);
            last = now;
        }
    }
}
