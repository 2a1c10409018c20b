//! Rows in order, and how many of them.
//!
//! Rows with equal keys keep the order in which they came where a statement is evaluated once. In an installed rule they
//! are ordered by all their columns, so that which rows a LIMIT keeps depends on the rows alone.

use std::cmp::Ordering;

use arrow_array::RecordBatch;
use daemoneye_dsl::query::SortKey;
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning};
use crate::batch::{RowCodec, take};
use crate::error::Error;
use crate::eval::compare_values;

pub(super) struct Sort {
    pub(super) keys: Vec<SortKey>,
    pub(super) limit: Option<u64>,
    pub(super) offset: u64,
}

impl Meaning for Sort {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
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
        order.sort_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            let by_keys = self.keys.iter().zip(&values).map(|(key, values)| compare(key, &values[a], &values[b]));
            let tie = || whole.as_ref().map_or(Ordering::Equal, |whole| whole[a].cmp(&whole[b]));
            by_keys.fold(Ordering::Equal, Ordering::then).then_with(tie)
        });
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(order.len());
        let kept = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let kept: Vec<_> = order[skipped..].iter().copied().take(kept).collect();
        Ok(take(rows, &kept))
    }
}

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
