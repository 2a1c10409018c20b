//! What each operation of one evaluation took and gave.
//!
//! Operations are numbered in the order of [`Plan::outline`]. The time of what an operation waits for, its inputs and
//! the subqueries that it evaluates, is theirs: what is left is its own, and the sum of all is the whole.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Reader, Tally};
use serde::{Deserialize, Serialize};

use super::{Context, Node};
use crate::dataflow::{Answer, Clock};
use crate::error::Error;
use crate::plan::Plan;
use crate::statement::Patience;

/// What one operation did, all its evaluations together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// How often it was evaluated; what is the same for every evaluation of a subquery is evaluated once.
    pub times: usize,
    /// Rows that it looked at: those of its inputs, or of its table.
    pub rows_in: usize,
    /// Rows that it gave.
    pub rows_out: usize,
    /// How long it took by itself.
    pub own: Duration,
    /// What its scans of the store's history did; nothing where it scans none.
    pub tally: Option<Tally>,
}

/// One evaluation, measured.
#[derive(Debug)]
pub struct Analysis {
    /// The result, or why there is none.
    pub answer: Result<Answer<RecordBatch>, Error>,
    /// What each operation did, in the order of [`Plan::outline`]; also up to where it failed.
    pub measured: Vec<Measured>,
}

/// Evaluates the plan once over the tables as they are, and measures every operation by the clock of its time.
pub fn analyze(plan: &Plan, reader: &dyn Reader, now: Timestamp, patience: &Patience) -> Analysis {
    let clock = patience.clock;
    let measure = Rc::new(Measure::new(plan.outline().len(), clock));
    let context = Context::new(reader, now, false).patient(Some(patience)).measured(measure.clone());
    context.begin(Some(clock()), Some(patience.limit), Duration::ZERO);
    let rows = Node::new(plan).meaning(&context);
    let answer = rows.map(|rows| Answer { rows, completeness: context.into_completeness() });
    let measured = measure.operations.borrow().clone();
    Analysis { answer, measured }
}

/// Counts while an evaluation goes on.
pub(crate) struct Measure {
    clock: Clock,
    operations: RefCell<Vec<Measured>>,
    /// The operation that works now, and how long those took that it waited for.
    current: Cell<usize>,
    waited: Cell<Duration>,
}

impl Measure {
    fn new(operations: usize, clock: Clock) -> Self {
        let operations = RefCell::new(vec![Measured::default(); operations]);
        Self { clock, operations, current: Cell::default(), waited: Cell::default() }
    }

    /// Measures one evaluation of an operation.
    pub(crate) fn around(
        &self,
        number: usize,
        evaluate: impl FnOnce() -> Result<RecordBatch, Error>,
    ) -> Result<RecordBatch, Error> {
        let around = (self.current.replace(number), self.waited.take());
        let began = (self.clock)();
        let output = evaluate();
        let took = (self.clock)().saturating_sub(began);
        let own = took.saturating_sub(self.waited.get());
        self.current.set(around.0);
        self.waited.set(around.1 + took);
        let measured = &mut self.operations.borrow_mut()[number];
        measured.times += 1;
        measured.own += own;
        measured.rows_out += output.as_ref().map_or(0, RecordBatch::num_rows);
        output
    }

    /// The operation that works now scanned the store.
    pub(crate) fn note_tally(&self, scan: Tally) {
        if scan.segments + scan.blocks == 0 {
            return;
        }
        let mut operations = self.operations.borrow_mut();
        let tally = operations[self.current.get()].tally.get_or_insert_default();
        tally.segments += scan.segments;
        tally.segments_pruned += scan.segments_pruned;
        tally.blocks += scan.blocks;
        tally.rows += scan.rows;
        tally.rows_pruned += scan.rows_pruned;
        tally.bytes += scan.bytes;
        tally.indexes.extend(scan.indexes);
    }

    /// The operation that works now looked at so many rows.
    pub(crate) fn note_rows_in(&self, rows: usize) {
        self.operations.borrow_mut()[self.current.get()].rows_in += rows;
    }
}
