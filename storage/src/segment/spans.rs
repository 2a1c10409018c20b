//! Sets of rows of a segment: ranges in order, none touching the next.

use std::ops::Range;

/// Rows by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Range<u32>>);

impl Spans {
    /// The first so many.
    pub(crate) fn all(rows: u32) -> Self {
        let mut spans = Self::default();
        spans.add(0..rows);
        spans
    }

    /// Appends rows behind all that are there.
    pub(crate) fn add(&mut self, rows: Range<u32>) {
        match self.0.last_mut() {
            _ if rows.is_empty() => {}
            Some(last) if last.end >= rows.start => last.end = last.end.max(rows.end),
            _ => self.0.push(rows),
        }
    }

    /// Of rows in any order.
    pub(crate) fn of(mut rows: Vec<u32>) -> Self {
        rows.sort_unstable();
        let mut spans = Self::default();
        for row in rows {
            spans.add(row..row + 1);
        }
        spans
    }

    /// Of ranges in any order.
    pub(crate) fn of_ranges(mut ranges: Vec<Range<u32>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut spans = Self::default();
        for range in ranges {
            spans.add(range);
        }
        spans
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows these are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|range| (range.end - range.start) as usize).sum()
    }

    pub(crate) fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// The ranges that have a row from `least` to `greatest`.
    pub(crate) fn near(&self, least: i64, greatest: i64) -> &[Range<u32>] {
        let from = self.0.partition_point(|range| i64::from(range.end) <= least);
        let to = self.0.partition_point(|range| i64::from(range.start) <= greatest);
        self.0.get(from..to).unwrap_or_default()
    }

    /// The rows that are in both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut both = Self::default();
        let (mut one, mut two) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (one.peek(), two.peek()) {
            both.add(a.start.max(b.start)..a.end.min(b.end).max(a.start.max(b.start)));
            if a.end <= b.end {
                one.next();
            } else {
                two.next();
            }
        }
        both
    }

    /// The rows that are in one of them.
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self::of_ranges(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Of the first so many rows, those that are not in it.
    pub(crate) fn complement(&self, rows: u32) -> Self {
        let mut rest = Self::default();
        let mut from = 0;
        for range in &self.0 {
            rest.add(from..range.start);
            from = range.end;
        }
        rest.add(from..rows.max(from));
        rest
    }

    /// Those that have these places among them.
    pub(crate) fn part(&self, places: &Range<u32>) -> Self {
        let mut part = Self::default();
        let mut before = 0;
        for range in &self.0 {
            let len = range.end - range.start;
            let (from, to) = (places.start.max(before), places.end.min(before + len));
            if from < to {
                part.add(range.start + (from - before)..range.start + (to - before));
            }
            before += len;
        }
        part
    }

    /// Those from `from` on and before `to`.
    pub(crate) fn within(&self, rows: &Range<u32>) -> Self {
        let first = self.0.partition_point(|range| range.end <= rows.start);
        let mut within = Self::default();
        for range in self.0[first..].iter().take_while(|range| range.start < rows.end) {
            within.add(range.start.max(rows.start)..range.end.min(rows.end));
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(spans: &Spans) -> BTreeSet<u32> {
        spans.iter().collect()
    }

    proptest! {
        #[test]
        fn they_are_sets(one in prop::collection::vec(0_u32..60, 0..40), two in prop::collection::vec(0_u32..60, 0..40), from in 0_u32..60, len in 0_u32..30) {
            let (a, b) = (Spans::of(one.clone()), Spans::of(two.clone()));
            let (one, two): (BTreeSet<u32>, BTreeSet<u32>) = (one.into_iter().collect(), two.into_iter().collect());
            prop_assert_eq!(set(&a.complement(60)), (0..60).filter(|row| !one.contains(row)).collect::<BTreeSet<_>>());
            prop_assert_eq!(set(&a), one.clone());
            prop_assert_eq!(a.len(), one.len());
            let near = a.near(i64::from(from), i64::from(from + len) - 1);
            let is_near = |range: &&Range<u32>| range.start < from + len && range.end > from;
            prop_assert!(len == 0 || near.iter().eq(a.ranges().iter().filter(is_near)), "{:?}", near);
            prop_assert_eq!(set(&a.and(&b)), one.intersection(&two).copied().collect());
            prop_assert_eq!(set(&a.or(&b)), one.union(&two).copied().collect());
            prop_assert_eq!(set(&a.within(&(from..from + len))), one.range(from..from + len).copied().collect());
            let part = one.iter().copied().skip(from as usize).take(len as usize).collect();
            prop_assert_eq!(set(&a.part(&(from..from + len))), part);
            for spans in [a.and(&b), a.or(&b)] {
                prop_assert!(spans.ranges().windows(2).all(|pair| pair[0].end < pair[1].start), "{:?}", spans);
            }
        }
    }
}
