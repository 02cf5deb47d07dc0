//! ACK frames: the received counters as ranges, from the highest down (RFC 9000 §19.3).
//!
//! Not here: the choice of ranges to report, and the processing of an acknowledgement. Invariant:
//! an [`Ack`] exists only after all of its ranges were decoded without error, so [`Ack::ranges`]
//! cannot fail.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::limits::{ACK_RANGES, MAX_VARINT};
use super::{Malformed, Reader, VarInt};
use crate::time::micros;

/// Frame type of ACK.
pub(super) const ACK: u8 = 0x02;

/// Frame type of ACK with ECN counts.
pub(super) const ACK_ECN: u8 = 0x03;

/// The count of ranges is patched in after the ranges were written, so it must be a one-byte
/// varint.
const _: () = assert!(ACK_RANGES <= 0x40);

/// Numbers of datagrams received with each ECN codepoint, since the session began (RFC 9000 §19.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EcnCounts {
    /// Number with ECT(0).
    pub ect0: u64,
    /// Number with ECT(1).
    pub ect1: u64,
    /// Number with CE, Congestion Experienced.
    pub ce: u64,
}

impl EcnCounts {
    /// Returns the difference of each count; `None` if one is negative.
    #[must_use]
    pub fn checked_sub(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            ect0: self.ect0.checked_sub(earlier.ect0)?,
            ect1: self.ect1.checked_sub(earlier.ect1)?,
            ce: self.ce.checked_sub(earlier.ce)?,
        })
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            ect0: reader.varint()?,
            ect1: reader.varint()?,
            ce: reader.varint()?,
        })
    }

    fn fields(&self) -> [VarInt; 3] {
        [self.ect0, self.ect1, self.ce].map(VarInt)
    }

    fn size(&self) -> usize {
        self.fields().map(VarInt::size).iter().sum()
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for field in self.fields() {
            field.encode(out);
        }
    }
}

/// An acknowledgement: largest counter, delay, then ranges downwards.
///
/// Layout: largest, delay (µs), count of further ranges (below
/// [`limits::ACK_RANGES`](super::limits::ACK_RANGES)), length of the first range minus one, then
/// gap and length of each further range, each minus one (as in RFC 9000 §19.3.1). In ACK with ECN counts, these follow:
/// ECT(0), ECT(1), CE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// Largest counter received.
    pub largest: u64,
    /// Time for which the receiver held the acknowledgement of the largest counter.
    pub delay: Duration,
    /// ECN counts, if the receiver reports them.
    pub ecn: Option<EcnCounts>,
    ranges: &'a [u8],
    count: usize,
}

impl<'a> Ack<'a> {
    /// Returns the ranges, from the highest down. They were validated when the frame was decoded.
    #[must_use]
    pub const fn ranges(&self) -> AckRanges<'a> {
        AckRanges {
            rest: Reader::new(self.ranges),
            left: self.count,
            largest: self.largest,
            above: None,
        }
    }

    /// Decodes the fields that follow the frame type.
    pub(super) fn decode(reader: &mut Reader<'a>, with_ecn: bool) -> Result<Self, Malformed> {
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
        let ranges = &bytes[..bytes.len() - walk.rest.rest().len()];
        *reader = walk.rest;
        let ecn = with_ecn.then(|| EcnCounts::decode(reader)).transpose()?;
        Ok(Self {
            largest,
            delay,
            ecn,
            ranges,
            count,
        })
    }

    pub(super) fn size(&self) -> usize {
        let [largest, delay, further] = self.head().map(VarInt::size);
        let ecn = self.ecn.map_or(0, |counts| counts.size());
        1 + largest + delay + further + self.ranges.len() + ecn
    }

    /// Encodes the frame as it was decoded.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(frame_type(self.ecn));
        for field in self.head() {
            field.encode(out);
        }
        out.extend_from_slice(self.ranges);
        if let Some(counts) = self.ecn {
            counts.encode(out);
        }
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
    /// Start of the range before this one.
    above: Option<u64>,
}

