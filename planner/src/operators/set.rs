//! The rows of two inputs as one relation. But for UNION ALL, equal rows are one and come in the order of their columns.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use daemoneye_dsl::query::SetOp;
use daemoneye_dsl::types::Type;

use super::{Context, Meaning};
use crate::batch::{RowCodec, stack, take};
use crate::error::Error;

pub(super) struct Set(pub(super) SetOp);

impl Meaning for Set {
    fn meaning(&self, _: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let all = stack(inputs, &inputs[0]);
        if self.0 == SetOp::UnionAll {
            return Ok(all);
        }
        let types: Vec<_> = all.columns().iter().filter_map(|it| Type::from_arrow(it.data_type())).collect();
        let lefts = inputs[0].num_rows();
        // For each row its first place, and whether it is on the left and on the right.
        let mut rows: BTreeMap<Box<[u8]>, (u32, bool, bool)> = BTreeMap::new();
        for (row, key) in (0u32..).zip(RowCodec::new(&types).encode(all.columns(), all.num_rows())) {
            let is_left = (row as usize) < lefts;
            let entry = rows.entry(key).or_insert((row, false, false));
            entry.1 |= is_left;
            entry.2 |= !is_left;
        }
        let kept = rows.into_values().filter(|(_, left, right)| match self.0 {
            SetOp::Intersect => *left && *right,
            SetOp::Except => *left && !*right,
            SetOp::Union | SetOp::UnionAll => true,
        });
        Ok(take(&all, &kept.map(|(row, ..)| row).collect::<Vec<_>>()))
    }
}
