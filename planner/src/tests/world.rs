//! Three small tables with awkward values, as a [`Reader`].

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{ArrayRef, DictionaryArray, NullArray, RecordBatch};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Column, Kind, Table};
use daemoneye_dsl::types::{MICROS_PER_SEC, Type, Value};
use daemoneye_storage::{Each, Error, Probe, Question, Reader, Scan, StoredProcess};

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

    /// The statements that make it in SQLite.
    pub(super) fn script(&self, sql: &str) -> String {
        let named = self.tables.iter().filter(|(table, _)| sql.contains(&*table.name));
        let table = |(table, rows): &(Arc<Table>, Vec<Row>)| {
            let columns: Vec<_> = table.columns.iter().map(|it| format!("{} {}", it.name, affinity(it.ty))).collect();
            let row = |row: &Row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", "));
            let values: Vec<_> = rows.iter().map(row).collect();
            let create = format!("CREATE TABLE {} ({});", table.name, columns.join(", "));
            match values.as_slice() {
                [] => create,
                _ => format!("{create}\nINSERT INTO {} VALUES\n  {};", table.name, values.join(",\n  ")),
            }
        };
        named.map(table).collect::<Vec<_>>().join("\n")
    }

    /// The same with rows left out and values that are simpler, as long as it fails.
    pub(super) fn shrunk(mut self, fails: &mut dyn FnMut(&Self) -> bool) -> Self {
        let mut try_one = |world: &mut Self, change: &dyn Fn(&mut Self)| {
            let mut simpler = world.clone();
            change(&mut simpler);
            let taken = fails(&simpler);
            if taken {
                *world = simpler;
            }
            taken
        };
        for at in 0..self.tables.len() {
            let mut row = 0;
            while row < self.tables[at].1.len() {
                if !try_one(&mut self, &|world| drop(world.tables[at].1.remove(row))) {
                    row += 1;
                }
            }
            for row in 0..self.tables[at].1.len() {
                for column in 0..self.tables[at].0.columns.len() {
                    let ty = self.tables[at].0.columns[column].ty;
                    let old = self.tables[at].1[row][column].clone();
                    for value in simple(ty).into_iter().take_while(|value| *value != old) {
                        if try_one(&mut self, &|world| world.tables[at].1[row][column] = value.clone()) {
                            break;
                        }
                    }
                }
            }
        }
        self
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

/// Values that say little, the plainest first.
fn simple(ty: Type) -> Vec<Value> {
    let plain = match ty {
        Type::Integer => Value::Integer(0),
        Type::Real => Value::Real(0.0),
        Type::Text => Value::Text(String::new()),
        Type::Boolean => Value::Boolean(false),
        _ => Value::Timestamp(EPOCH),
    };
    vec![Value::Null, plain]
}

pub(super) fn affinity(ty: Type) -> &'static str {
    if ty == Type::Timestamp { "INTEGER" } else { ty.name() }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Integer(value) | Value::Timestamp(value) => value.to_string(),
        Value::Real(value) => format!("{value:?}"),
        Value::Text(value) => super::generator::quoted(value),
        Value::Boolean(value) => i64::from(*value).to_string(),
        _ => "NULL".to_owned(),
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

/// Leaves out every row that may be left out.
impl Reader for World {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let (table, rows) =
            self.tables.iter().find(|(table, _)| table.name == scan.table.name).expect("a test's table");
        let mut kept = vec![true; rows.len()];
        for test in scan.tests {
            let values = columns(table, rows, &[test.column]).column(0).clone();
            let passes = (test.passes)(&values);
            kept.iter_mut().zip(&passes).for_each(|(kept, passes)| *kept &= passes == Some(true));
        }
        for (kept, row) in kept.iter_mut().zip(rows) {
            *kept &= scan.required.iter().all(|group| group.iter().any(|probe| is_met(probe, &row[probe.column])));
        }
        let rows: Vec<Row> = rows.iter().zip(kept).filter(|(_, kept)| *kept).map(|(row, _)| row.clone()).collect();
        if let Some(exact) = scan.exact {
            exact.set(true);
        }
        let as_asked = |(place, column): (usize, &ArrayRef)| -> ArrayRef {
            if scan.unread.contains(&place) {
                Arc::new(NullArray::new(rows.len()))
            } else if scan.dictionaries.contains(&place) {
                Arc::new(column.as_string::<i32>().iter().collect::<DictionaryArray<UInt32Type>>())
            } else {
                column.clone()
            }
        };
        let whole = columns(table, &rows, scan.columns);
        let given = whole.columns().iter().enumerate().map(as_asked).collect();
        let _only_one = each(batch(given, rows.len()));
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}

/// Whether a value meets a probe, as its documentation says.
#[expect(clippy::cast_precision_loss, reason = "rounded, as the probe says")]
fn is_met(probe: &Probe, value: &Value) -> bool {
    let folded = |text: &str| text.to_ascii_lowercase();
    let number = match value {
        Value::Integer(value) | Value::Timestamp(value) | Value::Interval(value) => Some(*value as f64),
        Value::Real(value) => Some(*value),
        _ => None,
    };
    match (&probe.question, value) {
        (Question::Null, value) => value.is_null(),
        (Question::Contains(literal), Value::Text(text)) => {
            let (text, part) = (folded(text).into_bytes(), &literal.bytes);
            match (literal.at_start, literal.at_end) {
                (true, true) => text == *part,
                (true, false) => text.starts_with(part),
                (false, true) => text.ends_with(part),
                (false, false) => part.is_empty() || text.windows(part.len()).any(|it| it == part),
            }
        }
        (Question::Equal(Value::Text(one)), Value::Text(other)) => folded(one) == folded(other),
        (Question::Equal(Value::Integer(one)), Value::Real(_)) => number == Some(*one as f64),
        (Question::Equal(Value::Real(one)), Value::Integer(_)) => number == Some(*one),
        (Question::Equal(one), other) => one == other,
        (Question::AtLeast(bound), _) => number.is_some_and(|number| number >= *bound),
        (Question::AtMost(bound), _) => number.is_some_and(|number| number <= *bound),
        (Question::Contains(_), _) => false,
    }
}
