//! Why a row of a rule's first table is not among its matches.
//!
//! The row is followed through the plan as the author wrote it, before any rewrite, clause by clause in the order in
//! which SQL gives them meaning. Everything else of the tables is there as it is. Where nothing is left of the row, that
//! clause is the answer: its conditions, each with the values that it saw, and what came nearest. Expressions keep their
//! places in the text.

mod conditions;
mod joined;
mod partners;
mod subquery;
mod trace;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Span;
use daemoneye_dsl::query::Query;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::Reader;

use self::trace::{Halt, Trace};
use crate::error::Error;
use crate::lower::lower;
use crate::operators::Context;
use crate::plan::Plan;

/// Rows that come nearest, and rows that a subquery found, of which so many are told.
const NEAREST_MAX: usize = 3;

/// The table that a question is about: the first one of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstTable {
    /// What the statement calls it.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, Type)>,
}

/// A column's name and its value in some row.
pub type Named = (String, Value);

/// What became of a row.
#[derive(Debug)]
pub struct WhyNot {
    /// The rows that were asked about, as the first table has them.
    pub rows: RecordBatch,
    /// What became of them.
    pub verdict: Verdict,
    /// What was missing from what was read.
    pub completeness: Completeness,
}

/// What became of a row.
#[derive(Debug)]
pub enum Verdict {
    /// The first table has no such row.
    NoRow,
    /// It is among the matches.
    Matches {
        /// The conditions, which hold.
        conditions: Vec<Condition>,
        /// The rows of the result that it leads to.
        rows: RecordBatch,
    },
    /// It got so far. Of a UNION, in each of its queries.
    Stopped(Vec<Stop>),
}

/// Where nothing was left of a row.
#[derive(Debug)]
pub struct Stop {
    /// The clause.
    pub clause: Clause,
    /// The conditions up to here, for what came nearest; those before the clause hold.
    pub conditions: Vec<Condition>,
    /// How many rows came here and were turned away.
    pub rows: usize,
    /// Of a join: rows that satisfy all of its conditions but one.
    pub nearest: Vec<Near>,
}

impl Stop {
    /// The place of the condition that is to blame: the first that does not hold; of a join whose conditions hold for
    /// different rows, the one that the nearest row fails.
    pub fn failed(&self) -> Option<usize> {
        let fails = |it: &Condition| it.holds != Some(true);
        let nearest = self.nearest.first().map(|near| near.fails);
        nearest.or_else(|| self.conditions.iter().position(fails))
    }
}

/// A clause that turns rows away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// WHERE.
    Where,
    /// HAVING.
    Having,
    /// A join found no partner in this table.
    Join(String),
    /// The process has no relative that satisfies the condition.
    Lineage(String),
    /// Other rows come first.
    Limit {
        /// Where the row stands, from 1.
        position: usize,
        /// Among so many.
        of: usize,
        /// At most that many are kept.
        limit: Option<u64>,
        /// After leaving out so many.
        offset: u64,
    },
    /// EXCEPT, in whose second query it is, or INTERSECT, in whose second query it is not.
    Set(&'static str),
}

/// One condition and what it saw.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As SQL.
    pub text: String,
    /// Where it was written, or its operand; none for what the compiler added.
    pub span: Option<Span>,
    /// Whether it holds; none is unknown, because of a NULL.
    pub holds: Option<bool>,
    /// The columns in it and their values.
    pub values: Vec<Named>,
    /// Of the rows that a join or a subquery looks through, how many satisfy it, and how many there are.
    pub held_by: Option<(usize, usize)>,
    /// What the subqueries in it found.
    pub subqueries: Vec<Found>,
    /// Of an OR that does not hold, what comes nearest.
    pub alternative: Option<Alternative>,
}

/// The alternative of an OR of whose conditions the fewest fail.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// Which one, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Its conditions.
    pub conditions: Vec<Condition>,
}

impl Condition {
    /// The condition to blame within the alternative that comes nearest, if there is one.
    pub fn blamed(&self) -> &Self {
        let conditions = self.alternative.iter().flat_map(|it| &it.conditions);
        conditions.filter(|it| it.holds != Some(true)).map(Self::blamed).next().unwrap_or(self)
    }
}

/// A row that all but satisfies a join or a subquery.
#[derive(Clone, Debug)]
pub struct Near {
    /// What it is.
    pub row: Vec<Named>,
    /// The place, among the conditions, of the one that it fails.
    pub fails: usize,
}

/// What a subquery found for a row.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was asked.
    pub question: String,
    /// What it was evaluated for.
    pub given: Vec<Named>,
    /// How many rows it gave.
    pub rows: usize,
    /// The first of them.
    pub first: Vec<Vec<Named>>,
    /// Where it gave none: its conditions, and the rows that satisfy all but one.
    pub conditions: Vec<Condition>,
    /// The rows that come nearest.
    pub nearest: Vec<Near>,
}

/// The table that a question about this query is about; none where it has none.
pub fn first_table(query: &Query) -> Option<FirstTable> {
    let plan = lower(query);
    let leaf = trace::leaf(&plan)?;
    Some(FirstTable {
        name: trace::name_of(leaf),
        columns: leaf.fields().into_iter().map(|field| (trace::plain(&field.name), field.ty)).collect(),
    })
}

/// Follows the rows of the first table that have these values, each the column's position with a value of its type.
pub fn why_not(query: &Query, row: &[(usize, Value)], reader: &dyn Reader, now: Timestamp) -> Result<WhyNot, Error> {
    let plan: Plan = joined::apply(lower(query));
    // As an installed rule, whose result depends on the rows alone, not on their order.
    let context = Context::new(reader, now, true);
    let mut trace = Trace::new(&context, row);
    let verdict = match trace.rows(&plan) {
        Ok(rows) => Verdict::Matches { conditions: trace.passed(), rows },
        Err(Halt::NoRow) => Verdict::NoRow,
        Err(Halt::Stopped(stops)) => Verdict::Stopped(stops),
        Err(Halt::Failed(error)) => return Err(error),
    };
    let rows = trace.into_subject();
    Ok(WhyNot { rows, verdict, completeness: context.into_completeness() })
}
