//! A row on its way through a plan.
//!
//! Below the first table's leaf only the asked rows are taken; every other input is evaluated whole. What needs all rows
//! to say something of one (groups, windows, LIMIT, the second query of EXCEPT) is evaluated over all of them, and then
//! what belongs to the row is picked out.

use std::collections::HashSet;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::query::SetOp;
use daemoneye_dsl::types::Value;

use super::conditions::{Judged, is_answer};
use super::subquery::Asked;
use super::{Clause, Condition, Stop};
use crate::batch::{RowCodec, empty, stack, take};
use crate::error::Error;
use crate::operators::{Context, Node, operation, types};
use crate::plan::Plan;
use crate::rewrites;

/// Why a row does not go on.
pub(super) enum Halt {
    NoRow,
    Stopped(Vec<Stop>),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Follows the asked rows.
pub(super) struct Trace<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    asked: &'c [(usize, Value)],
    /// The rows of the first table.
    subject: RecordBatch,
    /// Conditions that held, told already: they spoke of rows that are others now.
    pub(super) told: Vec<Condition>,
    /// Conditions that held, over the rows as they are, each after its columns that are answers to subqueries.
    held: Vec<(Vec<usize>, Expr)>,
    /// One row that goes on.
    example: Option<RecordBatch>,
}

/// The relation that a plan is about: where its first input leads.
pub(super) fn leaf(plan: &Plan) -> Option<&Plan> {
    match plan {
        Plan::Unit => None,
        _ => plan.inputs().first().map_or(Some(plan), |input| leaf(input)),
    }
}

/// What the statement calls a leaf.
pub(super) fn name_of(leaf: &Plan) -> String {
    match leaf {
        Plan::Scan { alias, .. } | Plan::List { alias, .. } | Plan::Lineage { alias, .. } => alias.clone(),
        Plan::Recursive { .. } => "the recursive query".to_owned(),
        Plan::Values { .. } => "VALUES".to_owned(),
        _ => "a query".to_owned(),
    }
}

