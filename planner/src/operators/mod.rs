//! What each operation means: whole relations in, whole relation out.
//!
//! A statement that is evaluated once runs here. What rules keep up with changes is in `crate::dataflow`, whose operators
//! give, summed over their steps, exactly this; what has no step there is taken anew from here.

pub(crate) mod aggregate;
mod apply;
pub(crate) mod budget;
mod distinct;
mod filter;
mod fold;
mod join;
pub(crate) mod lineage;
mod lookup;
pub(crate) mod measure;
mod moments;
mod project;
pub(crate) mod recursive;
mod scan;
mod set;
mod sort;
mod values;
mod window;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::{Reader, Tally};

use self::budget::Budget;
use self::measure::Measure;
use self::moments::Moments;
use crate::dataflow::Clock;
use crate::error::Error;
use crate::eval::Evaluator;
use crate::plan::Plan;
use crate::statement::Patience;

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
    /// How long it may take.
    budget: Rc<Budget>,
    /// Rows before the LIMIT that was met last.
    before_limit: Rc<Cell<Option<usize>>>,
    /// The processes whose relatives were asked for so far.
    known: Rc<RefCell<lineage::Known>>,
    /// Who counts what each operation does, if anybody asked.
    measure: Option<Rc<Measure>>,
}

/// Results of operations that neither parameters nor rounds change, by the operation's address.
#[derive(Default)]
struct Cache {
    relations: RefCell<HashMap<usize, RecordBatch>>,
    indexes: RefCell<HashMap<usize, Rc<lookup::Index>>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(reader: &'a dyn Reader, now: Timestamp, installed: bool) -> Self {
        Self {
            reader,
            now,
            installed,
            params: Rc::new([]),
            working: Rc::default(),
            cache: None,
            completeness: Rc::default(),
            work: Rc::default(),
            budget: Rc::new(Budget::new(None, None)),
            before_limit: Rc::default(),
            known: Rc::default(),
            measure: None,
        }
    }

    /// The same, in which what each operation does is counted.
    pub(crate) fn measured(self, measure: Rc<Measure>) -> Self {
        Self { measure: Some(measure), ..self }
    }

    /// The same, whose work may be bounded by this clock.
    pub(crate) fn clocked(self, clock: Option<Clock>) -> Self {
        Self { budget: Rc::new(Budget::new(clock, None)), ..self }
    }

    /// The same, whose work may be bounded by this clock and given up at any time.
    pub(crate) fn patient(self, patience: Option<&Patience>) -> Self {
        let clock = patience.map(|it| it.clock);
        Self { budget: Rc::new(Budget::new(clock, patience.and_then(|it| it.stop.clone()))), ..self }
    }

    /// Somebody else's work begins now, of which `limit` is left but for what was `spent` of it before.
    pub(crate) fn begin(&self, now: Option<Duration>, limit: Option<Duration>, spent: Duration) {
        self.work.set(0);
        self.budget.begin(now, limit, spent);
    }

    /// So many units of work are about to be done: rows looked at, pairs made.
    pub(crate) fn work(&self, units: usize) -> Result<(), Error> {
        self.budget.spend(units)
    }

    /// Whether the time that the work may take is not over.
    pub(crate) fn in_time(&self) -> Result<(), Error> {
        self.budget.look()
    }

    /// What was missing from what was read.
    pub(crate) fn into_completeness(self) -> Completeness {
        self.completeness.take()
    }

    pub(crate) fn evaluator<'e>(&'e self, rows: &'e RecordBatch) -> Evaluator<'e> {
        Evaluator::new(rows, self.now, &self.params)
    }

    /// The context of plans that are evaluated many times over: what does not change between, is kept.
    fn repeated(&self) -> Self {
        Self { cache: Some(self.cache.clone().unwrap_or_default()), ..self.clone() }
    }

    pub(crate) fn with_params(&self, params: Vec<Value>) -> Self {
        Self { params: params.into(), ..self.clone() }
    }

    fn with_round(&self, id: usize, rows: RecordBatch) -> Self {
        let mut working = (*self.working).clone();
        working.insert(id, rows);
        Self { working: working.into(), ..self.clone() }
    }

