//! ACK: which counters were received, as ranges from the highest down.
//!
//! Not here: which ranges to report, and what an acknowledgement means. Invariant: an [`Ack`] exists
//! only when every one of its ranges has been walked, so that [`Ack::ranges`] cannot fail.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::limits::{ACK_RANGES, MAX_VARINT};
use super::{Malformed, Reader, VarInt};
use crate::time::micros;

/// Frame type.
pub(super) const ACK: u8 = 0x02;

/// The count of ranges is patched in after they are written, so it must be a one-byte integer.
const _: () = assert!(ACK_RANGES <= 0x40);

/// An acknowledgement: largest counter, delay, then ranges downwards.
///
/// Layout: largest, delay (µs), count of further ranges (below
/// [`limits::ACK_RANGES`](super::limits::ACK_RANGES)), length of the first range minus one, then per
/// further range gap and length, each minus one (as RFC 9000 §19.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// The largest counter received.
    pub largest: u64,
    /// How long the largest waited at the receiver.
    pub delay: Duration,
    ranges: &'a [u8],
    count: usize,
}

impl<'a> Ack<'a> {
    /// The ranges, from the highest down; already validated when the frame was decoded.
    #[must_use]
    pub const fn ranges(&self) -> AckRanges<'a> {
        AckRanges {
            rest: Reader::new(self.ranges),
            left: self.count,
            largest: self.largest,
            above: None,
        }
    }

    /// Reads what follows the frame type.
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay = Duration::from_micros(reader.varint()?);
        let further = usize::try_from(reader.varint()?).map_err(|_| Malformed::Range)?;
        if further >= ACK_RANGES {
            return Err(Malformed::Range);
        }
        let count = further + 1;
        let bytes = reader.rest();
        let mut walk = AckRanges {
            rest: *reader,
            left: count,
            largest,
            above: None,
        };
        for _ in 0..count {
            walk.advance()?;
        }
        *reader = walk.rest;
        Ok(Self {
            largest,
            delay,
            ranges: &bytes[..bytes.len() - reader.rest().len()],
            count,
        })
    }

    pub(super) fn size(&self) -> usize {
        let [largest, delay, further] = self.head().map(VarInt::size);
        1 + largest + delay + further + self.ranges.len()
    }

    /// Writes it again as it was read.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(ACK);
        for field in self.head() {
            field.encode(out);
        }
        out.extend_from_slice(self.ranges);
    }

    fn head(&self) -> [VarInt; 3] {
        [
            VarInt(self.largest),
            delay_field(self.delay),
            VarInt(self.count as u64 - 1),
        ]
    }
}

/// Inclusive ranges of acknowledged counters, highest first.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    rest: Reader<'a>,
    left: usize,
    largest: u64,
    /// Where the range before this one began.
    above: Option<u64>,
}

impl AckRanges<'_> {
    fn advance(&mut self) -> Result<RangeInclusive<u64>, Malformed> {
        let end = match self.above {
            None => self.largest,
            Some(above) => {
                let gap = self.rest.varint()?;
                above.checked_sub(gap + 2).ok_or(Malformed::Range)?
            }
        };
        let length = self.rest.varint()?;
        let start = end.checked_sub(length).ok_or(Malformed::Range)?;
        self.above = Some(start);
        Ok(start..=end)
    }
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.advance().ok()
    }
}

/// Appends an ACK frame for inclusive ranges given highest first, at most
/// [`limits::ACK_RANGES`](super::limits::ACK_RANGES) of them, stopping where `space` bytes would be exceeded.
/// Does nothing and returns false when not even the first fits.
///
/// Ranges that touch, overlap or ascend are a bug of the caller; they end the frame.
pub fn encode_ack(
    mut ranges: impl Iterator<Item = RangeInclusive<u64>>,
    delay: Duration,
    space: usize,
    out: &mut Vec<u8>,
) -> bool {
    let Some((first, length)) = ranges
        .next()
        .and_then(|range| Some((range.clone(), length(&range)?)))
    else {
        return false;
    };
    let (largest, delay) = (VarInt(*first.end()), delay_field(delay));
    let mut used = 1 + largest.size() + delay.size() + 1 + length.size();
    if used > space || largest.0 > MAX_VARINT {
        return false;
    }
    out.push(ACK);
    largest.encode(out);
    delay.encode(out);
    let further_at = out.len();
    out.push(0);
    length.encode(out);

    let mut above = *first.start();
    for range in ranges.take(ACK_RANGES - 1) {
        let Some((gap, length)) = gap_and_length(above, &range) else {
            debug_assert!(false, "{range:?} is not apart from and below {above}");
            break;
        };
        used += gap.size() + length.size();
        if used > space {
            break;
        }
        gap.encode(out);
        length.encode(out);
        out[further_at] += 1;
        above = *range.start();
    }
    true
}

/// The length minus one.
fn length(range: &RangeInclusive<u64>) -> Option<VarInt> {
    range.end().checked_sub(*range.start()).map(VarInt)
}

fn gap_and_length(above: u64, range: &RangeInclusive<u64>) -> Option<(VarInt, VarInt)> {
    let gap = above.checked_sub(*range.end())?.checked_sub(2)?;
    Some((VarInt(gap), length(range)?))
}

fn delay_field(delay: Duration) -> VarInt {
    VarInt(micros(delay).min(MAX_VARINT))
}
