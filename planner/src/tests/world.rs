//! Three small tables with awkward values, as a [`Reader`].

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Column, Kind, Table};
use daemoneye_dsl::types::{MICROS_PER_SEC, Type, Value};
use daemoneye_storage::{Error, Reader, Scan, Scanned, StoredProcess};

use super::random::Random;
use crate::batch::batch;

pub(super) type Row = Vec<Value>;

/// The tables of a test and what they hold.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) tables: Vec<(Arc<Table>, Vec<Row>)>,
}

/// A moment that the tables' times lie around.
pub(super) const EPOCH: i64 = 1_700_000_000 * MICROS_PER_SEC;

impl World {
    pub(super) fn random(random: &mut Random) -> Self {
        let tables = tables(random.percent(20)).into_iter().map(|table| {
            let rows = random.below(7);
            let rows = (0..rows).map(|_| row(&table, random)).collect();
            (Arc::new(table), rows)
        });
        Self { tables: tables.collect() }
    }

    pub(super) fn catalog(&self) -> Catalog {
        self.tables.iter().fold(Catalog::builtin(), |catalog, (table, _)| catalog.with((**table).clone()))
    }
}

/// The tables; one of them may be of events.
fn tables(events: bool) -> Vec<Table> {
    use Type::{Boolean, Integer, Real, Text, Timestamp};
    let table = |name: &'static str, kind, columns: &[(&'static str, Type)]| {
        let columns = columns
            .iter()
            .map(|(name, ty)| Column { volatile: *name == "v", ..Column::new(*name, *ty, true, "A column.") });
        Table { name: name.into(), doc: "A table.".into(), kind, columns: columns.collect() }
    };
    let kind = if events { Kind::Events } else { Kind::State };
    vec![
        table(
            "t0",
            kind,
            &[("i", Integer), ("j", Integer), ("r", Real), ("s", Text), ("u", Text), ("b", Boolean), ("t", Timestamp)],
        ),
        table(
            "t1",
            Kind::State,
            &[
                ("i", Integer),
                ("k", Integer),
                ("q", Real),
                ("s", Text),
                ("c", Boolean),
                ("v", Integer),
                ("t", Timestamp),
            ],
        ),
        table("t2", Kind::State, &[("k", Integer), ("r", Real), ("u", Text), ("b", Boolean)]),
    ]
}

pub(super) fn row(table: &Table, random: &mut Random) -> Row {
    table.columns.iter().map(|column| value(column.ty, random)).collect()
}

pub(super) const TEXTS: &[&str] = &[
    "",
    "5",
    "A",
    "a",
    "É",
    "é",
    "abc",
    "ABC",
    "%",
    "a%b",
    "a_b",
    "*",
    "[x]",
    "-5",
    "5.0",
    "1e3",
    " 7 ",
    "/usr/bin/sh",
    "sh",
    "0",
    "it's",
    "a\\b",
    "日本",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
const INTEGERS: &[i64] = &[0, 1, -1, 2, 3, 5, 7, 5, 1, 10, 100, 65, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1];
const REALS: &[f64] = &[0.0, -0.0, 1.0, -1.5, 5.0, 0.5, 2.5, 0.1, 1e300, 3.25, 9_007_199_254_740_992.0, 1e-7, 1.0e15];

pub(super) fn value(ty: Type, random: &mut Random) -> Value {
    if random.percent(20) {
        return Value::Null;
    }
    match ty {
        Type::Integer => Value::Integer(*random.pick(INTEGERS)),
        Type::Real => Value::Real(*random.pick(REALS)),
        Type::Text => Value::Text((*random.pick(TEXTS)).to_owned()),
        Type::Boolean => Value::Boolean(random.percent(50)),
        _ => Value::Timestamp(EPOCH + i64::try_from(random.below(120)).expect("small") * MICROS_PER_SEC),
    }
}

/// Rows as the columns of a table.
pub(super) fn columns(table: &Table, rows: &[Row], positions: &[usize]) -> RecordBatch {
    let columns =
        positions.iter().map(|at| table.columns[*at].ty.array(rows.iter().map(|row| row[*at].clone()))).collect();
    batch(columns, rows.len())
}

pub(super) fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| Value::at(column, row)).collect()).collect()
}

/// Leaves out every row that its window allows to be left out.
impl Reader for World {
    fn scan(&self, scan: &Scan<'_>) -> Result<Scanned, Error> {
        let (table, rows) =
            self.tables.iter().find(|(table, _)| table.name == scan.table.name).expect("a test's table");
        let inside = |row: &&Row| {
            scan.window.is_none_or(|window| {
                row[window.column].as_timestamp().is_none_or(|moment| {
                    window.from.is_none_or(|from| moment >= from) && window.to.is_none_or(|to| moment <= to)
                })
            })
        };
        let rows: Vec<Row> = rows.iter().filter(inside).cloned().collect();
        Ok(Scanned { batches: vec![columns(table, &rows, scan.columns)], completeness: Completeness::default() })
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}
