//! Each row with the ancestors of one process, nearest first.
//!
//! The chain follows `parent_id` through what the reader knows of every process, dead or alive. It ends at an unknown
//! parent, at a process met before (ids are hashes, so a loop means somebody lied), or at a bound, which is said.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::tables::{ancestors, schema_of, version_columns};
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning};
use crate::batch::{batch, beside, stack, take, take_or_null};
use crate::error::Error;

/// The place of `parent_id` in a version.
static PARENT_ID: LazyLock<usize> =
    LazyLock::new(|| version_columns().iter().position(|column| column.name == "parent_id").expect("a column"));

pub(super) struct Ancestors {
    pub(super) process: Expr,
    pub(super) columns: Vec<usize>,
    pub(super) kind: JoinKind,
    pub(super) on: Option<Expr>,
}

/// The processes asked for so far, each read once however many rows descend from it.
#[derive(Default)]
struct Known {
    /// By `proc_id`, the place in the lists below; nothing for a process that the reader does not know.
    places: HashMap<String, Option<u32>>,
    versions: Vec<RecordBatch>,
    parents: Vec<Option<String>>,
}

impl Known {
    fn place(&mut self, id: &str, context: &Context<'_>) -> Result<Option<u32>, Error> {
        if let Some(place) = self.places.get(id) {
            return Ok(*place);
        }
        let place = context.reader.process(id)?.map(|stored| {
            let parent = Value::at(stored.row.column(*PARENT_ID), 0);
            self.parents.push(parent.as_text().map(str::to_owned));
            self.versions.push(stored.row);
            u32::try_from(self.versions.len() - 1).expect("fewer processes than 2^32")
        });
        self.places.insert(id.to_owned(), place);
        Ok(place)
    }

    fn parent(&mut self, place: u32, context: &Context<'_>) -> Result<Option<u32>, Error> {
        match self.parents[place as usize].clone() {
            Some(parent) => self.place(&parent, context),
            None => Ok(None),
        }
    }

    /// The places of a process's ancestors, nearest first.
    fn chain(&mut self, id: &str, context: &Context<'_>) -> Result<Vec<u32>, Error> {
        let Some(own) = self.place(id, context)? else { return Ok(vec![]) };
        let mut chain = Vec::new();
        let mut next = self.parent(own, context)?;
        while let Some(parent) = next.filter(|parent| *parent != own && !chain.contains(parent)) {
            if chain.len() == ancestors::DEPTH_MAX {
                context.note(Reason::ResultTruncated);
                break;
            }
            chain.push(parent);
            next = self.parent(parent, context)?;
        }
        Ok(chain)
    }

    fn all(&self) -> RecordBatch {
        stack(&self.versions, &RecordBatch::new_empty(schema_of(&version_columns())))
    }
}

/// Pairs of a row and an ancestor: their numbers, and how many generations lie between.
#[derive(Default)]
struct Pairs {
    rows: Vec<u32>,
    ancestors: Vec<u32>,
    depths: Vec<i64>,
}

impl Ancestors {
    fn pairs(&self, rows: &RecordBatch, known: &mut Known, context: &Context<'_>) -> Result<Pairs, Error> {
        let ids = context.evaluator(rows).values(&self.process);
        let mut pairs = Pairs::default();
        for (number, row) in (0u32..).zip(0..rows.num_rows()) {
            let id = Value::at(&ids, row);
            let chain = id.as_text().map_or_else(|| Ok(vec![]), |id| known.chain(id, context))?;
            for (depth, ancestor) in (1..).zip(chain) {
                pairs.rows.push(number);
                pairs.ancestors.push(ancestor);
                pairs.depths.push(depth);
            }
        }
        Ok(pairs)
    }

    /// The columns that are read: depth first among all, then those of the version.
    fn columns_of(&self, versions: &RecordBatch, depths: &[i64]) -> RecordBatch {
        let columns = self.columns.iter().map(|at| match at.checked_sub(1) {
            None => Type::Integer.array(depths.iter().copied().map(Value::Integer)),
            Some(at) => versions.column(at).clone(),
        });
        batch(columns.collect(), depths.len())
    }
}

impl Meaning for Ancestors {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let mut known = Known::default();
        let pairs = self.pairs(rows, &mut known, context)?;
        let ancestors = self.columns_of(&take(&known.all(), &pairs.ancestors), &pairs.depths);
        let both = beside(&take(rows, &pairs.rows), &ancestors);
        let kept = match &self.on {
            Some(on) => context.evaluator(&both).matching(on),
            None => (0u32..).take(both.num_rows()).collect(),
        };
        let found = take(&both, &kept);
        if self.kind == JoinKind::Inner {
            return Ok(found);
        }
        let mut matched = vec![false; rows.num_rows()];
        for at in kept {
            matched[pairs.rows[at as usize] as usize] = true;
        }
        let alone: Vec<u32> = (0u32..).zip(matched).filter(|(_, matched)| !matched).map(|(row, _)| row).collect();
        let nulls = take_or_null(&ancestors, &vec![None; alone.len()]);
        Ok(stack(&[found, beside(&take(rows, &alone), &nulls)], &both))
    }
}
