//! Recursion: rounds of new rows until one gives none.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use daemoneye_dsl::types::Type;

use super::{Context, Meaning, Node, ROWS_MAX, within};
use crate::batch::{RowCodec, stack, take};
use crate::error::Error;

/// Rounds of one recursion.
pub(crate) const ROUNDS_MAX: usize = 100_000;

pub(super) struct Recursive {
    base: Node,
    step: Node,
    id: usize,
    types: Vec<Type>,
    distinct: bool,
    limit: usize,
}

impl Recursive {
    pub(super) fn new(
        (base, step): (Node, Node),
        types: Vec<Type>,
        id: usize,
        distinct: bool,
        limit: Option<u64>,
    ) -> Self {
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { base, step, id, types, distinct, limit }
    }
}

impl Meaning for Recursive {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let repeated = context.repeated();
        let codec = RowCodec::new(&self.types);
        let mut seen = HashSet::new();
        let mut new = |rows: RecordBatch| {
            if !self.distinct {
                return rows;
            }
            let keys = (0u32..).zip(codec.encode(rows.columns(), rows.num_rows()));
            let fresh: Vec<u32> = keys.filter_map(|(row, key)| seen.insert(key).then_some(row)).collect();
            take(&rows, &fresh)
        };
        let mut round = new(self.base.meaning(&repeated)?);
        let mut rounds = vec![round.clone()];
        let mut rows = round.num_rows();
        while round.num_rows() > 0 && rows < self.limit {
            round = new(self.step.meaning(&repeated.with_round(self.id, round))?);
            rows += round.num_rows();
            within(rows, ROWS_MAX, "a recursion")?;
            within(rounds.len(), ROUNDS_MAX, "the rounds of a recursion")?;
            rounds.push(round.clone());
        }
        let all = stack(&rounds, &rounds[0]);
        Ok(all.slice(0, rows.min(self.limit)))
    }
}

/// The rows of the round before.
pub(super) struct Working(pub(super) usize);

impl Meaning for Working {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Ok(context.working.get(&self.0).expect("it stands only in the step of its recursion").clone())
    }
}
