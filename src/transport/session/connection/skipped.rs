//! Counters that are skipped on purpose, against optimistic ACKs (RFC 9000 §21.4).
//!
//! A peer that acknowledges what it has not received, so that it is sent more than the path carries, cannot know
//! which counters are missing. Invariants: no two adjacent counters are skipped, and the memory is bounded.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use crate::rng::Rng;
use crate::session::limits;

/// The counters that were skipped last, and the next one.
#[derive(Default, Debug)]
pub(in crate::session) struct SkippedCounters {
    /// In ascending order.
    skipped: VecDeque<u64>,
    next: Option<Next>,
}

/// The next counter to skip.
#[derive(Clone, Copy, Debug)]
struct Next {
    counter: u64,
    /// Mean interval for which it was drawn.
    mean: u64,
}

impl SkippedCounters {
    /// Returns true if `counter`, the next one, is to be skipped, and remembers it. `window` is the congestion window
    /// in datagrams: the larger it is, the more optimistic ACKs could gain, and the more is skipped.
    pub(in crate::session) fn skips(&mut self, counter: u64, window: u64, rng: &mut Rng) -> bool {
        let mean = (limits::SKIP_PRODUCT / window.max(1))
            .clamp(limits::SKIP_INTERVAL_MIN, limits::SKIP_INTERVAL_MAX);
        let next = match self.next {
            // Drawn for a window that has more than doubled since.
            Some(next) if next.mean > 2 * mean => None,
            next => next,
        };
        let next = *self.next.insert(next.unwrap_or_else(|| Next {
            counter: counter + limits::SKIP_INTERVAL_LEAST + rng.u64() % (2 * mean),
            mean,
        }));
        if counter < next.counter {
            return false;
        }
        self.next = None;
        if self.skipped.len() == limits::SKIPPED_REMEMBERED {
            self.skipped.pop_front();
        }
        self.skipped.push_back(counter);
        true
    }

    /// Returns true if a remembered counter lies in `range`.
    pub(in crate::session) fn intersects(&self, range: &RangeInclusive<u64>) -> bool {
        let from = self
            .skipped
            .partition_point(|counter| counter < range.start());
        let first = self.skipped.get(from);
        first.is_some_and(|first| first <= range.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the counters below `end` that are skipped.
    fn skipped(seed: u8, window: u64, end: u64) -> (SkippedCounters, Vec<u64>) {
        let mut rng = Rng::from_seed([seed; 32]);
        let mut counters = SkippedCounters::default();
        let skipped = (1..end)
            .filter(|&counter| counters.skips(counter, window, &mut rng))
            .collect();
        (counters, skipped)
    }

    #[test]
    fn counters_are_skipped_at_random_and_more_often_with_a_large_window() {
        let (_, small) = skipped(1, 10, 1_000_000);
        let (_, large) = skipped(1, 10_000, 1_000_000);
        assert!((500..1500).contains(&small.len()), "{}", small.len());
        assert!((5000..10_000).contains(&large.len()), "{}", large.len());
        for all in [&small, &large] {
            assert!(all[0] >= limits::SKIP_INTERVAL_LEAST);
            assert!(
                all.windows(2)
                    .all(|pair| pair[0] + limits::SKIP_INTERVAL_LEAST <= pair[1])
            );
        }
        let (_, other) = skipped(2, 10, 1_000_000);
        assert_ne!(small, other, "the seed decides");
    }

    #[test]
    fn a_window_that_grows_brings_the_next_skip_forward() {
        let mut rng = Rng::from_seed([3; 32]);
        let mut early = 0;
        for _ in 0..100 {
            let mut counters = SkippedCounters::default();
            assert!(!counters.skips(1, 1, &mut rng));
            let within = limits::SKIP_INTERVAL_LEAST + 2 * limits::SKIP_INTERVAL_MIN;
            early += u32::from(
                (2..=2 + within).any(|counter| counters.skips(counter, 1 << 16, &mut rng)),
            );
        }
        assert_eq!(early, 100);
    }

    #[test]
    fn a_range_with_a_skipped_counter_is_recognized_and_the_memory_is_bounded() {
        let (counters, all) = skipped(1, 10_000, 1_000_000);
        assert!(all.len() > 2 * limits::SKIPPED_REMEMBERED);
        assert_eq!(counters.skipped.len(), limits::SKIPPED_REMEMBERED);
        let kept = &all[all.len() - limits::SKIPPED_REMEMBERED..];
        for pair in kept.windows(2) {
            assert!(counters.intersects(&(pair[0]..=pair[0])));
            assert!(counters.intersects(&(pair[0] + 1..=pair[1])));
            assert!(!counters.intersects(&(pair[0] + 1..=pair[1] - 1)));
        }
        assert!(!counters.intersects(&(0..=kept[0] - 1)), "forgotten");
    }
}
