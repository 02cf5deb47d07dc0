//! Extent of one output: what was written, what is held, and what its reader has consumed.
//!
//! Not the bytes, which [`Processes`](super::Processes) holds. Invariant: every byte from `start` to `end` is held, and
//! fewer than [`RELEASE`] below it.

use crate::agent::limits::{LANE, RELEASE};

/// Extent of one output.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OutputBuffer {
    start: u64,
    /// Offset of the last release.
    released: u64,
    consumed: u64,
    end: u64,
    shut: bool,
    /// Largest window of a stream that has carried it.
    window: u64,
}

impl OutputBuffer {
    /// Returns the extent of an output of an earlier agent.
    pub fn restored(start: u64, end: u64, shut: bool) -> Self {
        let start = if shut { end } else { start.min(end) };
        Self {
            start,
            released: start,
            consumed: start,
            end,
            shut,
            window: 0,
        }
    }

    /// Offset of the first held byte.
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the first byte that no controller has consumed.
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Number of bytes written so far.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Number of held bytes.
    pub const fn held(&self) -> u64 {
        self.end - self.start
    }

    /// Notes bytes up to `end`. Returns the offset of the first new one if there are any that are wanted.
    pub fn extend(&mut self, end: u64) -> Option<u64> {
        let from = self.end;
        if self.shut || end <= from {
            return None;
        }
        self.end = end;
        Some(from)
    }

    /// Notes that a controller has consumed the bytes below `offset`.
    pub fn consume(&mut self, offset: u64) {
        self.consumed = offset.clamp(self.consumed, self.end);
    }

    /// Notes the window of the stream that carries it. Returns true if it is larger than any before, and than the first
    /// one.
    pub fn set_window(&mut self, bytes: u64) -> bool {
        let grown = bytes > self.window.max(LANE);
        self.window = self.window.max(bytes);
        grown
    }

    /// Drops the held bytes and all further ones.
    pub const fn shut(&mut self) {
        self.start = self.end;
        self.released = self.end;
        self.consumed = self.end;
        self.shut = true;
    }

    /// Drops every byte below `offset`. Returns true if the dropped bytes are to be released: they are enough, or all.
    pub fn release(&mut self, offset: u64) -> bool {
        self.start = offset.clamp(self.start, self.end);
        self.consumed = self.consumed.max(self.start);
        let dropped = self.start - self.released;
        let is_due = dropped >= RELEASE || dropped > 0 && self.start == self.end;
        if is_due {
            self.released = self.start;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_held_until_they_are_released() {
        let mut held = OutputBuffer::default();
        assert_eq!(held.extend(10), Some(0));
        assert_eq!(held.extend(10), None);
        held.consume(6);
        held.consume(5);
        assert_eq!(held.consumed(), 6);
        assert!(!held.release(4));
        assert!(!held.release(3));
        assert_eq!((held.start(), held.end(), held.held()), (4, 10, 6));
        assert!(held.release(u64::MAX), "all of it");
        assert!(!held.release(u64::MAX));
        assert_eq!((held.start(), held.consumed(), held.held()), (10, 10, 0));
    }

    #[test]
    fn few_bytes_are_not_worth_a_release() {
        let mut held = OutputBuffer::default();
        held.extend(3 * RELEASE);
        assert!(!held.release(RELEASE - 1));
        assert!(held.release(RELEASE));
        assert!(!held.release(2 * RELEASE - 1));
        assert!(held.release(3 * RELEASE - 1));
        assert!(held.release(3 * RELEASE));
    }

    #[test]
    fn unwanted_output_is_dropped() {
        let mut held = OutputBuffer::default();
        held.extend(3);
        held.shut();
        assert_eq!(held.extend(6), None);
        assert_eq!((held.start(), held.end()), (3, 3));
    }
}
