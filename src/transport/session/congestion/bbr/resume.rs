//! A start with what is known of the path: its round-trip time, and what an earlier session has learned of it (Careful
//! Resume, RFC 9959).
//!
//! A known round-trip time makes the first window larger, as it is spread over that time. The first round trip is sent as on any path. If its first acknowledgement shows about the round-trip time that is
//! remembered and no loss, the window jumps to half of the remembered one, and the round after it is paced at that
//! rate. Then Startup continues with what was measured. Invariants: a jump happens once, in Startup; it ends at the
//! first sign of congestion; the window after it is what was measured, so a jump that was not used leaves nothing.

use std::time::Duration;

use super::super::KnownPath;
use super::super::limits::{MIN_RTT_AGE, Ratio, initial_window, spread_window};
use super::signals::Verdict;
use super::{Bbr, Phase};
use crate::time::{Instant, micros};

/// Part of the remembered window that is used without a measurement (RFC 9959, `jump_cwnd`).
const JUMP: Ratio = Ratio(1, 2);

/// Rounds for which the rate of the jump is a lower bound: the one that it sends, and the one in which it is measured.
const JUMP_ROUNDS: u64 = 2;

/// Progress of the resumption.
#[derive(Debug)]
pub enum Resume {
    /// The first round trip is under way.
    Remembered {
        /// Bytes in flight that filled the path.
        window: u64,
        rtt: Duration,
    },
    /// The window has jumped.
    Jumped {
        /// Rate of the jump in bytes per second.
        rate: u64,
        at: Instant,
        /// Round in which the measurement is there.
        until_round: u64,
    },
}

impl Bbr {
    /// Begins with what is known, unless something better was measured.
    pub(super) fn begin_with(&mut self, known: KnownPath) {
        if self.delivered > 0 || self.undo.is_some() {
            return;
        }
        self.first_rtt = known.rtt;
        self.first_window = spread_window(self.datagram, known.rtt);
        self.window = self.window.max(self.first_window);
        if let Some(window) = known.window {
            let rtt = known.rtt;
            self.resume = Some(Resume::Remembered { window, rtt });
        }
    }

    /// Decides about the jump, and about the end of its rate.
    pub(super) fn resume_path(&mut self, now: Instant) {
        match self.resume {
            Some(Resume::Remembered { window, rtt }) => self.jump(now, JUMP.of(window), rtt),
            Some(Resume::Jumped { until_round, .. })
                if self.phase != Phase::Startup
                    || self.rounds.count() >= until_round
                    || self.verdict() != Verdict::Clear =>
            {
                self.end_jump();
            }
            Some(Resume::Jumped { .. }) | None => {}
        }
    }

    /// Ends the jump: from now on the window is what was measured.
    fn end_jump(&mut self) {
        self.resume = None;
        let measured = self.inflight(self.phase.window_gain());
        let measured = measured.max(initial_window(self.datagram));
        self.window = self.window.min(measured);
        self.window_before = self.window_before.min(measured);
    }

    fn jump(&mut self, now: Instant, window: u64, remembered: Duration) {
        let Some(rtt) = self.min_rtt.estimate() else {
            return;
        };
        self.resume = None;
        let is_same_path = is_similar(rtt, remembered);
        let has_lost = self.undo.is_some();
        if self.phase != Phase::Startup || !is_same_path || has_lost || window <= self.window {
            return;
        }
        self.window = window;
        self.pipe.restart(self.max_rate.best());
        self.resume = Some(Resume::Jumped {
            rate: window.saturating_mul(1_000_000) / micros(rtt).max(1),
            at: now,
            until_round: self.rounds.count() + JUMP_ROUNDS,
        });
    }

    /// Lower bound of the pacing rate in bytes per second.
    pub(super) fn resumed_rate(&self) -> u64 {
        match self.resume {
            Some(Resume::Jumped { rate, .. }) => rate,
            Some(Resume::Remembered { .. }) | None => 0,
        }
    }

    /// Forgets a jump that was not used for long, before a flow that has nothing in flight sends again.
    pub(super) fn forget_unused_jump(&mut self, now: Instant) {
        if let Some(Resume::Jumped { at, .. }) = self.resume
            && now.since(at) > MIN_RTT_AGE
        {
            self.end_jump();
        }
    }
}

/// Returns true if a round-trip time may be that of the same path, as RFC 9959 asks to be checked. Ours: half to twice of
/// the remembered one; a longer one shows another path, or a queue.
fn is_similar(rtt: Duration, remembered: Duration) -> bool {
    rtt * 2 >= remembered && rtt <= remembered * 2
}

#[cfg(test)]
mod tests {
    use super::super::super::Controller as _;
    use super::super::super::limits::STARTUP_GAIN;
    use super::super::super::testbed::{Link, Testbed};
    use super::*;

    const LONG: (u64, u64) = (100, 200);