/// A column's name without its table's.
pub(super) fn plain(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// The relation that a plan means, computed as cheaply as when it runs.
pub(super) fn whole(plan: &Plan, context: &Context<'_>) -> Result<RecordBatch, Error> {
    Node::new(&rewrites::apply(plan.clone(), &mut |_, _| {})).meaning(context)
}

impl<'c, 'a> Trace<'c, 'a> {
    pub(super) fn new(context: &'c Context<'a>, asked: &'c [(usize, Value)]) -> Self {
        Self { context, asked, subject: empty(&[]), told: vec![], held: vec![], example: None }
    }

    pub(super) fn into_subject(self) -> RecordBatch {
        self.subject
    }

    /// The conditions that held.
    pub(super) fn passed(&mut self) -> Vec<Condition> {
        self.tell(None);
        std::mem::take(&mut self.told)
    }

    /// What is left of the asked rows behind a plan.
    pub(super) fn rows(&mut self, plan: &Plan) -> Result<RecordBatch, Halt> {
        let rows = self.went(plan)?;
        self.example = (rows.num_rows() > 0).then(|| rows.slice(0, 1));
        Ok(rows)
    }

    fn went(&mut self, plan: &Plan) -> Result<RecordBatch, Halt> {
        match plan {
            Plan::Filter { input, predicate } => {
                let rows = self.rows(input)?;
                let clause = if is_grouped(input) { Clause::Having } else { Clause::Where };
                self.filter(&rows, predicate.clone().into_conjuncts(), input, clause)
            }
            Plan::Join { left, right, kind, on, .. } => {
                let rows = self.rows(left)?;
                let right_rows = whole(right, self.context)?;
                self.join(&rows, &right_rows, (*kind, on.as_ref(), right))
            }
            Plan::Lineage { .. } => self.lineage(plan),
            Plan::Apply { input, .. } | Plan::Distinct { input } => {
                let rows = self.rows(input)?;
                self.apply(plan, rows)
            }
            Plan::Project { input, .. } => {
                let rows = self.rows(input)?;
                self.tell(Some(&rows));
                self.apply(plan, rows)
            }
            Plan::Aggregate { .. } => self.group(plan),
            Plan::Window { input, .. } => {
                let rows = self.rows(input)?;
                let all = self.apply(plan, whole(input, self.context)?)?;
                Ok(among(&all, rows.num_columns(), &rows))
            }
            Plan::Sort { .. } => self.sort(plan),
            Plan::Set { op, left, right } => self.set(*op, left, right),
            _ => self.first(plan),
        }
    }

    /// The asked rows of the first table.
    fn first(&mut self, leaf: &Plan) -> Result<RecordBatch, Halt> {
        let rows = whole(leaf, self.context)?;
        let types = types(leaf);
        let same = self.asked.iter().filter_map(|(at, value)| {
            let ty = *types.get(*at)?;
            let (left, right) = (Expr::column(*at, ty, "").into(), Expr::literal(value.clone(), ty).into());
            let collation = Collation::Binary;
            Some(Expr::boolean(ExprKind::Compare { op: Comparison::Is, left, right, collation }))
        });
        let rows = match Expr::all(same) {
            Some(same) => take(&rows, &self.context.evaluator(&rows).matching(&same)),
            None => rows,
        };
        self.subject = rows.clone();
        if rows.num_rows() == 0 { Err(Halt::NoRow) } else { Ok(rows) }
    }

    /// An operation that makes of each row its own.
    pub(super) fn apply(&self, plan: &Plan, rows: RecordBatch) -> Result<RecordBatch, Halt> {
        Ok(operation(plan).meaning(self.context, &[rows])?)
    }

    fn filter(
        &mut self,
        rows: &RecordBatch,
        conjuncts: Vec<Expr>,
        input: &Plan,
        clause: Clause,
    ) -> Result<RecordBatch, Halt> {
        let judged = Judged::new(&conjuncts, &self.context.evaluator(rows));
        let kept = judged.kept();
        if kept.is_empty() {
            let best = judged.nearest();
            let row = take(rows, &[best]);
            self.tell(Some(&row));
            let mut conditions = std::mem::take(&mut self.told);
            for conjunct in &conjuncts {
                let mut condition = self.condition(conjunct, &row, &|at| is_answer(input, at));
                condition.subqueries = Asked::below(input, conjunct, &condition, &row, self.context)?;
                conditions.push(condition);
            }
            return stopped(clause, conditions, rows.num_rows(), vec![]);
        }
        self.hold(conjuncts, input);
        Ok(take(rows, &kept))
    }

    /// The groups that the rows fall into, made of all rows.
    fn group(&mut self, plan: &Plan) -> Result<RecordBatch, Halt> {
        let Plan::Aggregate { input, keys, .. } = plan else { unreachable!("an aggregate") };
        let rows = self.rows(input)?;
        self.tell(Some(&rows));
        let groups = self.apply(plan, whole(input, self.context)?)?;
        let evaluator = self.context.evaluator(&rows);
        let own = keys.iter().map(|key| evaluator.values(key)).collect();
        let own = crate::batch::batch(own, rows.num_rows());
        Ok(among(&groups, keys.len(), &own))
    }

    fn sort(&mut self, plan: &Plan) -> Result<RecordBatch, Halt> {
        let Plan::Sort { input, keys, limit, offset } = plan else { unreachable!("a sort") };
        let rows = self.rows(input)?;
        if limit.is_none() && *offset == 0 {
            return Ok(rows);
        }
        let all = Plan::Sort { input: input.clone(), keys: keys.clone(), limit: None, offset: 0 };
        let all = whole(&all, self.context)?;
        let positions = places(&all, all.num_columns(), &rows);
        let from = usize::try_from(*offset).unwrap_or(usize::MAX);
        let to = limit.map_or(usize::MAX, |limit| from.saturating_add(usize::try_from(limit).unwrap_or(usize::MAX)));
        let kept: Vec<u32> = positions.iter().copied().filter(|at| (from..to).contains(&(*at as usize))).collect();
        if !kept.is_empty() {
            return Ok(take(&all, &kept));
        }
        // The nearest to what is kept: the last of those left out before, or the first of those behind.
        let position = positions.iter().copied().find(|at| *at as usize >= to).or(positions.last().copied());
        let position = position.map_or(0, |at| at as usize + 1);
        let clause = Clause::Limit { position, of: all.num_rows(), limit: *limit, offset: *offset };
        self.tell(Some(&rows));
        let conditions = std::mem::take(&mut self.told);
        stopped(clause, conditions, rows.num_rows(), vec![])
    }

    fn set(&mut self, op: SetOp, left: &Plan, right: &Plan) -> Result<RecordBatch, Halt> {
        if matches!(op, SetOp::Union | SetOp::UnionAll) {
            return self.either(left, right);
        }
        let rows = self.rows(left)?;
        let other = whole(right, self.context)?;
        let common = among(&rows, rows.num_columns(), &other);
        let kept = match op {
            SetOp::Intersect => common,
            _ => without(&rows, &common),
        };
        if kept.num_rows() > 0 {
            return Ok(kept);
        }
        self.tell(Some(&rows));
        let conditions = std::mem::take(&mut self.told);
        stopped(Clause::Set(op.name()), conditions, rows.num_rows(), vec![])
    }

    /// Through one query or through the other.
    fn either(&mut self, left: &Plan, right: &Plan) -> Result<RecordBatch, Halt> {
        let first = self.rows(left);
        let (one, stops) = match first {
            Ok(rows) => (Some(rows), vec![]),
            Err(Halt::Stopped(stops)) => (None, stops),
            Err(Halt::NoRow) => (None, vec![]),
            Err(failed) => return Err(failed),
        };
        // The columns asked about are those of the first query's table.
        let same_table = leaf(left).zip(leaf(right)).is_some_and(|(left, right)| {
            let columns =
                |plan: &Plan| plan.fields().into_iter().map(|it| (plain(&it.name), it.ty)).collect::<Vec<_>>();
            columns(left) == columns(right)
        });
        if !same_table {
            return one.ok_or(if stops.is_empty() { Halt::NoRow } else { Halt::Stopped(stops) });
        }
        let mut other = Trace::new(self.context, self.asked);
        let second = other.rows(right);
        if self.subject.num_rows() == 0 {
            self.subject = other.subject.clone();
        }
        match (one, second) {
            (Some(one), Ok(rows)) => Ok(stack(&[one.clone(), rows], &one)),
            (Some(one), Err(Halt::Stopped(_) | Halt::NoRow)) => Ok(one),
            (None, Ok(rows)) => {
                self.told = other.passed();
                Ok(rows)
            }
            (None, Err(Halt::Stopped(more))) => Err(Halt::Stopped(stops.into_iter().chain(more).collect())),
            (None, Err(Halt::NoRow)) if !stops.is_empty() => Err(Halt::Stopped(stops)),
            (_, Err(halt)) => Err(halt),
        }
    }

    /// These held; some columns of theirs may be answers to subqueries.
    pub(super) fn hold(&mut self, conjuncts: Vec<Expr>, input: &Plan) {
        let answers = |it: &Expr| it.columns().into_iter().filter(|at| is_answer(input, *at)).collect();
        self.held.extend(conjuncts.into_iter().map(|it| (answers(&it), it)));
    }

    /// What held so far is told with the values of a row: behind this the row is another.
    pub(super) fn tell(&mut self, rows: Option<&RecordBatch>) {
        let row = rows.filter(|rows| rows.num_rows() > 0).map(|rows| rows.slice(0, 1)).or(self.example.take());
        for (answers, held) in std::mem::take(&mut self.held) {
            if let Some(row) = &row {
                self.told.push(self.condition(&held, row, &|at| answers.contains(&at)));
            }
        }
    }

    /// A condition for one row.
    pub(super) fn condition(&self, expr: &Expr, row: &RecordBatch, is_answer: &dyn Fn(usize) -> bool) -> Condition {
        Condition::seen(expr, row, self.context, is_answer)
    }
}

pub(super) fn stopped<T>(
    clause: Clause,
    conditions: Vec<Condition>,
    rows: usize,
    nearest: Vec<super::Near>,
) -> Result<T, Halt> {
    Err(Halt::Stopped(vec![Stop { clause, conditions, rows, nearest }]))
}

/// Whether what comes in is groups.
fn is_grouped(input: &Plan) -> bool {
    match input {
        Plan::Apply { input, .. } | Plan::Filter { input, .. } => is_grouped(input),
        plan => matches!(plan, Plan::Aggregate { .. }),
    }
}

/// The numbers of the rows whose first columns are those of one of `wanted`.
fn places(rows: &RecordBatch, width: usize, wanted: &RecordBatch) -> Vec<u32> {
    let types: Vec<_> = wanted
        .columns()
        .iter()
        .map(|column| daemoneye_dsl::types::Type::from_arrow(column.data_type()).expect("a column of ours"))
        .collect();
    let codec = RowCodec::new(&types);
    let wanted: HashSet<_> = codec.encode(wanted.columns(), wanted.num_rows()).into_iter().collect();
    let own = codec.encode(&rows.columns()[..width], rows.num_rows());
    (0u32..).zip(own).filter(|(_, row)| wanted.contains(row)).map(|(at, _)| at).collect()
}

fn among(rows: &RecordBatch, width: usize, wanted: &RecordBatch) -> RecordBatch {
    take(rows, &places(rows, width, wanted))
}

fn without(rows: &RecordBatch, unwanted: &RecordBatch) -> RecordBatch {
    let out: HashSet<u32> = places(rows, rows.num_columns(), unwanted).into_iter().collect();
    let kept: Vec<u32> = (0u32..).take(rows.num_rows()).filter(|at| !out.contains(at)).collect();
    take(rows, &kept)
}
