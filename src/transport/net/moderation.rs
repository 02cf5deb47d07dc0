//! Moderation of wake-ups while datagrams arrive in bulk, as network adapters moderate their interrupts.
//!
//! On a fast path every datagram would wake the thread, and the wake-ups would cost more than the datagrams. So the thread
//! pauses before it waits for the next one, and finds several. Not a limit of the rate: what arrives in a pause
//! stays in the carrier's buffer. Invariant: no pause is asked for that is longer than
//! [`limits::PAUSE`], or than a carrier takes to fill an eighth of its buffer.

use std::time::Duration;

use super::limits;
use crate::time::{Instant, micros};

/// Rate of the received octets, and the pause that it allows.
pub(super) struct Moderation {
    /// Smallest receive buffer of the carriers in octets.
    buffer: u64,
    /// Begin of the present measurement.
    since: Instant,
    /// Octets received in it.
    octets: u64,
    /// Pause that the measurement before allows.
    pause: Option<Duration>,
}

impl Moderation {
    pub(super) const fn new(now: Instant, buffer: u64) -> Self {
        Self {
            buffer,
            since: now,
            octets: 0,
            pause: None,
        }
    }

    /// Returns the smallest receive buffer of the carriers in octets.
    pub(super) const fn buffer(&self) -> u64 {
        self.buffer
    }

    /// Counts received octets.
    pub(super) const fn on_received(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(octets as u64);
    }

    /// Returns how long to pause before the thread waits for datagrams.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.since(self.since);
        if elapsed >= limits::BULK_INTERVAL {
            let rate = self.octets.saturating_mul(1_000_000) / micros(elapsed).max(1);
            self.pause = (rate >= limits::BULK_RATE)
                .then(|| Duration::from_micros((self.buffer / 8).saturating_mul(1_000_000) / rate))
                .filter(|pause| *pause >= limits::PAUSE_MIN)
                .map(|pause| pause.min(limits::PAUSE));
            self.since = now;
            self.octets = 0;
        }
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: u64 = 4 << 20;
    const GIB: u64 = 1 << 30;

    /// The pause after 10 ms in which `rate` octets a second arrived.
    fn pause_at(rate: u64, buffer: u64) -> Option<Duration> {
        let mut moderation = Moderation::new(Instant::ZERO, buffer);
        moderation.on_received(usize::try_from(rate / 100).unwrap());
        moderation.pause(Instant::ZERO + Duration::from_millis(10))
    }

    #[test]
    fn only_bulk_is_moderated() {
        assert_eq!(pause_at(0, BUFFER), None);
        assert_eq!(pause_at(limits::BULK_RATE - 100, BUFFER), None);
        assert_eq!(pause_at(limits::BULK_RATE, BUFFER), Some(limits::PAUSE));
        assert_eq!(pause_at(GIB, BUFFER), Some(limits::PAUSE));
    }

    #[test]
    fn a_small_buffer_is_not_filled_by_more_than_an_eighth() {
        let pause = pause_at(GIB, 1 << 20).unwrap();
        assert_eq!(pause, Duration::from_micros(122));
        assert_eq!(pause_at(GIB, 256 << 10), None);
    }

    #[test]
    fn the_pauses_end_with_the_bulk() {
        let at = |millis| Instant::ZERO + Duration::from_millis(millis);
        let mut moderation = Moderation::new(at(0), BUFFER);
        moderation.on_received(10 << 20);
        assert!(moderation.pause(at(10)).is_some());
        assert!(moderation.pause(at(11)).is_some());
        assert!(moderation.pause(at(13)).is_none());
    }
}
