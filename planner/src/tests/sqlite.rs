//! SQLite as the oracle: the same rows, the same statement.

use std::cmp::Ordering;

use daemoneye_dsl::types::Value;
use regex::Regex;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use super::world::{Row, World, affinity};

pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn new() -> Self {
        let connection = Connection::open_in_memory().expect("a database in memory");
        // What this dialect adds, or does otherwise on purpose: overflow is NULL.
        integers(&connection, "plus", i64::checked_add);
        integers(&connection, "minus", i64::checked_sub);
        integers(&connection, "times", i64::checked_mul);
        integers(&connection, "quotient", i64::checked_div);
        function(&connection, "neg", 1, |context| {
            Ok(context.get::<Option<i64>>(0)?.and_then(i64::checked_neg).map(rusqlite::types::Value::Integer))
        });
        function(&connection, "absolute", 1, |context| {
            Ok(context.get::<Option<i64>>(0)?.and_then(i64::checked_abs).map(rusqlite::types::Value::Integer))
        });
        texts(&connection, "starts_with", |a, b| (a.strip_prefix(b).is_some()).into());
        texts(&connection, "ends_with", |a, b| (a.strip_suffix(b).is_some()).into());
        texts(&connection, "regexp", |pattern, text| {
            Regex::new(pattern).expect("a test's pattern").is_match(text).into()
        });
        path(&connection, "basename", |path| path.rsplit_once('/').map_or(path, |(_, last)| last).to_owned());
        path(&connection, "dirname", |path| match path.rsplit_once('/') {
            Some(("", _)) => "/".to_owned(),
            Some((dir, _)) => dir.to_owned(),
            None => String::new(),
        });
        aggregate(&connection, "wide_sum", 1, WideSum);
        aggregate(&connection, "min_by", 2, Picked(Ordering::Less));
        aggregate(&connection, "max_by", 2, Picked(Ordering::Greater));
        Self(connection)
    }

    /// As it comes, without functions of ours.
    pub(super) fn bare() -> Self {
        Self(Connection::open_in_memory().expect("a database in memory"))
    }

    pub(super) fn fill(&self, world: &World) {
        for (table, rows) in &world.tables {
            let columns: Vec<_> =
                table.columns.iter().map(|column| format!("{} {}", column.name, affinity(column.ty))).collect();
            let name = &table.name;
            let create = format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({})", columns.join(", "));
            self.0.execute_batch(&create).expect("a table");
            let holes = vec!["?"; columns.len()].join(", ");
            let mut insert = self.0.prepare_cached(&format!("INSERT INTO {name} VALUES ({holes})")).expect("an insert");
            for row in rows {
                insert.execute(params_from_iter(row.iter().map(stored))).expect("a row");
            }
        }
    }

    pub(super) fn rows(&self, sql: &str) -> Result<Vec<Row>, rusqlite::Error> {
        let mut statement = self.0.prepare(sql)?;
        let width = statement.column_count();
        let rows = statement.query_map([], |row| (0..width).map(|at| row.get_ref(at).map(loaded)).collect())?;
        rows.collect()
    }
}

fn stored(value: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Stored;
    match value {
        Value::Integer(value) | Value::Timestamp(value) => Stored::Integer(*value),
        Value::Real(value) => Stored::Real(*value),
        Value::Text(value) => Stored::Text(value.clone()),
        Value::Boolean(value) => Stored::Integer(i64::from(*value)),
        _ => Stored::Null,
    }
}

fn loaded(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(value) => Value::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Value::Blob(value.to_vec()),
    }
}

type Answer = rusqlite::Result<Option<rusqlite::types::Value>>;

fn function(connection: &Connection, name: &str, args: i32, work: fn(&Context<'_>) -> Answer) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, args, flags, work).expect("a function");
}

fn integers(connection: &Connection, name: &str, work: fn(i64, i64) -> Option<i64>) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let work = move |context: &Context<'_>| {
        let (left, right) = (context.get::<Option<i64>>(0)?, context.get::<Option<i64>>(1)?);
        Ok(left.zip(right).and_then(|(left, right)| work(left, right)))
    };
    connection.create_scalar_function(name, 2, flags, work).expect("a function");
}

fn text(context: &Context<'_>, at: usize) -> Option<String> {
    match loaded(context.get_raw(at)) {
        Value::Null => None,
        value => Some(daemoneye_dsl::convert::to_text(&value)),
    }
}

fn texts(connection: &Connection, name: &str, work: fn(&str, &str) -> i64) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let work = move |context: &Context<'_>| Ok(text(context, 0).zip(text(context, 1)).map(|(a, b)| work(&a, &b)));
    connection.create_scalar_function(name, 2, flags, work).expect("a function");
}

fn path(connection: &Connection, name: &str, work: fn(&str) -> String) {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let work = move |context: &Context<'_>| Ok(text(context, 0).map(|path| work(&path)));
    connection.create_scalar_function(name, 1, flags, work).expect("a function");
}

fn aggregate<A, T>(connection: &Connection, name: &str, args: i32, work: A)
where
    A: Aggregate<T, Option<rusqlite::types::Value>> + Send + 'static,
    T: std::panic::RefUnwindSafe + std::panic::UnwindSafe + Send,
{
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function(name, args, flags, work).expect("an aggregate");
}

/// The sum of INTEGERs; NULL of nothing, and where it does not fit.
struct WideSum;

impl Aggregate<Option<i128>, Option<rusqlite::types::Value>> for WideSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<i128>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i128>) -> rusqlite::Result<()> {
        if let Some(value) = context.get::<Option<i64>>(0)? {
            *sum = Some(sum.unwrap_or(0) + i128::from(value));
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i128>>) -> Answer {
        let sum = sum.flatten().and_then(|sum| i64::try_from(sum).ok());
        Ok(sum.map(rusqlite::types::Value::Integer))
    }
}

/// The first argument where the second is least or greatest; the least of several.
struct Picked(Ordering);

impl Aggregate<Vec<(Value, Value)>, Option<rusqlite::types::Value>> for Picked {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<(Value, Value)>> {
        Ok(vec![])
    }

    fn step(&self, context: &mut Context<'_>, rows: &mut Vec<(Value, Value)>) -> rusqlite::Result<()> {
        rows.push((loaded(context.get_raw(1)), loaded(context.get_raw(0))));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, rows: Option<Vec<(Value, Value)>>) -> Answer {
        let rows = rows.unwrap_or_default();
        let whole = rows.into_iter().filter(|(by, value)| !by.is_null() && !value.is_null());
        let best = whole.reduce(|best, row| match (row.0.compare(&best.0), row.1.compare(&best.1)) {
            (Ordering::Equal, Ordering::Less) => row,
            (ordering, _) if ordering == self.0 => row,
            _ => best,
        });
        Ok(best.map(|(_, value)| stored(&value)))
    }
}
