//! The operations, running.
//!
//! Each has a [`Meaning`] (whole relations in, whole relation out); an [`Operator`] has a step as well (changes in,
//! changes out). The law: the sum of the steps is the meaning of the summed input. Filters and projections are linear,
//! so their step is their meaning on the changed rows. The others are [`Recomputed`]: it keeps their input and what
//! they last gave, takes their meaning anew when something changed, and gives the difference. An operation that learns
//! to step by itself drops the wrapper and nothing else changes.

mod aggregate;
mod apply;
mod distinct;
mod filter;
mod join;
mod lineage;
mod lookup;
mod project;
mod recomputed;
mod recursive;
mod scan;
mod set;
mod sort;
mod values;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::Reader;

use crate::batch::Batch;
use crate::dataflow::Changes;
use crate::error::Error;
use crate::eval::Evaluator;
use crate::plan::Plan;
use recomputed::Recomputed;

/// Rows that one operation may give.
pub(crate) const ROWS_MAX: usize = 4_000_000;
/// Distinct rows that one operation of an installed rule may hold.
pub(crate) const STATE_ROWS_MAX: usize = 500_000;

/// Rows that one evaluation of a statement may look at, those of its subqueries and rounds counted each time: some seconds
/// of work. In tests, which run without optimisation, it is reached sooner.
const WORK_MAX: usize = if cfg!(test) { 20_000_000 } else { 200_000_000 };
/// What carrying out an operation once costs beside its rows, in rows.
const ONCE: usize = 100;

/// What an evaluation may look at.
#[derive(Clone)]
pub(crate) struct Context<'a> {
    /// The tables as they are now.
    pub(crate) reader: &'a dyn Reader,
    /// What changed; nothing where the whole tables are taken as having just appeared.
    pub(crate) changes: Option<&'a Changes>,
    /// The snapshot's time.
    pub(crate) now: Timestamp,
    /// A rule that runs from snapshot to snapshot: its result must depend on the rows alone, not on their order.
    pub(crate) installed: bool,
    /// What a subquery is evaluated for.
    params: Rc<[Value]>,
    /// The rows of the round before, by recursion.
    working: Rc<HashMap<usize, RecordBatch>>,
    /// What is the same however often a subquery is evaluated; nothing outside of them.
    cache: Option<Rc<Cache>>,
    /// What is missing from what was read so far.
    completeness: Rc<RefCell<Completeness>>,
    /// Rows looked at so far.
    work: Rc<Cell<usize>>,
    /// The processes whose relatives were asked for so far.
    known: Rc<RefCell<lineage::Known>>,
}

/// Results of operations that neither parameters nor rounds change, by the operation's address.
#[derive(Default)]
struct Cache {
    relations: RefCell<HashMap<usize, RecordBatch>>,
    indexes: RefCell<HashMap<usize, Rc<lookup::Index>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(reader: &'a dyn Reader, changes: Option<&'a Changes>, now: Timestamp, installed: bool) -> Self {
        Self {
            reader,
            changes,
            now,
            installed,
            params: Rc::new([]),
            working: Rc::default(),
            cache: None,
            completeness: Rc::default(),
            work: Rc::default(),
            known: Rc::default(),
        }
    }

    /// What was missing from what was read.
    pub(crate) fn into_completeness(self) -> Completeness {
        self.completeness.take()
    }

    pub(super) fn evaluator<'e>(&'e self, rows: &'e RecordBatch) -> Evaluator<'e> {
        Evaluator::new(rows, self.now, &self.params)
    }

    /// The context of plans that are evaluated many times over: what does not change between, is kept.
    fn repeated(&self) -> Self {
        Self { changes: None, cache: Some(self.cache.clone().unwrap_or_default()), ..self.clone() }
    }

    fn with_params(&self, params: Vec<Value>) -> Self {
        Self { params: params.into(), ..self.clone() }
    }

    fn with_round(&self, id: usize, rows: RecordBatch) -> Self {
        let mut working = (*self.working).clone();
        working.insert(id, rows);
        Self { working: working.into(), ..self.clone() }
    }

