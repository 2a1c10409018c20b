//! What the conditions of a SELECT say about how far apart the moments of its inputs may lie.

use super::Rows;
use crate::moments;
use crate::tables::Kind;

/// What a moment is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The time of evaluation.
    Now,
    /// A TIMESTAMP of the input with this number.
    Input(usize),
}

/// `earlier` is at most a constant later than `later`, for every row that the conditions let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) earlier: Base,
    pub(super) later: Base,
}

/// Every bound that WHERE and ON say; those below OR and NOT bind no row.
pub(super) fn bounds(rows: &Rows<'_>) -> Vec<Bound> {
    let found = rows.conditions().into_iter().flat_map(moments::bounds);
    let both =
        |bound: moments::Bound| Some(Bound { earlier: base(rows, bound.earlier)?, later: base(rows, bound.later)? });
    found.filter_map(both).collect()
}

/// The input that a moment is of; none where it says nothing of when the event happened.
fn base(rows: &Rows<'_>, base: moments::Base) -> Option<Base> {
    match base {
        moments::Base::Now => Some(Base::Now),
        moments::Base::Column(index) => {
            let of_table = rows.table_column(index);
            let says = of_table.is_none_or(|(table, column)| table.table.kind != Kind::Events || !column.earlier);
            says.then(|| Base::Input(rows.input_of(index)))
        }
    }
}

/// Whether `from` is never more than a constant later than `to`. Nothing is later than now.
pub(super) fn bounded(bounds: &[Bound], from: Base, to: Base) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(here) = reached.get(at).copied() {
        let further = bounds.iter().filter(|bound| bound.earlier == here).map(|bound| bound.later).chain([Base::Now]);
        for next in further {
            if !reached.contains(&next) {
                reached.push(next);
            }
        }
        at += 1;
    }
    reached.contains(&to)
}