    /// An operation without inputs looked at so many rows.
    fn note_rows_in(&self, rows: usize) {
        if let Some(measure) = &self.measure {
            measure.note_rows_in(rows);
        }
    }

    /// Whether what scans do is counted.
    fn tallied(&self) -> bool {
        self.measure.is_some()
    }

    fn note_tally(&self, tally: Tally) {
        if let Some(measure) = &self.measure {
            measure.note_tally(tally);
        }
    }

    /// There were so many rows before a LIMIT; nothing if it did not wait for all.
    fn note_before_limit(&self, rows: Option<usize>) {
        self.before_limit.set(rows);
    }

    /// [`crate::Ended::before_limit`].
    pub(crate) fn before_limit(&self) -> Option<usize> {
        self.before_limit.get()
    }

    /// Counts rows that are looked at: subqueries within subqueries may be small each and endless together.
    pub(crate) fn spend(&self, rows: usize) -> Result<(), Error> {
        self.work(rows)?;
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

    /// Hands the same over part by part, in order, until `each` breaks. Nothing where the output is made at once.
    fn stream(
        &self,
        _context: &Context<'_>,
        _inputs: &[Node],
        _leeway: Leeway<'_>,
        _each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        None
    }

    /// The whole output for one input that comes part by part; nothing where all of it is needed at once.
    fn fold(&self, _context: &Context<'_>, _input: &Node) -> Option<Result<RecordBatch, Error>> {
        None
    }
}

/// What whoever takes an output part by part makes do with.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leeway<'a> {
    /// Columns of texts that may come as `Dictionary(UInt32, Utf8)`.
    pub(crate) coded: &'a [usize],
    /// The columns that are looked at, if not all are: others may come as `Null`.
    pub(crate) read: Option<&'a [usize]>,
}

/// Receives parts of an output until it breaks.
pub(crate) type Each<'e> = &'e mut dyn FnMut(RecordBatch) -> Result<ControlFlow<()>, Error>;

/// An operation with its inputs.
pub(crate) struct Node {
    operation: Box<dyn Meaning + Send>,
    inputs: Vec<Node>,
    /// Neither parameters nor rounds change its rows.
    constant: bool,
    /// Its place in the order of [`Plan::outline`].
    number: usize,
}

impl Node {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::numbered(plan, &mut 0)
    }

    /// `next` is the number that it gets; those below it get the ones after.
    fn numbered(plan: &Plan, next: &mut usize) -> Self {
        let number = *next;
        *next += 1;
        let inputs = plan.inputs().into_iter().map(|input| Self::numbered(input, next)).collect();
        Self { operation: operation_numbered(plan, next), inputs, constant: plan.is_constant(), number }
    }

    pub(crate) fn meaning(&self, context: &Context<'_>) -> Result<RecordBatch, Error> {
        let address = std::ptr::from_ref(self).addr();
        let cache = context.cache.as_ref().filter(|_| self.constant);
        if let Some(known) = cache.and_then(|cache| cache.relations.borrow().get(&address).cloned()) {
            return Ok(known);
        }
        let output = match &context.measure {
            None => self.evaluate(context, |_| {}),
            Some(measure) => measure.around(self.number, || {
                self.evaluate(context, |inputs| {
                    measure.note_rows_in(inputs.iter().map(RecordBatch::num_rows).sum());
                })
            }),
        }?;
        within(output.num_rows(), ROWS_MAX, "the result of an operation")?;
        context.spend(output.num_rows() + ONCE)?;
        if let Some(cache) = cache {
            cache.relations.borrow_mut().insert(address, output.clone());
        }
        Ok(output)
    }

    /// Its output part by part. What is kept, or measured by the operation, is made at once.
    pub(crate) fn stream(&self, context: &Context<'_>, leeway: Leeway<'_>, each: Each<'_>) -> Result<(), Error> {
        let kept = context.cache.is_some() && self.constant;
        if !kept && context.measure.is_none() {
            let mut charged = |rows: RecordBatch| {
                context.spend(rows.num_rows() + 1)?;
                if rows.num_rows() == 0 { Ok(ControlFlow::Continue(())) } else { each(rows) }
            };
            if let Some(streamed) = self.operation.stream(context, &self.inputs, leeway, &mut charged) {
                context.spend(ONCE)?;
                return streamed;
            }
        }
        each(self.meaning(context)?).map(drop)
    }

    fn evaluate(&self, context: &Context<'_>, note: impl Fn(&[RecordBatch])) -> Result<RecordBatch, Error> {
        if let ([input], None) = (self.inputs.as_slice(), &context.measure)
            && let Some(folded) = self.operation.fold(context, input)
        {
            return folded;
        }
        let inputs = self.inputs.iter().map(|input| input.meaning(context)).collect::<Result<Vec<_>, _>>()?;
        note(&inputs);
        self.operation.meaning(context, &inputs)
    }
}