    /// Counts rows that are looked at: subqueries within subqueries may be small each and endless together.
    fn spend(&self, rows: usize) -> Result<(), Error> {
        self.work.set(self.work.get().saturating_add(rows));
        within(self.work.get(), WORK_MAX, "the statement with all its subqueries")
    }

    fn note(&self, reason: Reason) {
        self.completeness.borrow_mut().add(reason);
    }

    fn read(&self, completeness: &Completeness) {
        let complete = self.completeness.take().and(completeness);
        self.completeness.replace(complete);
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
    /// Neither parameters nor rounds change its rows.
    constant: bool,
}

impl Node {
    pub(crate) fn new(plan: &Plan) -> Self {
        let inputs: Vec<_> = plan.inputs();
        let types: Vec<Vec<Type>> = inputs.iter().map(|input| types(input)).collect();
        let inputs = inputs.into_iter().map(Self::new).collect();
        Self { operator: operator(plan, &types), inputs, constant: plan.is_constant() }
    }

    pub(crate) fn meaning(&self, context: &Context<'_>) -> Result<RecordBatch, Error> {
        let address = std::ptr::from_ref(self).addr();
        let cache = context.cache.as_ref().filter(|_| self.constant);
        if let Some(known) = cache.and_then(|cache| cache.relations.borrow().get(&address).cloned()) {
            return Ok(known);
        }
        let inputs = self.inputs.iter().map(|input| input.meaning(context)).collect::<Result<Vec<_>, _>>()?;
        let output = self.operator.meaning(context, &inputs)?;
        within(output.num_rows(), ROWS_MAX, "the result of an operation")?;
        context.spend(output.num_rows() + ONCE)?;
        if let Some(cache) = cache {
            cache.relations.borrow_mut().insert(address, output.clone());
        }
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
        Plan::AutoJoin { collector, .. } => Box::new(Recomputed::new(join::Asking { collector }, inputs, output)),
        // Its answer depends on what the reader knows of processes, which may change without its input changing.
        Plan::Lineage { lineage, process, columns, kind, on, .. } => {
            let relatives = lineage::Relatives { lineage, process, columns, kind, on };
            Box::new(Recomputed::new(relatives, inputs, output).timed(true))
        }
        Plan::Aggregate { keys, aggregates, bare, .. } => {
            Box::new(Recomputed::new(aggregate::Group { keys, aggregates, bare }, inputs, output).timed(timed))
        }
        // What a subquery reads may change without the input changing.
        Plan::Apply { subplan, params, question, .. } => {
            let apply = apply::Apply::new(&subplan, params, question);
            Box::new(Recomputed::new(apply, inputs, output).timed(true))
        }
        Plan::Recursive { base, step, id, distinct, limit } => {
            let recursive = recursive::Recursive::new(&base, &step, id, distinct, limit);
            Box::new(Recomputed::new(recursive, inputs, output).timed(true))
        }
        Plan::Working { id, .. } => Box::new(Recomputed::new(recursive::Working(id), inputs, output)),
        Plan::Lookup { keys, rest, .. } => Box::new(Recomputed::new(lookup::Lookup { keys, rest }, inputs, output)),
        Plan::Values { rows, fields } => {
            let values = values::Values { rows, types: fields.into_iter().map(|field| field.ty).collect() };
            Box::new(Recomputed::new(values, inputs, output).timed(timed))
        }
        Plan::List { list, .. } => Box::new(Recomputed::new(values::List(list), inputs, output).timed(false)),
        Plan::Set { op, .. } => Box::new(Recomputed::new(set::Set(op), inputs, output)),
        Plan::Window { windows, .. } => {
            Box::new(Recomputed::new(window::Windows(windows), inputs, output).timed(timed))
        }
        Plan::Distinct { .. } => Box::new(Recomputed::new(distinct::Distinct, inputs, output).timed(false)),
        Plan::Sort { keys, limit, offset, .. } => {
            Box::new(Recomputed::new(sort::Sort { keys, limit, offset }, inputs, output).timed(false))
        }
    }
}
