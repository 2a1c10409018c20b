//! SQLite as the peer: the same rows in a table of the same columns.

use anyhow::Context;
use arrow_array::RecordBatch;
use daemoneye_dsl::tables::Column;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use regex::Regex;
use rusqlite::functions::{Context as Call, FunctionFlags};
use rusqlite::types::{ToSql, ToSqlOutput, Value as Cell, ValueRef};
use rusqlite::{Connection, Error, Statement, params_from_iter};

/// Adds the functions that the rules use and SQLite does not have.
pub fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("regexp", 2, flags, regexp)?;
    connection.create_scalar_function("basename", 1, flags, |call| {
        let path = call.get_raw(0).as_str_or_null()?;
        Ok(path.map(|path| path.rsplit_once('/').map_or(path, |(_, last)| last).to_owned()))
    })
}

/// A constant pattern is compiled once for a statement's run, as a careful host of SQLite would do it.
fn regexp(call: &Call<'_>) -> rusqlite::Result<Option<bool>> {
    let pattern = call.get_or_create_aux(0, |pattern| -> Result<Regex, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Regex::new(pattern.as_str()?)?)
    })?;
    let text = call.get_raw(1).as_str_or_null()?;
    Ok(text.map(|text| pattern.is_match(text)))
}

/// Makes a table of these columns; `key` names its primary key, if it has one.
pub fn create(connection: &Connection, name: &str, columns: &[Column], key: Option<&str>) -> rusqlite::Result<()> {
    let affinity = |ty: Type| if ty == Type::Real || ty == Type::Text { ty.name() } else { "INTEGER" };
    let column = |column: &Column| {
        let key = if Some(&*column.name) == key { " PRIMARY KEY" } else { "" };
        format!("\"{}\" {}{key}", column.name, affinity(column.ty))
    };
    let columns: Vec<_> = columns.iter().map(column).collect();
    connection.execute_batch(&format!("CREATE TABLE {name} ({})", columns.join(", ")))
}

/// A statement that inserts rows of that many columns.
pub fn insertion(table: &str, columns: usize) -> String {
    format!("INSERT INTO {table} VALUES ({})", vec!["?"; columns].join(", "))
}

/// Inserts rows.
pub fn insert(statement: &mut Statement<'_>, rows: &[Vec<Stored>]) -> rusqlite::Result<()> {
    rows.iter().try_for_each(|row| statement.execute(params_from_iter(row)).map(drop))
}

/// A cell on its way into SQLite.
#[derive(Debug)]
pub struct Stored(Value);

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match &self.0 {
            Value::Integer(value) | Value::Timestamp(value) | Value::Interval(value) => ValueRef::Integer(*value),
            Value::Boolean(value) => ValueRef::Integer((*value).into()),
            Value::Real(value) => ValueRef::Real(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Blob(value) => ValueRef::Blob(value),
            Value::Null => ValueRef::Null,
        }))
    }
}

/// Rows as cells.
pub fn rows_of(batch: &RecordBatch) -> Vec<Vec<Stored>> {
    let row = |row| batch.columns().iter().map(|column| Stored(Value::at(column, row))).collect();
    (0..batch.num_rows()).map(row).collect()
}

/// Every cell of a statement's answer.
pub fn answer(statement: &mut Statement<'_>) -> anyhow::Result<Vec<Vec<Cell>>> {
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect())?;
    rows.collect::<Result<_, Error>>().context("SQLite cannot answer")
}

/// Rows of ours as SQLite would give them: BOOLEAN and TIMESTAMP are INTEGER there.
pub fn as_sqlite(batch: &RecordBatch, columns: usize) -> Vec<Vec<Cell>> {
    let cell = |value: Value| match value {
        Value::Integer(value) | Value::Timestamp(value) | Value::Interval(value) => Cell::Integer(value),
        Value::Boolean(value) => Cell::Integer(value.into()),
        Value::Real(value) => Cell::Real(value),
        Value::Text(value) => Cell::Text(value),
        Value::Blob(value) => Cell::Blob(value),
        Value::Null => Cell::Null,
    };
    let row = |row| batch.columns()[..columns].iter().map(|column| cell(Value::at(column, row))).collect();
    (0..batch.num_rows()).map(row).collect()
}

impl From<Timestamp> for Stored {
    fn from(moment: Timestamp) -> Self {
        Self(Value::Timestamp(moment.0))
    }
}
