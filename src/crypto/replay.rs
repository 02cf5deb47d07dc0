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
