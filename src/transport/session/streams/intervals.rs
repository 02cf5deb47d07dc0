//! Sets of half-open ranges of stream offsets: acknowledged bytes, and bytes to send again.
//!
//! Invariant: the ranges, in a sorted map from start to end, are neither overlapping nor adjacent. Their
//! number is bounded by the window of the sending half, within which they lie: at most one per datagram.

use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Default, Debug)]
pub(super) struct Intervals(BTreeMap<u64, u64>);

impl Intervals {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the lowest range.
    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.0.first_key_value().map(|(&start, &end)| start..end)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a range, merging it with those that overlap or adjoin it.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end {
            return;
        }
        if let Some((&before, &before_end)) = self.0.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self
            .0
            .range(start..)
            .next()
            .filter(|(next, _)| **next <= end)
        {
            end = end.max(next_end);
            self.0.remove(&next);
        }
        self.0.insert(start, end);
    }

    /// Removes a range, splitting those that extend beyond it.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end || self.0.is_empty() {
            return;
        }
        if let Some((&before, &before_end)) = self.0.range(..range.start).next_back()
            && before_end > range.start
        {
            self.0.insert(before, range.start);
            if before_end > range.end {
                self.0.insert(range.end, before_end);
            }
        }
        while let Some((&next, &next_end)) = self.0.range(range.start..range.end).next() {
            self.0.remove(&next);
            if next_end > range.end {
                self.0.insert(range.end, next_end);
            }
        }
    }

    /// Returns the parts of `range` that are not in the set, lowest first.
    pub(super) fn gaps(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        if range.start >= range.end {
            return gaps;
        }
        let mut at = range.start;
        if let Some((_, &end)) = self.0.range(..=at).next_back() {
            at = at.max(end);
        }
        for (&start, &end) in self.0.range(range.start..range.end) {
            if start > at {
                gaps.push(at..start);
            }
            at = at.max(end);
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_as_a_set_of_offsets(steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..60)) {
            let mut intervals = Intervals::default();
            let mut model = BTreeSet::new();
            for (insert, start, length) in steps {
                let range = start..start + length;
                if insert {
                    intervals.insert(range.clone());
                    model.extend(range);
                } else {
                    intervals.remove(range.clone());
                    range.for_each(|offset| { model.remove(&offset); });
                }
                let flat: BTreeSet<u64> = intervals.0.iter().flat_map(|(&start, &end)| start..end).collect();
                prop_assert_eq!(&flat, &model);
                let missing: BTreeSet<u64> = intervals.gaps(10..50).into_iter().flatten().collect();
                let expected: BTreeSet<u64> = (10..50).filter(|offset| !model.contains(offset)).collect();
                prop_assert_eq!(missing, expected);
            }
        }
    }

    #[test]
    fn a_range_that_ends_before_it_starts_has_no_gaps() {
        // A lost chunk that lies wholly below the acknowledged offset gives such a range.
        let (start, end) = (20, 10);
        assert!(Intervals::default().gaps(start..end).is_empty());
    }
}
