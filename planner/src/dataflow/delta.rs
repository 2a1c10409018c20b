//! Changes on their way from operator to operator: rows with weights, mostly by reference.
//!
//! A row that is filtered, paired and filtered again is never copied: until an expression looks at its values it is a
//! place in a table's change, or the slots of what it was paired from.

use std::cell::{Cell, RefCell};

use arrow_array::{ArrayRef, RecordBatch};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::types::{Timestamp, Type, Value};

use super::Changes;
use super::keyed::KeyStore;
use super::keys::{Key, keys};
use super::source::Source;
use super::store::{Slot, Store};
use crate::batch::{Batch, batch, take};
use crate::error::Error;
use crate::eval::Evaluator;
use crate::operators::Context;
use crate::operators::budget::UNITS;

/// What the rows of an operator's output are made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) form: Form,
    /// The types of the columns.
    pub(crate) types: Vec<Type>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Form {
    /// Rows of a source's change; for each column its position in the table.
    Picked { source: usize, columns: Vec<usize> },
    /// Slots, one of each store.
    Slots { stores: Vec<usize>, columns: Vec<Origin> },
    /// Values.
    Values,
}

/// Where a column of a row of slots comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// The slot of that number, that column of its store.
    Stored { part: usize, column: usize },
    /// The same for every row.
    Constant(Value),
}

/// Rows that appear (weight above 0) and leave (below).
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    pub(crate) rows: Rows,
    pub(crate) weights: Vec<i64>,
}

#[derive(Clone, Debug)]
pub(crate) enum Rows {
    /// Rows of the source's change.
    Picked(Vec<u32>),
    /// The slots of each row, one after the other.
    Slots(Vec<Slot>),
    Values(RecordBatch),
}

/// What operators look at in a step.
pub(crate) struct Run<'a> {
    pub(crate) now: Timestamp,
    /// What operators read that are taken anew.
    pub(crate) context: &'a Context<'a>,
    /// Tables and their changes; nothing while whole tables are loaded.
    pub(crate) changes: Option<&'a Changes>,
    pub(crate) sources: &'a [Source],
    pub(crate) stores: &'a [RefCell<Store>],
    pub(crate) keys: &'a RefCell<KeyStore>,
    /// What comes in time has a moment of at least this, in microseconds.
    pub(crate) horizon: i64,
    /// How late rows may come, in microseconds.
    pub(crate) grace: i64,
    /// Rows that the operator discarded because they came too late.
    pub(crate) late: &'a Cell<u64>,
}

impl Run<'_> {
    /// So many units of work are about to be done: rows looked at, pairs made.
    pub(crate) fn work(&self, units: usize) -> Result<(), Error> {
        self.context.work(units)
    }

    /// So many rows came too late.
    pub(crate) fn note_late(&self, rows: i64) {
        self.late.set(self.late.get() + rows.unsigned_abs());
    }
}

impl Layout {
    pub(crate) fn values(types: Vec<Type>) -> Self {
        Self { form: Form::Values, types }
    }

    /// Slots of a row.
    pub(crate) fn parts(&self) -> usize {
        match &self.form {
            Form::Slots { stores, .. } => stores.len(),
            Form::Picked { .. } | Form::Values => 1,
        }
    }

    /// Some of the columns.
    pub(crate) fn project(&self, columns: &[usize]) -> Self {
        let types = columns.iter().map(|at| self.types[*at]).collect();
        let form = match &self.form {
            Form::Picked { source, columns: own } => {
                Form::Picked { source: *source, columns: columns.iter().map(|at| own[*at]).collect() }
            }
            Form::Slots { stores, columns: own } => {
                Form::Slots { stores: stores.clone(), columns: columns.iter().map(|at| own[*at].clone()).collect() }
            }
            Form::Values => Form::Values,
        };
        Self { form, types }
    }
}

