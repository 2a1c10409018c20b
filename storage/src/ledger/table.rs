//! The table `audit`: the entries of a ledger as rows, read a part at a time.

use std::ops::ControlFlow;
use std::path::Path;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::Value;

use super::Entry;
use super::hash::{Hash, hex};
use super::view::{LedgerView, Order, ReadLedger};
use crate::Error;
use crate::guard::guarded_each;
use crate::reader::{Each, Scan};
use crate::status::batch;

/// The table's name.
pub(crate) const NAME: &str = "audit";
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
    view.read_entries(0, Order::Forwards, &mut |entry, leaf| {
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
