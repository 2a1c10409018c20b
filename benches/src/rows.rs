//! Rows to compare: without an order, each with how often it is there.

use std::collections::BTreeMap;
use std::fmt::Write;

use daemoneye_planner::Batch;
use rusqlite::types::Value as Cell;

use crate::sqlite;

/// What a query's result is, or what changes have added up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows(BTreeMap<String, i64>);

/// The first columns of a change's rows as SQLite would give them, each row with its weight.
pub fn weighted(batch: &Batch, width: usize) -> Vec<(Vec<Cell>, i64)> {
    sqlite::as_sqlite(&batch.rows, width).into_iter().zip(batch.weights.iter().copied()).collect()
}

impl Rows {
    /// Each of these once.
    pub fn of(rows: Vec<Vec<Cell>>) -> Self {
        let mut all = Self::default();
        all.add(&rows.into_iter().map(|row| (row, 1)).collect::<Vec<_>>());
        all
    }

    /// Adds a change.
    pub fn add(&mut self, rows: &[(Vec<Cell>, i64)]) {
        for (row, weight) in rows {
            *self.0.entry(format!("{row:?}")).or_default() += weight;
        }
        self.0.retain(|_, weight| *weight != 0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(|weight| usize::try_from(*weight).unwrap_or_default()).sum()
    }

    /// Whether there are none, not even missing ones.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A few of the rows that only one of them has.
    pub fn against(&self, right: &Self) -> String {
        let mut text = String::new();
        for (side, these, those) in [("ours", self, right), ("right", right, self)] {
            for (row, weight) in these.0.iter().filter(|(row, weight)| those.0.get(*row) != Some(weight)).take(3) {
                let _infallible = writeln!(text, "  {side}: {weight} × {row}");
            }
        }
        text
    }
}
