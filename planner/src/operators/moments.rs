//! Moments that rows name: conditions that bound the times of one relation's rows by the values of another's.
//!
//! A scan is told what constants say of its columns, and so the store knows whether what is asked reaches into a gap or
//! back to what was dropped. What the rows on the other side of a join say, or the parameters of a subquery, is known
//! when they are there: then the store is asked what an answer would lack, once for each different row, as if its values
//! stood in the statement. Moments that rows of the record itself name are not held to what was dropped: their like is
//! gone with it, and every join of events would be incomplete for good.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::{Type, Value};
use daemoneye_storage::{Probe, Question, Scan};

use super::{Context, ONCE, types};
use crate::batch::{RowCodec, batch};
use crate::error::Error;
use crate::matcher;
use crate::plan::{Plan, has_parameter};
use crate::pushdown;

/// Different rows that are asked for one by one; of more, it is asked whether anything is missing at any time.
const ASKED_MAX: usize = 1024;

/// Tables whose rows the store has of some time only.
const OF_RECORD: [&str; 4] = ["process_starts", "process_exits", "processes_history", "process_samples"];

/// What rows ask of the tables of a plan.
#[derive(Default)]
pub(super) struct Moments(Vec<Asked>);

/// What they ask of one of its scans.
struct Asked {
    table: Arc<Table>,
    /// Over the known row, then the table's.
    conditions: Vec<Expr>,
    /// Columns of the known row.
    known: Range<usize>,
    /// Those that the conditions read, and their types.
    read: Vec<(usize, Type)>,
    /// They are of the record too.
    of_record: bool,
    /// Rows that were asked for so far.
    rows: Cell<usize>,
}

/// A column of a table of the record, told by the scan that it comes from.
struct Origin<'p> {
    scan: *const Plan,
    table: &'p Arc<Table>,
    column: usize,
}

impl Moments {
    /// Of conditions over a plan's rows, those by which the parameters of a subquery ask.
    pub(super) fn of_parameters(conditions: &[Expr], plan: &Plan) -> Self {
        let given: Vec<Expr> = conditions.iter().filter(|condition| has_parameter(condition)).cloned().collect();
        Self::of(&given, (plan, 0..plan.width()), None)
    }

    /// Of conditions over a row of which the columns `own` are of `plan` and others, of `other`, are known before.
    pub(super) fn of(
        conditions: &[Expr],
        (plan, own): (&Plan, Range<usize>),
        other: Option<&(&Plan, Range<usize>)>,
    ) -> Self {
        let mut asked: Vec<(*const Plan, Asked)> = Vec::new();
        for condition in conditions {
            let columns = condition.columns();
            let (mine, read): (Vec<usize>, Vec<usize>) = columns.iter().partition(|column| own.contains(column));
            let is_given = !read.is_empty() || other.is_none();
            let origins: Option<Vec<_>> = mine.iter().map(|column| origin(plan, column - own.start)).collect();
            let Some(origins) = origins.filter(|_| is_given) else { continue };
            let Some(Origin { scan, table, .. }) = origins.first() else { continue };
            let is_time = |origin: &Origin<'_>| origin.table.columns[origin.column].ty == Type::Timestamp;
            if !origins.iter().all(|origin| origin.scan == *scan && is_time(origin)) {
                continue;
            }
            let known = other.map_or(0..0, |(_, known)| known.clone());
            let is_of_record =
                |column: &usize| other.is_some_and(|(plan, known)| origin(plan, column - known.start).is_some());
            let of_record = other.is_some() && read.iter().all(is_of_record);
            let place = |column: usize| match mine.iter().position(|own| *own == column) {
                Some(at) => known.len() + origins[at].column,
                None => column - known.start,
            };
            let condition = condition.clone().with_columns(&place);
            let types = other.map(|(plan, _)| types(plan)).unwrap_or_default();
            let read = read.iter().map(|column| (column - known.start, types[column - known.start]));
            match asked.iter_mut().find(|(other, asked)| other == scan && asked.of_record == of_record) {
                Some((_, asked)) => {
                    asked.conditions.push(condition);
                    asked.read.extend(read);
                }
                None => {
                    let (conditions, read) = (vec![condition], read.collect());
                    asked.push((
                        *scan,
                        Asked { table: (*table).clone(), conditions, known, read, of_record, rows: Cell::default() },
                    ));
                }
            }
        }
        Self(asked.into_iter().map(|(_, asked)| asked).collect())
    }

    /// Asks what an answer lacks, given the rows that are known; the context is told. What rules lack that run from
    /// snapshot to snapshot is known of the snapshot.
    pub(super) fn ask(&self, context: &Context<'_>, known: &RecordBatch) -> Result<(), Error> {
        if context.installed {
            return Ok(());
        }
        self.0.iter().try_for_each(|asked| asked.ask(context, known))
    }
}

