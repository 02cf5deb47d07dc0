//! Replay protection: a sliding window of 8192 received counters (RFC 6479).
//!
//! Invariant: `check` changes nothing; `mark` is called only after the AEAD has opened the datagram.

/// Size of the window in counters: the newest, and those below it.
pub const WINDOW: u64 = 8192;

const WORD: u64 = u64::BITS as u64;

/// Number of words: one more than the window fills, so that it slides by whole words without shifts.
const WORDS: usize = (WINDOW / WORD) as usize + 1;

/// Window of received counters.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    newest: u64,
    /// Ring of bits: that of a counter is in word `counter / 64`, modulo [`WORDS`]. Words that no counter has needed are
    /// not there yet.
    seen: Vec<u64>,
}

impl ReplayWindow {
    /// Creates a window in which no counter was received.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            newest: 0,
            seen: Vec::new(),
        }
    }

    /// Returns true if `counter` is new: neither received nor older than the window.
    #[must_use]
    pub fn check(&self, counter: u64) -> bool {
        if counter > self.newest {
            return true;
        }
        let (word, bit) = place(counter / WORD, counter);
        let seen = self.seen.get(word).copied().unwrap_or(0);
        self.newest - counter < WINDOW && seen & bit == 0
    }

    /// Marks `counter` as received.
    pub fn mark(&mut self, counter: u64) {
        let needed = usize::try_from(counter / WORD).map_or(WORDS, |word| WORDS.min(word + 1));
        if self.seen.len() < needed {
            self.seen.resize(needed, 0);
        }
        if counter > self.newest {
            // Words that enter the window still hold the bits of older counters.
            let (newest, next) = (self.newest / WORD, counter / WORD);
            for index in (newest + 1..=next).take(WORDS) {
                self.seen[place(index, 0).0] = 0;
            }
            self.newest = counter;
        } else if self.newest - counter >= WINDOW {
            return;
        }
        let (word, bit) = place(counter / WORD, counter);
        self.seen[word] |= bit;
    }
}

/// Returns the position of the word `index` in the ring, and the bit of `counter` in it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a remainder of the ring's length"
)]
const fn place(index: u64, counter: u64) -> (usize, u64) {
    ((index % WORDS as u64) as usize, 1 << (counter % WORD))
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    /// Model of the window: all received counters, and the newest.
    #[derive(Default)]
    struct Naive {
        seen: HashSet<u64>,
        newest: u64,
    }

    impl Naive {
        fn check(&self, counter: u64) -> bool {
            !self.seen.contains(&counter) && self.newest.saturating_sub(counter) < WINDOW
        }

        fn mark(&mut self, counter: u64) {
            self.seen.insert(counter);
            self.newest = self.newest.max(counter);
        }
    }

    fn receive_all(counters: impl Iterator<Item = u64>) {
        let (mut window, mut naive) = (ReplayWindow::new(), Naive::default());
        for counter in counters {
            assert_eq!(window.check(counter), naive.check(counter), "{counter}");
            if naive.check(counter) {
                window.mark(counter);
                naive.mark(counter);
                assert!(!window.check(counter));
            }
        }
    }

    #[test]
    fn the_window_ends_8192_counters_below_the_newest() {
        let mut window = ReplayWindow::new();
        window.mark(20_000);
        assert!(window.check(20_000 - WINDOW + 1));
        assert!(!window.check(20_000 - WINDOW));
    }

    #[test]
    fn marking_a_counter_older_than_the_window_changes_nothing() {
        let mut window = ReplayWindow::new();
        window.mark(20_000);
        window.mark(20_000 - WINDOW);
        window.mark(0);
        let open = (20_000 - WINDOW + 1..20_000).filter(|&counter| window.check(counter));
        assert_eq!(open.count() as u64, WINDOW - 1);
    }

    #[test]
    fn the_largest_counters_are_distinguished() {
        let ends = [
            u64::MAX - 1,
            u64::MAX,
            u64::MAX - WINDOW,
            u64::MAX - WINDOW + 1,
        ];
        receive_all(ends.into_iter().chain(ends));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_naive_model(
            start in prop_oneof![Just(0), 0..u64::MAX / 2],
            steps in prop::collection::vec(
                prop_oneof![
                    8 => -200..200i64,
                    2 => -9000..9000i64,
                    1 => prop::sample::select(vec![-8193, -8192, -8191, 63, 64, 65, 8191, 8192, 8193, 8256, 100_000]),
                ],
                1..400,
            ),
        ) {
            let walk = steps.iter().scan(start, |at, &step| {
                *at = at.saturating_add_signed(step);
                Some(*at)
            });
            receive_all(walk);
        }
    }
}
