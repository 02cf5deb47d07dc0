//! Which counters have been received: a sliding window (RFC 6479) of 8192.
//!
//! Invariant: `check` changes nothing; `mark` is called only after the AEAD has opened the datagram.

/// Counters remembered: the newest, and those behind it.
pub const WINDOW: u64 = 8192;

const WORD: u64 = u64::BITS as u64;

/// One word more than the window fills, so that it slides by whole words and nothing is shifted.
const WORDS: usize = (WINDOW / WORD) as usize + 1;

/// The window.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    newest: u64,
    /// A ring: the bit of a counter is in the word `counter / 64`, modulo the length.
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// Nothing received.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            newest: 0,
            seen: [0; WORDS],
        }
    }

    /// Whether `counter` is new: neither seen nor older than the window.
    #[must_use]
    pub const fn check(&self, counter: u64) -> bool {
        if counter > self.newest {
            return true;
        }
        let (word, bit) = place(counter / WORD, counter);
        self.newest - counter < WINDOW && self.seen[word] & bit == 0
    }

    /// Remembers it.
    pub fn mark(&mut self, counter: u64) {
        if counter > self.newest {
            // Words that come into the window still hold what left it.
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

/// Position in the ring of the word `index`, and the bit of `counter` in it.
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

    /// What the window should be: everything ever seen, and the newest of it.
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
    fn the_edge_of_the_window_is_where_it_should_be() {
        let mut window = ReplayWindow::new();
        window.mark(20_000);
        assert!(window.check(20_000 - WINDOW + 1));
        assert!(!window.check(20_000 - WINDOW));
    }

    #[test]
    fn marking_what_is_too_old_forgets_nothing() {
        let mut window = ReplayWindow::new();
        window.mark(20_000);
        window.mark(20_000 - WINDOW);
        window.mark(0);
        let open = (20_000 - WINDOW + 1..20_000).filter(|&counter| window.check(counter));
        assert_eq!(open.count() as u64, WINDOW - 1);
    }

    #[test]
    fn the_last_counters_of_all_are_told_apart() {
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
