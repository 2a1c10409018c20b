//! The table `audit`: the entries of a ledger as rows, read a part at a time.

use std::ops::ControlFlow;
use std::path::Path;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::{Timestamp, Value};

use super::Entry;
use super::hash::{Hash, hex};
use super::view::{LedgerView, Order, ReadLedger};
use crate::Error;
use crate::guard::guarded_each;
use crate::reader::{Each, Probe, Question, Scan};
use crate::status::batch;

/// The table's name.
pub(crate) const NAME: &str = "audit";
const RECORDED_AT: &str = "recorded_at";
/// Rows of a part, and bytes of payloads in it, whichever is reached first.
const PART_ROWS: usize = 1024;
const PART_LEN: usize = 1 << 20;

/// Hands out the rows of the ledger at `path`; none where there is no ledger yet.
pub(crate) fn visit(path: &Path, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    let view = match ReadLedger::open(path) {
        Ok(ledger) => ledger.read()?,
        Err(Error::NotFound(_)) => return Ok(Completeness::default()),
        Err(error) => return Err(error),
    };
    guarded_each(each, |each| read(&view, scan, each)).map_err(Error::of_ledger)
}

fn read(view: &LedgerView, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    let (mut rows, mut len, mut failed) = (Vec::new(), 0, None);
    let mut hand_out = |rows: &mut Vec<Vec<Value>>| match batch(scan, rows) {
        Ok(part) => {
            rows.clear();
            each(part)
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    let mut is_over = false;
    let (from, to) = recorded(scan);
    let first = if from.0 == i64::MIN { 0 } else { view.since(from)? };
    view.read_entries(first, Order::Forwards, &mut |entry, leaf| {
        if entry.recorded > to {
            return ControlFlow::Break(());
        }
        len += entry.event.payload.len();
        rows.push(cells(entry, &leaf));
        if rows.len() < PART_ROWS && len < PART_LEN {
            return ControlFlow::Continue(());
        }
        len = 0;
        let flow = hand_out(&mut rows);
        is_over = flow.is_break();
        flow
    })?;
    if !rows.is_empty() && !is_over {
        let _last = hand_out(&mut rows);
    }
    failed.map_or(Ok(Completeness::default()), Err)
}

/// When the entries were recorded that a scan asks for, at the earliest and at the latest. They are in the order of that,
/// so the others need not be read.
fn recorded(scan: &Scan<'_>) -> (Timestamp, Timestamp) {
    let is_named = |probe: &Probe| &*scan.table.columns[probe.column].name == RECORDED_AT;
    let alone = scan.required.iter().filter_map(|group| match group.as_slice() {
        [probe] if is_named(probe) => Some(&probe.question),
        _ => None,
    });
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for question in alone {
        match question {
            Question::AtLeast(bound) if bound.abs() < EXACT => from = from.max(whole(*bound)),
            Question::AtMost(bound) if bound.abs() < EXACT => to = to.min(whole(*bound)),
            Question::Equal(Value::Timestamp(moment)) => (from, to) = (from.max(*moment), to.min(*moment)),
            _ => (),
        }
    }
    (Timestamp(from), Timestamp(to))
}

/// Microseconds below this are the same as a double; beyond it, in the year 2255, everything is read.
const EXACT: f64 = 9_007_199_254_740_992.0;

#[expect(clippy::cast_possible_truncation, reason = "it is below what is exact")]
fn whole(bound: f64) -> i64 {
    bound as i64
}

/// The row of an entry, in the order of the table's columns. Numbers beyond what SQL has stay at its end.
fn cells(entry: Entry, leaf: &Hash) -> Vec<Value> {
    let Entry { sequence, recorded, event } = entry;
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let id = |id: Option<u32>| id.map_or(Value::Null, |id| Value::Integer(id.into()));
    vec![
        number(sequence),
        Value::Timestamp(recorded.0),
        Value::Timestamp(event.at.0),
        Value::Text(event.actor.name),
        id(event.actor.uid),
        id(event.actor.pid),
        Value::Text(event.action.name().to_owned()),
        Value::Text(event.subject),
        Value::Text(event.payload),
        Value::Text(hex(leaf)),
        Value::Text(event.id.origin),
        number(event.id.number),
    ]
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use daemoneye_dsl::tables::Catalog;

    use super::super::Ledger;
    use super::super::tests::events;
    use super::*;

    #[test]
    fn entries_that_were_recorded_at_another_time_are_not_read() {
        use Question::{AtLeast, AtMost, Equal, Null};
        let ledger = Ledger::in_memory().unwrap();
        for (batch, at) in [(0..100, 10), (100..101, 20), (101..101 + 900, 20), (1001..1003, 30)] {
            ledger.append(&events(batch), Timestamp(at)).unwrap();
        }
        let view = ledger.read().unwrap();
        let catalog = Catalog::builtin();
        let table = catalog.table(NAME).unwrap();
        let column = table.columns.iter().position(|column| &*column.name == RECORDED_AT).unwrap();
        let found = |questions: &[Question]| {
            let required: Vec<_> =
                questions.iter().map(|question| vec![Probe { column, question: question.clone() }]).collect();
            let scan = Scan { required: &required, ..Scan::all(table, &[0]) };
            let (mut first, mut rows) = (None, 0);
            read(&view, &scan, &mut |part| {
                let seqs = part.column(0).as_primitive::<Int64Type>();
                first = first.or(seqs.values().first().copied());
                rows += seqs.len();
                ControlFlow::Continue(())
            })
            .unwrap();
            (first, rows)
        };
        assert_eq!(found(&[]), (Some(0), 1003));
        assert_eq!(found(&[AtLeast(11.0)]), (Some(100), 903));
        assert_eq!(found(&[AtLeast(20.0), AtMost(29.5)]), (Some(100), 901));
        assert_eq!(found(&[AtMost(10.0)]), (Some(0), 100));
        assert_eq!(found(&[Equal(Value::Timestamp(30))]), (Some(1001), 2));
        assert_eq!(found(&[AtLeast(31.0)]), (None, 0));
        assert_eq!(found(&[AtLeast(1e300), AtMost(-1e300), Null]), (Some(0), 1003), "what is not exact is left to SQL");
    }
}
