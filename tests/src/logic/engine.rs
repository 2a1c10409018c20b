//! One SELECT through checker, planner and operators, as the product does it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::{Severity, Source};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_planner::{Error, execute, plan};
use daemoneye_storage::Reader;

/// Why there are no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The checker does not take it, or a bound was reached: the reason without the names of the statement.
    Unsupported(String),
    /// A table of the statement is not in the catalog.
    NoTable,
    /// It panicked: a fault of ours.
    Fault(String),
}

/// The rows, in order.
pub(super) fn ask(sql: &str, catalog: &Catalog, reader: &dyn Reader) -> Result<Vec<Vec<Value>>, Refusal> {
    let work = AssertUnwindSafe(|| answer(sql, catalog, reader));
    catch_unwind(work).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Refusal::Fault(text.unwrap_or_else(|| "a panic without words".to_owned())))
    })
}

fn answer(sql: &str, catalog: &Catalog, reader: &dyn Reader) -> Result<Vec<Vec<Value>>, Refusal> {
    let checked = check_query(&Source::query(sql), catalog);
    let Some(rule) = checked.rule else {
        let error = checked.diagnostics.iter().find(|it| it.severity == Severity::Error);
        return Err(match error {
            Some(error) if error.message.starts_with("unknown table `") => Refusal::NoTable,
            Some(error) => Refusal::Unsupported(format!("{} {}", error.code, nameless(&error.message))),
            None => Refusal::Fault("refused without an error".to_owned()),
        });
    };
    match execute(&plan(&rule.query), reader, Timestamp(0)) {
        Ok(answer) => Ok(rows_of(&answer.rows)),
        Err(error @ Error::TooManyRows { .. }) => Err(Refusal::Unsupported(error.to_string())),
        Err(error) => Err(Refusal::Fault(error.to_string())),
    }
}

fn rows_of(batch: &RecordBatch) -> Vec<Vec<Value>> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| Value::at(column, row)).collect()).collect()
}

/// The message with every quoted name left out, so that equal reasons are counted together; names of functions stay.
fn nameless(message: &str) -> String {
    if message.contains("function") {
        return message.to_owned();
    }
    message.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "…" }).collect()
}