impl Delta {
    /// No rows.
    pub(crate) fn nothing() -> Self {
        Self { rows: Rows::Slots(vec![]), weights: vec![] }
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    pub(crate) fn of_values(change: Batch) -> Self {
        Self { rows: Rows::Values(change.rows), weights: change.weights }
    }

    /// These rows with these weights.
    pub(crate) fn select(&self, rows: &[u32], weights: Vec<i64>) -> Self {
        let selected = match &self.rows {
            Rows::Picked(own) => Rows::Picked(rows.iter().map(|row| own[*row as usize]).collect()),
            Rows::Slots(own) => {
                let parts = own.len() / self.weights.len().max(1);
                let of = |row: &u32| &own[*row as usize * parts..(*row as usize + 1) * parts];
                Rows::Slots(rows.iter().flat_map(of).copied().collect())
            }
            Rows::Values(own) => Rows::Values(take(own, rows)),
        };
        Self { rows: selected, weights }
    }

    /// These rows with the weights that they have.
    pub(crate) fn take(&self, rows: &[u32]) -> Self {
        self.select(rows, rows.iter().map(|row| self.weights[*row as usize]).collect())
    }

    /// Some columns of all rows.
    pub(crate) fn columns(&self, layout: &Layout, columns: &[usize], run: &Run<'_>) -> Vec<ArrayRef> {
        match (&self.rows, &layout.form) {
            (Rows::Picked(rows), Form::Picked { source, columns: own }) => {
                let change = &run.sources[*source].change().rows;
                let numbers = arrow_array::UInt32Array::from(rows.clone());
                let whole = rows.len() == change.num_rows() && (0u32..).zip(rows).all(|(at, row)| at == *row);
                let of = |at: &usize| {
                    let column = change.column(own[*at]);
                    if whole { column.clone() } else { take_column(column, &numbers) }
                };
                columns.iter().map(of).collect()
            }
            (Rows::Slots(slots), Form::Slots { stores, columns: own }) => {
                let parts = stores.len();
                let of = |at: &usize| match &own[*at] {
                    Origin::Stored { part, column } => {
                        let slots = (0..self.weights.len()).map(|row| slots[row * parts + part]);
                        run.stores[stores[*part]].borrow().gather(*column, slots)
                    }
                    Origin::Constant(value) => {
                        layout.types[*at].array(std::iter::repeat_n(value.clone(), self.weights.len()))
                    }
                };
                columns.iter().map(of).collect()
            }
            (Rows::Values(rows), _) => columns.iter().map(|at| rows.column(*at).clone()).collect(),
            _ => unreachable!("rows have the form that their operator's layout says"),
        }
    }

    /// All columns, as values.
    pub(crate) fn batch(&self, layout: &Layout, run: &Run<'_>) -> Batch {
        let rows = match &self.rows {
            Rows::Values(rows) => rows.clone(),
            _ => batch(self.columns(layout, &(0..layout.types.len()).collect::<Vec<_>>(), run), self.len()),
        };
        Batch { rows, weights: self.weights.clone() }
    }
}

fn take_column(column: &ArrayRef, numbers: &arrow_array::UInt32Array) -> ArrayRef {
    arrow_select::take::take(column, numbers, None).expect("rows of this change")
}

/// Expressions over an operator's input, with the columns that they need.
#[derive(Clone, Debug)]
pub(crate) struct Exprs {
    needed: Vec<usize>,
    /// Over the needed columns.
    exprs: Vec<Expr>,
}

impl Exprs {
    pub(crate) fn new<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let exprs: Vec<_> = exprs.into_iter().cloned().collect();
        let mut needed: Vec<usize> = exprs.iter().flat_map(Expr::columns).collect();
        needed.sort_unstable();
        needed.dedup();
        let place = |column| needed.binary_search(&column).expect("it is needed");
        let exprs = exprs.into_iter().map(|expr| expr.with_columns(&place)).collect();
        Self { needed, exprs }
    }

    /// Their values, one column each.
    pub(crate) fn values(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<ArrayRef> {
        let columns = delta.columns(layout, &self.needed, run);
        let evaluator = Evaluator::over(&columns, delta.len(), run.now);
        self.exprs.iter().map(|expr| evaluator.values(expr)).collect()
    }

    /// The rows for which the first of them is true.
    pub(crate) fn matching(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Result<Vec<u32>, Error> {
        let len = u32::try_from(delta.len()).expect("fewer rows than 2^32");
        if delta.len() <= UNITS {
            run.work(delta.len())?;
            return Ok(self.matching_part(delta, layout, run));
        }
        // Many rows are looked at part by part: a condition may be slow.
        let mut found = Vec::new();
        for from in (0..len).step_by(UNITS) {
            let rows: Vec<u32> = (from..len).take(UNITS).collect();
            run.work(UNITS + 1)?;
            let part = delta.take(&rows);
            found.extend(self.matching_part(&part, layout, run).into_iter().map(|row| from + row));
        }
        Ok(found)
    }

    fn matching_part(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<u32> {
        let columns = delta.columns(layout, &self.needed, run);
        Evaluator::over(&columns, delta.len(), run.now).matching(&self.exprs[0])
    }

    /// The rows as keys of groups.
    pub(crate) fn group_keys(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<Key> {
        keys(&self.values(delta, layout, run), delta.len())
    }
}
