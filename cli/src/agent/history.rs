//! What only the agent's store has, read through the agent: for whom the store's file is closed.
//!
//! Each scan is a statement. What an index can tell goes along as conditions; whoever scans filters again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Catalog, Column, version_columns};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::{Each, Error, Probe, Question, Reader, Scan, StoredProcess};

use super::{Answered, Asking, Reply, statement};
use crate::asked::literal;

/// Beyond this a number is not the same as a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The agent's record, as of some moment.
pub(crate) struct History<'a> {
    asking: &'a Asking,
    now: Timestamp,
    /// What one scan may take.
    limit: Duration,
}

impl<'a> History<'a> {
    pub(crate) fn new(asking: &'a Asking, now: Timestamp, limit: Duration) -> Self {
        Self { asking, now, limit }
    }

    fn ask(&self, sql: &str, each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<Answered, Error> {
        let checked = check_query(&Source::query(sql), &Catalog::builtin());
        let rule = checked.rule.ok_or_else(|| Error::Refused(format!("cannot ask the agent `{sql}`")))?;
        let reply = self.asking.ask(&rule.query, statement(&rule, self.limit, Some(self.now)), each);
        match reply.map_err(|error| Error::Refused(format!("{error:#}")))? {
            Reply::Answered(answered) => Ok(answered),
            Reply::Refused(why) => Err(Error::Refused(why)),
            Reply::TooEarly => Err(Error::Refused("the agent has seen no snapshot yet: try again".to_owned())),
        }
    }
}

impl Reader for History<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let columns: Vec<_> = scan.columns.iter().map(|at| &scan.table.columns[*at]).collect();
        let schema = columns.iter().map(|column| Field::new(&*column.name, column.ty.arrow(), true));
        let schema = Arc::new(Schema::new(schema.collect::<Vec<_>>()));
        let sql = sql_of(scan);
        let answered = self.ask(&sql, &mut |part| {
            let mut came = part.columns().iter();
            let arrays = columns.iter().map(|column| match observed(scan, column) {
                Some(value) => column.ty.array(std::iter::repeat_n(value, part.num_rows())),
                None => came.next().expect("the statement has the columns of the scan").clone(),
            });
            let arrays: Vec<ArrayRef> = arrays.collect();
            let options = RecordBatchOptions::new().with_row_count(Some(part.num_rows()));
            let rows = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
            if scan.goes_on.is_some_and(|goes_on| !goes_on()) {
                return ControlFlow::Break(());
            }
            each(rows.expect("they have the types of the scan"))
        })?;
        Ok(answered.completeness)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        let names: Vec<_> = version_columns().iter().map(|column| column.name.to_string()).collect();
        let (names, id) = (names.join(", "), literal(proc_id));
        let sql = format!("SELECT {names} FROM processes_history WHERE proc_id = {id} ORDER BY seen_from DESC LIMIT 1");
        let mut last = None;
        self.ask(&sql, &mut |rows| {
            last = Some(rows).filter(|rows| rows.num_rows() > 0);
            ControlFlow::Continue(())
        })?;
        Ok(last.map(|row| StoredProcess::alone(row, None)))
    }
}

/// What a scan is given of a column that no statement can name. Of some moment: when versions began and ended, of which
/// its rows have in common that it lies between. Of none: samples, which are those of a moment.
fn observed(scan: &Scan<'_>, column: &Column) -> Option<Value> {
    let Some(moment) = scan.as_of else {
        let catalog = Catalog::builtin();
        let table = catalog.table(&scan.table.name);
        return table.is_none_or(|table| table.column(&column.name).is_none()).then_some(Value::Null);
    };
    match &*column.name {
        "seen_from" => Some(Value::Timestamp(moment.0)),
        "seen_to" => Some(Value::Null),
        _ => None,
    }
}

/// The statement that has at least the rows that a scan wants.
fn sql_of(scan: &Scan<'_>) -> String {
    let columns = scan.columns.iter().map(|at| &scan.table.columns[*at]);
    let names: Vec<_> = columns.filter(|it| observed(scan, it).is_none()).map(|it| quoted(&it.name)).collect();
    let names = if names.is_empty() { "1".to_owned() } else { names.join(", ") };
    let from = match scan.as_of {
        Some(moment) => format!("processes FOR SYSTEM_TIME AS OF {}", literal(&moment.rfc3339())),
        None => quoted(&scan.table.name),
    };
    let conditions: Vec<_> = scan.required.iter().filter_map(|probes| any_of(scan, probes)).collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    format!("SELECT {names} FROM {from}{filter}")
}

