//! Rows in order, and how many of them.
//!
//! Rows with equal keys keep the order in which they came where a statement is evaluated once. In an installed rule they
//! are ordered by all their columns, so that which rows a LIMIT keeps depends on the rows alone.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use daemoneye_dsl::query::SortKey;
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Leeway, Meaning, Node};
use crate::batch::{RowCodec, empty, stack, take};
use crate::error::Error;
use crate::eval::compare_values;

pub(super) struct Sort {
    pub(super) keys: Vec<SortKey>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
    pub(super) types: Vec<Type>,
}

impl Sort {
    /// The numbers of the rows in order, as many as are needed.
    fn order(&self, context: &Context<'_>, rows: &RecordBatch) -> Vec<u32> {
        let values: Vec<Vec<Value>> = self
            .keys
            .iter()
            .map(|key| (0..rows.num_rows()).map(|row| Value::at(rows.column(key.column), row)).collect())
            .collect();
        let whole = context.installed.then(|| {
            let types: Vec<_> = rows.columns().iter().filter_map(|it| Type::from_arrow(it.data_type())).collect();
            RowCodec::new(&types).encode(rows.columns(), rows.num_rows())
        });
        let mut order: Vec<u32> = (0u32..).take(rows.num_rows()).collect();
        let compared = |one: &u32, other: &u32| {
            let (a, b) = (*one as usize, *other as usize);
            let mut by_keys = self.keys.iter().zip(&values).map(|(key, values)| compare(key, &values[a], &values[b]));
            let by_keys = by_keys.find(|order| order.is_ne()).unwrap_or(Ordering::Equal);
            let tie = || whole.as_ref().map_or(Ordering::Equal, |whole| whole[a].cmp(&whole[b]));
            by_keys.then_with(tie).then(one.cmp(other))
        };
        // The rest need no order.
        if let Some(needed) = self.needed().filter(|needed| *needed < order.len()) {
            order.select_nth_unstable_by(needed, compared);
            order.truncate(needed);
        }
        order.sort_unstable_by(compared);
        order
    }

    fn cut(&self, rows: &RecordBatch, order: &[u32]) -> RecordBatch {
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(order.len());
        let kept = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let kept: Vec<_> = order[skipped..].iter().copied().take(kept).collect();
        take(rows, &kept)
    }

    /// Rows that must be known before any can be left out; nothing if none ever can.
    fn needed(&self) -> Option<usize> {
        usize::try_from(self.limit?.saturating_add(self.offset)).ok().filter(|needed| *needed <= NEEDED_MAX)
    }
}

impl Meaning for Sort {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        context.note_before_limit(Some(inputs[0].num_rows()));
        Ok(self.cut(&inputs[0], &self.order(context, &inputs[0])))
    }

    fn fold(&self, context: &Context<'_>, input: &Node) -> Option<Result<RecordBatch, Error>> {
        let needed = self.needed()?;
        let as_they_come = self.keys.is_empty() && !context.installed;
        let (mut kept, mut rows): (Vec<RecordBatch>, usize) = (vec![], 0);
        let mut all = Some(0);
        let streamed = input.stream(context, Leeway::default(), &mut |part| {
            // Only now it is known that there are more.
            if as_they_come && rows >= needed && part.num_rows() > 0 {
                all = None;
                return Ok(ControlFlow::Break(()));
            }
            all = all.map(|all| all + part.num_rows());
            rows += part.num_rows();
            kept.push(part);
            if as_they_come {
                return Ok(ControlFlow::Continue(()));
            }
            // The first so many of all are among the first so many of what came so far.
            if rows > 2 * needed + ROWS_AT_ONCE {
                let all = stack(&kept, &kept[0]);
                kept = vec![take(&all, &self.order(context, &all))];
                rows = needed;
            }
            Ok(ControlFlow::Continue(()))
        });
        if let Err(error) = streamed {
            return Some(Err(error));
        }
        context.note_before_limit(all);
        let all = stack(&kept, &empty(&self.types));
        let order = if as_they_come { (0u32..).take(all.num_rows()).collect() } else { self.order(context, &all) };
        Some(Ok(self.cut(&all, &order)))
    }
}

/// More rows than this are not kept apart from the others.
const NEEDED_MAX: usize = 100_000;
/// Rows that come together before some are left out.
const ROWS_AT_ONCE: usize = 8_192;

/// The order of two values as the key has it.
pub(super) fn compare(key: &SortKey, a: &Value, b: &Value) -> Ordering {
    let nulls = |first: bool| if first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => nulls(key.nulls_first),
        (false, true) => nulls(key.nulls_first).reverse(),
        (false, false) => {
            let ordering = compare_values(a, b, key.collation);
            if key.descending { ordering.reverse() } else { ordering }
        }
    }
}
