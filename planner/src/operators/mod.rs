//! The operations, running.
//!
//! Each has a [`Meaning`] (whole relations in, whole relation out); an [`Operator`] has a step as well (changes in,
//! changes out). The law: the sum of the steps is the meaning of the summed input. Filters and projections are linear,
//! so their step is their meaning on the changed rows. The others are [`Recomputed`]: it keeps their input and what
//! they last gave, takes their meaning anew when something changed, and gives the difference. An operation that learns
//! to step by itself drops the wrapper and nothing else changes.

mod aggregate;
mod ancestors;
mod distinct;
mod filter;
mod join;
mod project;
mod recomputed;
mod scan;
mod sort;

use std::cell::RefCell;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::{Timestamp, Type};
use daemoneye_storage::Reader;

use crate::batch::Batch;
use crate::dataflow::Changes;
use crate::error::Error;
use crate::plan::Plan;
use recomputed::Recomputed;

/// Rows that one operation may give.
pub(crate) const ROWS_MAX: usize = 4_000_000;
/// Distinct rows that one operation of an installed rule may hold.
pub(crate) const STATE_ROWS_MAX: usize = 500_000;

/// What an evaluation may look at.
pub(crate) struct Context<'a> {
    /// The tables as they are now.
    pub(crate) reader: &'a dyn Reader,
    /// What changed; nothing where the whole tables are taken as having just appeared.
    pub(crate) changes: Option<&'a Changes>,
    /// The snapshot's time.
    pub(crate) now: Timestamp,
    /// What is missing from what was read so far.
    pub(crate) completeness: RefCell<Completeness>,
}

impl Context<'_> {
    fn note(&self, reason: Reason) {
        self.completeness.borrow_mut().add(reason);
    }
}

/// What an operation means.
pub(crate) trait Meaning {
    /// The whole output for the whole inputs.
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error>;
}

/// An operation that runs on changes.
pub(crate) trait Operator: Meaning + Send {
    /// The output's change for the inputs' changes.
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error>;

    /// Distinct rows held from step to step.
    fn state_rows(&self) -> usize {
        0
    }
}

/// An operation with its inputs.
pub(crate) struct Node {
    operator: Box<dyn Operator>,
    inputs: Vec<Node>,
}

impl Node {
    pub(crate) fn new(plan: &Plan) -> Self {
        let inputs: Vec<_> = plan.inputs();
        let types: Vec<Vec<Type>> = inputs.iter().map(|input| types(input)).collect();
        let inputs = inputs.into_iter().map(Self::new).collect();
        Self { operator: operator(plan, &types), inputs }
    }

    pub(crate) fn meaning(&self, context: &Context<'_>) -> Result<RecordBatch, Error> {
        let inputs = self.inputs.iter().map(|input| input.meaning(context)).collect::<Result<Vec<_>, _>>()?;
        let output = self.operator.meaning(context, &inputs)?;
        within(output.num_rows(), ROWS_MAX, "the result of an operation")?;
        Ok(output)
    }

    pub(crate) fn step(&mut self, context: &Context<'_>) -> Result<Batch, Error> {
        let changes = self.inputs.iter_mut().map(|input| input.step(context)).collect::<Result<Vec<_>, _>>()?;
        let change = self.operator.step(context, &changes)?;
        within(change.rows.num_rows(), ROWS_MAX, "the change of an operation")?;
        within(self.operator.state_rows(), STATE_ROWS_MAX, "the state of an operation")?;
        Ok(change)
    }
}

fn within(rows: usize, limit: usize, operation: &'static str) -> Result<(), Error> {
    if rows > limit { Err(Error::TooManyRows { operation, limit }) } else { Ok(()) }
}

/// The types of a plan's columns.
pub(crate) fn types(plan: &Plan) -> Vec<Type> {
    plan.fields().into_iter().map(|field| field.ty).collect()
}

fn operator(plan: &Plan, inputs: &[Vec<Type>]) -> Box<dyn Operator> {
    let output = types(plan);
    let timed = plan.exprs().into_iter().any(daemoneye_dsl::expr::Expr::uses_now);
    match plan.clone() {
        Plan::Unit => Box::new(Recomputed::new(scan::Unit, inputs, output).timed(false)),
        Plan::Scan { table, columns, filter, lookback, .. } => {
            let scan = scan::Scan::new(table, columns, lookback);
            match filter {
                None => Box::new(scan),
                Some(filter) if timed => {
                    let lookback = scan.lookback_in_output();
                    let filter = Recomputed::new(filter::Filter(filter), std::slice::from_ref(&output), output.clone())
                        .timed(true);
                    Box::new(scan::Filtered { scan, filter: Box::new(filter.forgetting(lookback)) })
                }
                Some(filter) => Box::new(scan::Filtered { scan, filter: Box::new(filter::Filter(filter)) }),
            }
        }
        Plan::Filter { predicate, .. } if timed => {
            Box::new(Recomputed::new(filter::Filter(predicate), inputs, output).timed(true))
        }
        Plan::Filter { predicate, .. } => Box::new(filter::Filter(predicate)),
        Plan::Project { columns, .. } => {
            let project = project::Project(columns.into_iter().map(|(_, expr)| expr).collect());
            if timed { Box::new(Recomputed::new(project, inputs, output).timed(true)) } else { Box::new(project) }
        }
        Plan::Join { kind, keys, on, .. } => {
            Box::new(Recomputed::new(join::Join { kind, keys, on }, inputs, output).timed(timed))
        }
        // Its answer depends on what the reader knows of processes, which may change without its input changing.
        Plan::Ancestors { process, columns, kind, on, .. } => {
            let ancestors = ancestors::Ancestors { process, columns, kind, on };
            Box::new(Recomputed::new(ancestors, inputs, output).timed(true))
        }
        Plan::Aggregate { keys, aggregates, .. } => {
            Box::new(Recomputed::new(aggregate::Group { keys, aggregates }, inputs, output).timed(timed))
        }
        Plan::Distinct { .. } => Box::new(Recomputed::new(distinct::Distinct, inputs, output).timed(false)),
        Plan::Sort { keys, limit, offset, .. } => {
            Box::new(Recomputed::new(sort::Sort { keys, limit, offset }, inputs, output).timed(false))
        }
    }
}
