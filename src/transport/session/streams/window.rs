//! The receive window of a stream, which follows what its application consumes in a round trip.
//!
//! Not the credit, which is granted from it. A sender that is not to be stopped by its credit needs several times the
//! bandwidth-delay product: while a loss is repaired, nothing is consumed. A stream whose application is slow keeps its
//! first window, because it consumes little. A controller may have streams of many hosts: each is only assured of its
//! initial credit, and the rest of its first window is opened within the bound of the endpoint. Invariants: the window
//! never shrinks; it exceeds the assured one by no more than what was allowed.

use std::time::Duration;

use crate::session::limits;
use crate::time::Instant;

/// Time and round-trip time of a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Pace {
    pub(in crate::session) now: Instant,
    pub(in crate::session) rtt: Duration,
}

/// The window.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Window {
    bytes: u64,
    assured: u64,
    /// Size of the first window.
    first: u64,
    most: u64,
    /// Bytes by which it was opened; `None` before.
    opened: Option<u64>,
    /// Begin of the present measurement: time, and bytes consumed before it.
    began: Option<(Instant, u64)>,
}

impl Window {
    /// Creates a window of `assured` bytes, to be opened to `first` bytes.
    pub(in crate::session) const fn new(assured: u64, first: u64, most: u64) -> Self {
        Self {
            bytes: assured,
            assured,
            first,
            most,
            opened: None,
            began: None,
        }
    }

    pub(in crate::session) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of bytes by which it exceeds the assured one.
    pub(in crate::session) const fn extra(&self) -> u64 {
        self.bytes - self.assured
    }

    /// Returns the number of bytes by which it was opened.
    pub(in crate::session) fn opened(&self) -> u64 {
        self.opened.unwrap_or(0)
    }

    /// Opens it to its first size, once, by at most `allowed` bytes. Returns its growth.
    pub(in crate::session) fn open(&mut self, allowed: u64) -> u64 {
        if self.opened.is_some() {
            return 0;
        }
        let growth = self.first.saturating_sub(self.bytes).min(allowed);
        self.bytes += growth;
        self.opened = Some(growth);
        growth
    }

    /// Maximum number of chunks beyond gaps.
    pub(in crate::session) const fn gaps(&self) -> usize {
        // Fits: windows are megabytes.
        let by_size = (self.bytes / limits::BYTES_PER_GAP) as usize;
        if by_size > limits::STREAM_GAPS {
            by_size
        } else {
            limits::STREAM_GAPS
        }
    }

    /// Adapts it to the `consumed` bytes of the stream, by at most `allowed` bytes. Returns its growth.
    pub(in crate::session) fn on_consumed(
        &mut self,
        pace: Pace,
        consumed: u64,
        allowed: u64,
    ) -> u64 {
        if consumed <= limits::UNREAD {
            return 0;
        }
        let Some((since, before)) = self.began else {
            self.began = Some((pace.now, consumed));
            return 0;
        };
        let round = pace.rtt.max(limits::GRANULARITY);
        let elapsed = pace.now.since(since);
        if elapsed < round {
            return 0;
        }
        self.began = Some((pace.now, consumed));
        let bytes = u128::from(consumed.saturating_sub(before)) * round.as_micros();
        let in_round = u64::try_from(bytes / elapsed.as_micros().max(1)).unwrap_or(u64::MAX);
        let wanted = in_round
            .saturating_mul(limits::WINDOW_ROUNDS)
            .min(self.most);
        let growth = wanted.saturating_sub(self.bytes).min(allowed);
        // Small steps would cost frames.
        if growth < self.bytes / 4 {
            return 0;
        }
        self.bytes += growth;
        growth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);
    const ANY: u64 = u64::MAX;
    const MIB: u64 = 1 << 20;

    /// A reader that consumes `bytes` in each round trip.
    fn after_rounds(bytes: u64, rounds: u32, allowed: u64) -> Window {
        let mut window = Window::new(MIB, MIB, 16 * MIB);
        let mut left = allowed;
        for round in 0..rounds {
            let now = Instant::ZERO + RTT * round;
            let pace = Pace { now, rtt: RTT };
            left -= window.on_consumed(pace, bytes * u64::from(round), left);
        }
        assert!(window.extra() <= allowed);
        window
    }

    #[test]
    fn it_follows_what_is_consumed_in_a_round_trip() {
        assert_eq!(
            after_rounds(MIB, 3, ANY).bytes(),
            limits::WINDOW_ROUNDS * MIB
        );
        assert_eq!(after_rounds(100 * MIB, 3, ANY).bytes(), 16 * MIB);
    }

    #[test]
    fn a_slow_reader_keeps_the_first_window() {
        assert_eq!(after_rounds(MIB / 16, 100, ANY).bytes(), MIB);
        assert_eq!(after_rounds(0, 100, ANY).bytes(), MIB);
    }

    #[test]
    fn a_pipe_that_is_filled_for_nobody_keeps_the_first_window() {
        let mut window = Window::new(MIB, MIB, 16 * MIB);
        for (milliseconds, consumed) in [
            (0, 4 << 10),
            (1, 128 << 10),
            (2, 256 << 10),
            (60, 256 << 10),
        ] {
            let now = Instant::ZERO + Duration::from_millis(milliseconds);
            let rtt = Duration::from_micros(300);
            window.on_consumed(Pace { now, rtt }, consumed, ANY);
        }
        assert_eq!(window.bytes(), MIB);
    }

    #[test]
    fn it_grows_by_what_is_allowed() {
        assert_eq!(after_rounds(MIB, 100, MIB).bytes(), 2 * MIB);
        assert_eq!(after_rounds(MIB, 100, 0).bytes(), MIB);
    }

    #[test]
    fn it_is_opened_once_and_by_what_is_allowed() {
        let mut window = Window::new(MIB / 16, MIB, 16 * MIB);
        assert_eq!(window.open(MIB / 2), MIB / 2);
        assert_eq!(window.open(ANY), 0);
        assert_eq!((window.extra(), window.opened()), (MIB / 2, MIB / 2));
        let mut window = Window::new(MIB / 16, MIB, 16 * MIB);
        window.open(ANY);
        assert_eq!(window.bytes(), MIB);
    }

    #[test]
    fn pauses_between_reports_do_not_count_as_speed() {
        let mut window = Window::new(MIB, MIB, 16 * MIB);
        let pace = |millis| Pace {
            now: Instant::ZERO + Duration::from_millis(millis),
            rtt: RTT,
        };
        assert_eq!(window.on_consumed(pace(0), 0, ANY), 0);
        assert_eq!(window.on_consumed(pace(1000), MIB, ANY), 0);
    }
}