    fn known(megabits: u64, rtt_ms: u64) -> KnownPath {
        KnownPath {
            window: Some(megabits * 125 * rtt_ms),
            rtt: Duration::from_millis(rtt_ms),
            variation: Duration::ZERO,
        }
    }

    fn testbed((megabits, rtt_ms): (u64, u64), known: Option<KnownPath>) -> Testbed {
        let mut testbed = Testbed::new(Link::new(megabits, rtt_ms, 100, 0), 1);
        if let Some(known) = known {
            testbed.flows[0].controller.resume(known);
        }
        testbed
    }

    #[test]
    fn what_a_flow_has_learned_fills_the_path_again_in_a_few_round_trips() {
        let mut first = testbed(LONG, None);
        first.run(Duration::from_secs(5));
        let learned = first.flows[0].controller.known_path().unwrap();
        assert!(
            (2_200_000..2_800_000).contains(&learned.window.unwrap()),
            "{learned:?}"
        );
        let share = |known| {
            let mut testbed = testbed(LONG, known);
            testbed.run(Duration::from_millis(600));
            testbed.run(Duration::from_secs(1)).delivered
        };
        let (fresh, resumed) = (share(None), share(Some(learned)));
        // The path carries 12.5 MB in a second.
        assert!(
            resumed > 11_000_000 && fresh < 4_000_000,
            "{fresh} {resumed}"
        );
    }

    #[test]
    fn the_window_for_a_known_round_trip_time_grows_with_it_and_is_spread_over_it() {
        for (rtt_ms, datagrams) in [(1, 10), (50, 10), (125, 20), (200, 32), (900, 32)] {
            let mut bbr = Bbr::new(Instant::ZERO, 1200, 1);
            let rtt = Duration::from_millis(rtt_ms);
            bbr.begin_with(KnownPath {
                window: None,
                rtt,
                variation: Duration::ZERO,
            });
            let window = datagrams * 1200;
            assert_eq!(bbr.window(), window);
            assert_eq!(bbr.pacing_rate(), STARTUP_GAIN.of(window * 1000 / rtt_ms));
        }
    }

    #[test]
    fn what_is_known_changes_nothing_once_a_flow_has_measured() {
        let mut testbed = testbed(LONG, None);
        testbed.run(Duration::from_millis(600));
        let controller = &mut testbed.flows[0].controller;
        let before = (controller.window(), controller.pacing_rate());
        controller.resume(known(1000, 200));
        assert_eq!((controller.window(), controller.pacing_rate()), before);
        assert!(testbed.window() < 1_000_000);
    }

    #[test]
    fn a_flow_that_has_not_filled_the_path_has_learned_nothing() {
        let mut testbed = testbed(LONG, None);
        testbed.run(Duration::from_millis(600));
        let learned = testbed.flows[0].controller.known_path().unwrap();
        assert_eq!(learned.window, None);
    }

    #[test]
    fn another_round_trip_time_is_another_path() {
        for rtt_ms in [90, 410] {
            let mut testbed = testbed((100, rtt_ms), Some(known(100, 200)));
            testbed.run(Duration::from_millis(rtt_ms * 3 / 2));
            assert!(testbed.window() < 100_000, "{rtt_ms}: {}", testbed.window());
        }
    }

    #[test]
    fn a_path_that_has_become_slow_is_measured_anew() {
        let mut testbed = testbed((10, 200), Some(known(100, 200)));
        testbed.run(Duration::from_secs(3));
        let seen = testbed.run(Duration::from_secs(3));
        assert!(
            seen.delivered > 3_000_000 && seen.dropped < seen.sent / 50,
            "{seen:?}"
        );
    }

    #[test]
    fn the_jump_ends_at_the_first_sign_of_congestion() {
        let mut testbed = Testbed::new(Link::new(10, 200, 25, 0), 1);
        testbed.flows[0].controller.resume(known(100, 200));
        // The jump begins after a round trip, and what it overflows is known after two more.
        testbed.run(Duration::from_millis(650));
        let seen = testbed.run(Duration::from_millis(400));
        assert!(testbed.window() < 700_000, "{}", testbed.window());
        assert!(seen.sent < 900_000, "{seen:?}");
    }

    #[test]
    fn a_jump_that_was_not_used_is_forgotten() {
        let mut bbr = Bbr::new(Instant::ZERO, 1200, 1);
        bbr.min_rtt
            .on_sample(Instant::ZERO, Some(Duration::from_millis(200)));
        bbr.jump(Instant::ZERO, 1_250_000, Duration::from_millis(200));
        assert_eq!(bbr.window, 1_250_000);
        bbr.forget_unused_jump(Instant::ZERO + MIN_RTT_AGE);
        assert_eq!(bbr.window, 1_250_000);
        bbr.forget_unused_jump(Instant::ZERO + MIN_RTT_AGE * 2);
        assert_eq!((bbr.window, bbr.resumed_rate()), (12_000, 0));
    }
}