pub(crate) fn within(rows: usize, limit: usize, operation: &'static str) -> Result<(), Error> {
    if rows > limit { Err(Error::TooManyRows { operation, limit }) } else { Ok(()) }
}

/// The types of a plan's columns.
pub(crate) fn types(plan: &Plan) -> Vec<Type> {
    plan.fields().into_iter().map(|field| field.ty).collect()
}

/// The operation at the top of a plan.
pub(crate) fn operation(plan: &Plan) -> Box<dyn Meaning + Send> {
    operation_numbered(plan, &mut 0)
}

fn operation_numbered(plan: &Plan, next: &mut usize) -> Box<dyn Meaning + Send> {
    match plan.clone() {
        Plan::Unit => Box::new(scan::Unit),
        Plan::Scan { table, columns, filter, lookback, as_of, .. } => {
            Box::new(scan::Scan { types: types(plan), table, columns, filter, lookback, as_of })
        }
        Plan::Filter { input, predicate } => {
            let moments = Moments::of_parameters(&predicate.clone().into_conjuncts(), &input);
            Box::new(filter::Filter { predicate, moments })
        }
        Plan::Project { columns, .. } => {
            Box::new(project::Project(columns.into_iter().map(|(_, expr)| expr).collect()))
        }
        Plan::Join { left, right, kind, keys, on } => {
            let moments = join::moments(&left, &right, &keys, on.as_ref());
            Box::new(join::Join { kind, keys, on, moments })
        }
        Plan::AutoJoin { collector, .. } => Box::new(join::Asking { collector }),
        Plan::Lineage { lineage, process, columns, kind, on, .. } => {
            Box::new(lineage::Relatives { lineage, process, columns, kind, on })
        }
        Plan::Aggregate { keys, aggregates, bare, .. } => Box::new(aggregate::Group { keys, aggregates, bare }),
        Plan::Apply { subplan, params, question, .. } => {
            Box::new(apply::Apply::new(Node::numbered(&subplan, next), &subplan, params, question))
        }
        Plan::Recursive { base, step, id, distinct, limit } => {
            let types = types(&base);
            let rounds = (Node::numbered(&base, next), Node::numbered(&step, next));
            Box::new(recursive::Recursive::new(rounds, types, id, distinct, limit))
        }
        Plan::Working { id, .. } => Box::new(recursive::Working(id)),
        Plan::Lookup { input, keys, rest } => {
            let rest_of_it = rest.clone().map(Expr::into_conjuncts).unwrap_or_default();
            let equal = |(own, given): &(Expr, Expr)| moments::equal(own.clone(), given.clone());
            let conditions: Vec<Expr> = keys.iter().map(equal).chain(rest_of_it).collect();
            let moments = Moments::of_parameters(&conditions, &input);
            Box::new(lookup::Lookup { keys, rest, moments })
        }
        Plan::Values { rows, fields } => {
            Box::new(values::Values { rows, types: fields.into_iter().map(|field| field.ty).collect() })
        }
        Plan::List { list, .. } => Box::new(values::List(list)),
        Plan::Set { op, .. } => Box::new(set::Set(op)),
        Plan::Window { windows, .. } => Box::new(window::Windows(windows)),
        Plan::Distinct { .. } => Box::new(distinct::Distinct),
        Plan::Sort { keys, limit, offset, .. } => Box::new(sort::Sort { types: types(plan), keys, limit, offset }),
    }
}
