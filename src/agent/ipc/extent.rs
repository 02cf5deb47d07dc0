//! The part of a ring that is in use.

use serde::{Deserialize, Serialize};

/// The first bytes of a ring, in which the byte at offset `n` of a stream has the place `(n - base) % size`.
///
/// The writer moves `base` to the present offset when the ring is empty, so that a stream that is consumed quickly uses
/// few pages, and enlarges the part when more is to be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Extent {
    /// Offset whose place is the first one. Not above any offset that is held.
    pub base: u64,
    /// Number of bytes.
    pub size: u64,
}

impl Extent {
    /// Returns the place of an offset, and the number of bytes from there to the end of the part.
    #[must_use]
    pub const fn place(&self, offset: u64) -> (u64, u64) {
        // Values of another process: a wrong one yields wrong bytes, and nothing worse.
        let size = if self.size == 0 { 1 } else { self.size };
        let at = offset.wrapping_sub(self.base) % size;
        (at, size - at)
    }

    /// Enlarges the part to `size` bytes if the bytes from `start` to `end`, which it holds, can stay where they are:
    /// there are none, or they are not wrapped. Returns true if it has that size now.
    pub const fn enlarge(&mut self, size: u64, start: u64, end: u64) -> bool {
        if size <= self.size {
            return true;
        }
        if start == end {
            *self = Self { base: end, size };
            return true;
        }
        let (at, contiguous) = self.place(start);
        if end - start > contiguous {
            return false;
        }
        *self = Self {
            base: start - at,
            size,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_stay_where_they_are_when_the_part_grows(
            base in 0u64..100,
            ahead in 0u64..300,
            held in 0u64..=50,
            size in 50u64..100,
            larger in 0u64..300,
        ) {
            let before = Extent { base, size };
            let (start, end) = (base + ahead, base + ahead + held);
            let mut after = before;
            let grown = after.enlarge(size + larger, start, end);
            prop_assert_eq!(after.size, if grown { size + larger } else { size });
            if held > 0 {
                for offset in start..end {
                    prop_assert_eq!(after.place(offset).0, before.place(offset).0);
                }
            }
            let wraps = before.place(start).1 < held;
            prop_assert_eq!(grown, larger == 0 || !wraps);
        }
    }
}