impl AckRanges<'_> {
    fn advance(&mut self) -> Result<RangeInclusive<u64>, Malformed> {
        let end = match self.above {
            None => self.largest,
            Some(above) => {
                let gap = self.rest.varint()?;
                above
                    .checked_sub(gap)
                    .and_then(|end| end.checked_sub(2))
                    .ok_or(Malformed::Range)?
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

const fn frame_type(ecn: Option<EcnCounts>) -> u8 {
    match ecn {
        Some(_) => ACK_ECN,
        None => ACK,
    }
}

/// Appends an ACK frame for inclusive ranges, given from the highest down: at most
/// [`limits::ACK_RANGES`](super::limits::ACK_RANGES) of them, and as many as fit into `space`
/// bytes. Appends nothing and returns false if not even the first range fits.
///
/// Ranges that touch, overlap or ascend are a bug of the caller; they end the frame.
pub fn encode_ack(
    mut ranges: impl Iterator<Item = RangeInclusive<u64>>,
    delay: Duration,
    ecn: Option<EcnCounts>,
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
    let counts = ecn.map_or(0, |counts| counts.size());
    let mut used = 1 + largest.size() + delay.size() + 1 + length.size() + counts;
    if used > space || largest.0 > MAX_VARINT {
        return false;
    }
    out.push(frame_type(ecn));
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
        out[further_at] = out[further_at].saturating_add(1);
        above = *range.start();
    }
    if let Some(counts) = ecn {
        counts.encode(out);
    }
    true
}

/// Length minus one; `None` if the range is empty.
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

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Result<Ack<'_>, Malformed> {
        let mut frames = Frames::new(bytes);
        match frames.next() {
            Some(Ok(Frame::Ack(ack))) => {
                assert!(frames.next().is_none());
                Ok(ack)
            }
            Some(Err(error)) => Err(error),
            other => panic!("{other:?} is no ACK"),
        }
    }

    fn written(ranges: &[RangeInclusive<u64>], space: usize) -> Vec<u8> {
        written_with(None, ranges, space)
    }

    fn written_with(
        ecn: Option<EcnCounts>,
        ranges: &[RangeInclusive<u64>],
        space: usize,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let fits = encode_ack(
            ranges.iter().cloned(),
            Duration::from_micros(77),
            ecn,
            space,
            &mut out,
        );
        assert_eq!(fits, !out.is_empty());
        out
    }

    /// Ranges from the highest down, built from (gap, length) pairs.
    fn ranges(top: u64, steps: &[(u64, u64)]) -> Vec<RangeInclusive<u64>> {
        let mut below = top;
        let mut ranges = Vec::new();
        for &(gap, length) in steps {
            let Some(end) = below.checked_sub(gap) else {
                break;
            };
            let Some(start) = end.checked_sub(length) else {
                break;
            };
            ranges.push(start..=end);
            let Some(next) = start.checked_sub(2) else {
                break;
            };
            below = next;
        }
        ranges
    }

    #[test]
    fn an_ack_range_below_zero_is_malformed() {
        // Largest 5, delay 0, no further ranges, first range of 7.
        assert_eq!(read(&[ACK, 5, 0, 0, 6]), Err(Malformed::Range));
        // Largest 5, delay 0, one further range: 5..=5, then a gap of 5 that ends at -1.
        assert_eq!(read(&[ACK, 5, 0, 1, 0, 4, 0]), Err(Malformed::Range));
        // The same with a gap of 4: 0..=0.
        let last = [ACK, 5, 0, 1, 0, 3, 0];
        let ranges: Vec<_> = read(&last).unwrap().ranges().collect();
        assert_eq!(ranges, [5..=5, 0..=0]);
    }

    #[test]
    fn more_ack_ranges_than_the_bound_are_neither_encoded_nor_decoded() {
        let many = ranges(1000, &[(0, 0); 2 * ACK_RANGES]);
        let mut bytes = written(&many, 1200);
        assert_eq!(read(&bytes).unwrap().ranges().count(), ACK_RANGES);

        // Type, two bytes of largest, two of delay, then the count.
        bytes[5] += 1;
        bytes.extend_from_slice(&[0, 0]);
        assert_eq!(read(&bytes), Err(Malformed::Range));
    }

    #[test]
    fn without_ranges_or_space_no_ack_is_encoded() {
        assert!(written(&[], 1200).is_empty());
        let one = [70..=80];
        let full = written(&one, 1200);
        assert_eq!(written(&one, full.len()), full);
        assert!(written(&one, full.len() - 1).is_empty());
    }

    proptest! {
        #[test]
        fn encoded_ack_ranges_decode_equal_as_far_as_they_fit(
            top in 0..=MAX_VARINT,
            steps in prop::collection::vec((0..2000u64, 0..2000u64), 1..2 * ACK_RANGES),
            space in 0..300usize,
            ecn in prop::option::of((0..=MAX_VARINT, 0..=MAX_VARINT, 0..=MAX_VARINT)),
        ) {
            let given = ranges(top, &steps);
            let ecn = ecn.map(|(ect0, ect1, ce)| EcnCounts { ect0, ect1, ce });
            let bytes = written_with(ecn, &given, space);
            prop_assert!(bytes.len() <= space);
            let (mut found, mut delay) = (Vec::new(), None);
            if !bytes.is_empty() {
                let ack = read(&bytes).unwrap();
                prop_assert_eq!(ack.largest, *given[0].end());
                prop_assert_eq!(ack.ecn, ecn);
                prop_assert_eq!(ack.size(), bytes.len());
                (found, delay) = (ack.ranges().collect(), Some(ack.delay));
            }
            prop_assert_eq!(&found[..], &given[..found.len()]);
            prop_assert_eq!(delay, (!found.is_empty()).then_some(Duration::from_micros(77)));
            // It stopped only for want of space or of ranges.
            let more = written_with(ecn, &given[..given.len().min(found.len() + 1)], 1200);
            prop_assert!(found.len() == given.len().min(ACK_RANGES) || more.len() > space);
        }
    }
}
