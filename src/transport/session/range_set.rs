//! A set of integers as inclusive ranges, bounded in number.
//!
//! Holds the received counters for ACK frames. Invariant: the ranges are sorted, neither overlapping nor
//! adjacent, and at most `bound` in number: one more displaces the lowest.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// A bounded set of `u64`.
#[derive(Clone, Debug)]
pub struct RangeSet {
    /// Ascending.
    ranges: VecDeque<Range>,
    bound: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    low: u64,
    high: u64,
}

impl From<Range> for RangeInclusive<u64> {
    fn from(range: Range) -> Self {
        range.low..=range.high
    }
}

impl RangeSet {
    /// Creates an empty set that holds at most `bound` ranges, and at least one.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self {
            ranges: VecDeque::new(),
            bound: bound.max(1),
        }
    }

    /// Adds an integer; returns the range that it displaced, which may be its own.
    pub fn insert(&mut self, value: u64) -> Option<RangeInclusive<u64>> {
        self.insert_range(value..=value)
    }

    /// Adds a range, which is empty if its end is below its start; returns the range that it displaced, which
    /// may be the range itself.
    pub fn insert_range(&mut self, range: RangeInclusive<u64>) -> Option<RangeInclusive<u64>> {
        let (mut low, mut high) = range.into_inner();
        if low > high {
            return None;
        }
        // Ranges from `from` to before `to` overlap or adjoin the new one.
        let from = self
            .ranges
            .partition_point(|old| old.high.saturating_add(1) < low);
        let to = self
            .ranges
            .partition_point(|old| old.low <= high.saturating_add(1));
        if from < to {
            low = low.min(self.ranges[from].low);
            high = high.max(self.ranges[to - 1].high);
            self.ranges[from] = Range { low, high };
            self.ranges.drain(from + 1..to);
            return None;
        }
        self.ranges.insert(from, Range { low, high });
        if self.ranges.len() > self.bound {
            return self.ranges.pop_front().map(Into::into);
        }
        None
    }

    #[cfg(test)]
    fn contains(&self, value: u64) -> bool {
        self.range_of(value).is_some()
    }

    /// Returns the range that contains `value`.
    #[cfg(test)]
    fn range_of(&self, value: u64) -> Option<RangeInclusive<u64>> {
        let at = self.ranges.partition_point(|range| range.high < value);
        let range = *self.ranges.get(at)?;
        (range.low <= value).then(|| range.into())
    }

    /// Returns the ranges, highest first.
    pub fn iter(
        &self,
    ) -> impl DoubleEndedIterator<Item = RangeInclusive<u64>> + ExactSizeIterator + '_ {
        self.ranges.iter().rev().map(|range| (*range).into())
    }

    /// Removes all integers below `value`.
    pub fn remove_below(&mut self, value: u64) {
        let gone = self.ranges.partition_point(|range| range.high < value);
        self.ranges.drain(..gone);
        if let Some(first) = self.ranges.front_mut() {
            first.low = first.low.max(value);
        }
    }

    /// Returns the lowest integer.
    #[cfg(test)]
    fn lowest(&self) -> Option<u64> {
        self.ranges.front().map(|range| range.low)
    }

    /// Returns the highest integer.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.ranges.back().map(|range| range.high)
    }

    /// Returns the number of ranges.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(set: &RangeSet) -> Vec<RangeInclusive<u64>> {
        set.iter().collect()
    }

    #[test]
    fn adjacent_ranges_are_merged() {
        let mut set = RangeSet::new(8);
        set.insert(1);
        set.insert(3);
        assert_eq!(ranges(&set), [3..=3, 1..=1]);
        set.insert(2);
        assert_eq!(ranges(&set), [1..=3]);
        set.insert_range(10..=20);
        set.insert_range(4..=9);
        assert_eq!(ranges(&set), [1..=20]);
        assert_eq!(set.range_of(7), Some(1..=20));
        assert_eq!(set.range_of(21), None);
    }

    #[test]
    fn zero_and_the_largest_integer_are_handled_like_others() {
        let mut set = RangeSet::new(8);
        set.insert(u64::MAX);
        set.insert(0);
        set.insert_range(5..=u64::MAX);
        assert_eq!(ranges(&set), [5..=u64::MAX, 0..=0]);
        set.insert_range(0..=u64::MAX);
        assert_eq!(ranges(&set), [0..=u64::MAX]);
        set.remove_below(u64::MAX);
        assert_eq!(ranges(&set), [u64::MAX..=u64::MAX]);
    }

    #[test]
    fn a_full_set_forgets_its_lowest_range() {
        let mut set = RangeSet::new(2);
        assert_eq!(set.insert(10), None);
        assert_eq!(set.insert(20), None);
        assert_eq!(set.insert(30), Some(10..=10));
        assert_eq!(set.insert(5), Some(5..=5));
        assert_eq!(set.insert(21), None);
        assert_eq!(ranges(&set), [30..=30, 20..=21]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64, u64),
        RemoveBelow(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..200_u64, 0..8_u64).prop_map(|(low, more)| Step::Insert(low, low + more)),
            1 => (0..200_u64).prop_map(Step::RemoveBelow),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_set_of_integers(
            bound in 1..12_usize,
            steps in prop::collection::vec(step(), 0..80),
        ) {
            let mut set = RangeSet::new(bound);
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Insert(low, high) => {
                        let forgotten = set.insert_range(low..=high);
                        model.extend(low..=high);
                        if let Some(range) = forgotten {
                            prop_assert_eq!(model.first(), Some(range.start()));
                            for value in range {
                                prop_assert!(model.remove(&value));
                            }
                        }
                    }
                    Step::RemoveBelow(value) => {
                        set.remove_below(value);
                        model = model.split_off(&value);
                    }
                }
                prop_assert!(set.len() <= bound);
                let listed: Vec<u64> = set.iter().flat_map(Iterator::rev).collect();
                let wanted: Vec<u64> = model.iter().rev().copied().collect();
                prop_assert_eq!(listed, wanted);
                prop_assert!((0..210).all(|value| set.contains(value) == model.contains(&value)));
                prop_assert_eq!(set.lowest(), model.first().copied());
                prop_assert_eq!(set.highest(), model.last().copied());
                let ascending: Vec<_> = set.iter().rev().collect();
                prop_assert!(ascending.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
            }
        }
    }
}
