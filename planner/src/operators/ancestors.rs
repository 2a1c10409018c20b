//! Each row with the ancestors of one process, nearest first.
//!
//! The chain follows `parent_id` through what the reader knows of every process, dead or alive. It ends at an unknown
//! parent, at a process met before (ids are hashes, so a loop means somebody lied), or at a bound, which is said.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::tables::{ancestors, version_columns};
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning};
use crate::batch::{batch, beside, empty, stack, take};
use crate::error::Error;
use crate::eval::Evaluator;

pub(super) struct Ancestors {
    pub(super) process: Expr,
    pub(super) columns: Vec<usize>,
    pub(super) kind: JoinKind,
    pub(super) on: Option<Expr>,
}

/// What the reader knows of each process asked for, so that a shared ancestor is read once.
#[derive(Default)]
struct Known {
    processes: HashMap<String, Option<(RecordBatch, Option<String>)>>,
}

impl Known {
    fn get(&mut self, id: &str, context: &Context<'_>) -> Result<Option<(RecordBatch, Option<String>)>, Error> {
        if let Some(known) = self.processes.get(id) {
            return Ok(known.clone());
        }
        let found = context.reader.process(id)?.map(|stored| {
            let parent = version_columns().iter().position(|column| column.name == "parent_id").expect("a column");
            let parent = Value::at(stored.row.column(parent), 0).as_text().map(str::to_owned);
            (stored.row, parent)
        });
        self.processes.insert(id.to_owned(), found.clone());
        Ok(found)
    }

    /// The ancestors of a process, nearest first.
    fn chain(&mut self, id: &str, context: &Context<'_>) -> Result<Vec<RecordBatch>, Error> {
        let mut chain = Vec::new();
        let mut met = vec![id.to_owned()];
        let mut next = self.get(id, context)?.and_then(|(_, parent)| parent);
        while let Some(parent) = next {
            if met.contains(&parent) {
                break;
            }
            if chain.len() == ancestors::DEPTH_MAX {
                context.note(Reason::ResultTruncated);
                break;
            }
            let Some((row, grandparent)) = self.get(&parent, context)? else { break };
            chain.push(row);
            met.push(parent);
            next = grandparent;
        }
        Ok(chain)
    }
}

impl Ancestors {
    /// The columns of one ancestor: depth, then its version, of which those that are read are kept.
    fn columns_of(&self, depth: usize, row: &RecordBatch) -> RecordBatch {
        let depth = Value::Integer(i64::try_from(depth).expect("bounded"));
        let columns = self.columns.iter().map(|at| match at.checked_sub(1) {
            None => Type::Integer.array([depth.clone()]),
            Some(at) => row.column(at).clone(),
        });
        batch(columns.collect(), 1)
    }

    fn unknown(&self) -> RecordBatch {
        let table = ancestors::table();
        let types: Vec<_> = self.columns.iter().map(|at| table.columns[*at].ty).collect();
        batch(types.iter().map(|ty| ty.array([Value::Null])).collect(), 1)
    }
}

impl Meaning for Ancestors {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let ids = Evaluator::new(rows, context.now).values(&self.process);
        let mut known = Known::default();
        let mut numbers = Vec::new();
        let mut rights = Vec::new();
        for row in 0..rows.num_rows() {
            let number = u32::try_from(row).expect("a batch has fewer than 2^32 rows");
            let id = Value::at(&ids, row);
            let chain = id.as_text().map_or_else(|| Ok(vec![]), |id| known.chain(id, context))?;
            let own: Vec<_> =
                chain.iter().enumerate().map(|(at, ancestor)| self.columns_of(at + 1, ancestor)).collect();
            let own = stack(&own, &self.unknown());
            let left = take(rows, &vec![number; own.num_rows()]);
            let kept = match &self.on {
                Some(on) => {
                    let both = beside(&left, &own);
                    take(&own, &Evaluator::new(&both, context.now).matching(on))
                }
                None => own,
            };
            let kept = if kept.num_rows() == 0 && self.kind == JoinKind::Left { self.unknown() } else { kept };
            numbers.extend(std::iter::repeat_n(number, kept.num_rows()));
            rights.push(kept);
        }
        let types: Vec<_> = self.unknown().columns().iter().filter_map(|c| Type::from_arrow(c.data_type())).collect();
        Ok(beside(&take(rows, &numbers), &stack(&rights, &empty(&types))))
    }
}