/// The condition that two expressions are equal.
pub(super) fn equal(left: Expr, right: Expr) -> Expr {
    let (left, right) = (left.into(), right.into());
    Expr::boolean(ExprKind::Compare { op: Comparison::Equal, left, right, collation: Collation::Binary })
}

/// Where a column of a plan comes from, if it is one of the record.
fn origin(plan: &Plan, column: usize) -> Option<Origin<'_>> {
    match plan {
        Plan::Scan { table, columns, .. } if OF_RECORD.contains(&&*table.name) => {
            Some(Origin { scan: std::ptr::from_ref(plan), table, column: *columns.get(column)? })
        }
        Plan::Project { input, columns } => match columns.get(column)?.1.kind {
            ExprKind::Column { index, .. } => origin(input, index),
            _ => None,
        },
        Plan::Join { left, right, .. } => {
            let width = left.width();
            if column < width { origin(left, column) } else { origin(right, column - width) }
        }
        Plan::Filter { input, .. }
        | Plan::Distinct { input }
        | Plan::Sort { input, .. }
        | Plan::Lookup { input, .. } => origin(input, column),
        // Their own columns come behind those of the input.
        Plan::Apply { input, .. } | Plan::Window { input, .. } | Plan::Lineage { input, .. } => {
            if column < input.width() { origin(input, column) } else { None }
        }
        _ => None,
    }
}

fn compares_with_null(condition: &Expr) -> bool {
    let ExprKind::Compare { left, right, .. } = &condition.kind else { return false };
    [left, right].iter().any(|side| side.is_null())
}

impl Asked {
    fn ask(&self, context: &Context<'_>, known: &RecordBatch) -> Result<(), Error> {
        let rows = self.different(known);
        let before = self.rows.get();
        let asked = before.saturating_add(rows.len());
        self.rows.set(asked);
        if asked > ASKED_MAX {
            let columns = (0..self.table.columns.len()).filter(|at| self.table.columns[*at].ty == Type::Timestamp);
            let ever = |column| vec![Probe { column, question: Question::AtLeast(f64::MIN) }];
            let ever: Vec<_> = columns.map(ever).collect();
            return if before > ASKED_MAX { Ok(()) } else { self.look(context, &ever) };
        }
        let one = batch(vec![], 1);
        let over = |expr: &Expr| -> ArrayRef { context.evaluator(&one).values(expr) };
        let constant = |expr: &Expr| Value::at(over(expr).as_ref(), 0);
        for row in rows {
            let given = |expr: &Expr| pushdown::folded(self.given(expr, known, row), &constant);
            let conditions: Vec<Expr> = self.conditions.iter().map(given).collect();
            // What can never be true asks for nothing.
            if conditions.iter().any(compares_with_null) {
                continue;
            }
            let required: Vec<Vec<Probe>> = conditions.iter().flat_map(matcher::probes).collect();
            self.look(context, &required)?;
        }
        Ok(())
    }

    fn look(&self, context: &Context<'_>, required: &[Vec<Probe>]) -> Result<(), Error> {
        context.spend(ONCE)?;
        let scan = Scan { required, goes_on: Some(&|| false), ..Scan::all(&self.table, &[]) };
        let mut lacking = context.reader.visit(&scan, &mut |_| ControlFlow::Break(()))?;
        lacking.reasons.retain(|reason| match reason {
            Reason::SamplingGap => true,
            Reason::HistoryDropped => !self.of_record,
            _ => false,
        });
        context.read(&Completeness { reasons: lacking.reasons, ..Completeness::default() });
        Ok(())
    }

    /// One of each kind of row that the conditions tell apart.
    fn different(&self, known: &RecordBatch) -> Vec<usize> {
        let columns: Vec<ArrayRef> = self.read.iter().map(|(column, _)| known.column(*column).clone()).collect();
        let types: Vec<Type> = self.read.iter().map(|(_, ty)| *ty).collect();
        let mut seen = HashSet::new();
        let encoded = RowCodec::new(&types).encode(&columns, known.num_rows());
        encoded.into_iter().enumerate().filter(|(_, key)| seen.insert(key.clone())).map(|(row, _)| row).collect()
    }

    /// A condition over the table's row, with the values of a known one.
    fn given(&self, expr: &Expr, known: &RecordBatch, row: usize) -> Expr {
        let mut expr = expr.clone();
        if let ExprKind::Column { index, .. } = &mut expr.kind {
            if let Some(own) = index.checked_sub(self.known.len()) {
                *index = own;
                return expr;
            }
            return Expr::literal(Value::at(known.column(*index).as_ref(), row), expr.ty);
        }
        for operand in expr.operands_mut() {
            *operand = self.given(operand, known, row);
        }
        expr
    }
}