/// One of several; nothing where one of them cannot be said.
fn any_of(scan: &Scan<'_>, probes: &[Probe]) -> Option<String> {
    let conditions = probes.iter().map(|probe| condition(scan, probe)).collect::<Option<Vec<_>>>()?;
    Some(format!("({})", conditions.join(" OR ")))
}

fn condition(scan: &Scan<'_>, probe: &Probe) -> Option<String> {
    let column = scan.table.columns.get(probe.column).filter(|column| observed(scan, column).is_none())?;
    let name = quoted(&column.name);
    Some(match &probe.question {
        // What the text has of wildcards lets more through, and no less.
        Question::Contains(text) => {
            let text = std::str::from_utf8(&text.bytes).ok()?;
            format!("{name} LIKE {}", literal(&format!("%{text}%")))
        }
        Question::Equal(Value::Text(text)) => format!("{name} LIKE {}", literal(text)),
        Question::Equal(Value::Integer(number)) => format!("{name} = {number}"),
        Question::Equal(_) => return None,
        Question::AtLeast(least) => format!("{name} >= {}", number(*least, column.ty, f64::floor)?),
        Question::AtMost(most) => format!("{name} <= {}", number(*most, column.ty, f64::ceil)?),
        Question::Null => format!("{name} IS NULL"),
    })
}

/// A bound as it stands in a statement, rounded so that it lets no less through.
fn number(bound: f64, ty: Type, rounded: fn(f64) -> f64) -> Option<String> {
    if ty == Type::Real || bound.abs() >= EXACT_MAX {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within bounds")]
    let whole = rounded(bound) as i64;
    Some(match ty {
        Type::Timestamp => literal(&Timestamp(whole).rfc3339()),
        Type::Integer => whole.to_string(),
        _ => return None,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::tables::{Table, processes_at};

    use super::*;

    fn position(table: &Table, name: &str) -> usize {
        table.column(name).expect("it has the column").0
    }

    #[test]
    fn a_scan_is_a_statement_that_compiles() {
        let catalog = Catalog::builtin();
        let table = catalog.table("process_starts").unwrap();
        let [pid, name, time] = ["pid", "name", "observed_at"].map(|name| position(table, name));
        let required = [
            vec![
                Probe { column: name, question: Question::Equal(Value::Text("it's".into())) },
                Probe { column: pid, question: Question::Null },
            ],
            vec![Probe { column: time, question: Question::AtLeast(1.5) }],
            vec![Probe { column: pid, question: Question::AtMost(6.5) }],
            // Of this one nothing can be said, so nothing of its group is.
            vec![
                Probe { column: pid, question: Question::Equal(Value::Null) },
                Probe { column: pid, question: Question::Equal(Value::Integer(7)) },
            ],
        ];
        let columns = [pid, name];
        let scan = Scan { required: &required, ..Scan::all(table, &columns) };
        let sql = sql_of(&scan);
        let expected = "SELECT \"pid\", \"name\" FROM \"process_starts\" WHERE (\"name\" LIKE 'it''s' OR \"pid\" IS NULL) \
                        AND (\"observed_at\" >= '1970-01-01T00:00:00.000001Z') AND (\"pid\" <= 7)";
        assert_eq!(sql, expected);
        let nothing = sql_of(&Scan::all(table, &[]));
        assert_eq!(nothing, "SELECT 1 FROM \"process_starts\"");
        let then = processes_at();
        let columns: Vec<_> = (0..then.columns.len()).collect();
        let from = [vec![Probe { column: position(&then, "seen_from"), question: Question::AtMost(9.0) }]];
        let scan = Scan { as_of: Some(Timestamp(7)), required: &from, ..Scan::all(&then, &columns) };
        let whole = sql_of(&Scan::all(&then, &columns));
        assert!(whole.contains("\"seen_to\"") && !whole.contains("memory_usage"), "{whole}");
        for sql in [sql, nothing, whole, sql_of(&scan)] {
            let checked = check_query(&Source::query(&sql), &catalog);
            assert!(checked.rule.is_some(), "{sql}: {:?}", checked.diagnostics);
        }
    }
}
