//! Alerts as they are kept: sealed JSON by id.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::Value;
use redb::{ReadableTable, WriteTransaction};

use crate::Error;
use crate::block::{seal, unseal};
use crate::reader::Each;
use crate::reader::Scan;
use crate::scan::{layout, quarantine};
use crate::tables::{ALERTS, META, NEXT_TURN_KEY, TURN_OF, TURNS, Tables};

/// Alerts that one batch of a scan has at most.
const BATCH_ROWS_MAX: usize = 1024;

/// The bytes of an alert.
pub(crate) fn encode(alert: &Alert) -> Vec<u8> {
    seal(&context(alert.id), &alert.record())
}

fn decode(id: u64, sealed: &[u8]) -> Result<Alert, String> {
    let json = unseal(&context(id), sealed)?;
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

fn context(id: u64) -> Vec<u8> {
    [b"alert".as_slice(), &id.to_be_bytes()].concat()
}

/// The alert of that number.
pub(crate) fn get(txn: &impl Tables, id: u64) -> Result<Option<Alert>, Error> {
    let alerts = txn.table(ALERTS)?;
    let Some(sealed) = alerts.get(id)? else { return Ok(None) };
    let alert = decode(id, sealed.value()).map_err(|why| Error::Damaged(format!("alert {id}: {why}")))?;
    Ok(Some(alert))
}

/// Puts an alert behind all others in the order of their last writes.
pub(crate) fn take_turn(txn: &WriteTransaction, id: u64) -> Result<(), Error> {
    let mut meta = txn.open_table(META)?;
    let turn = meta.get(NEXT_TURN_KEY)?.map_or(1, |turn| turn.value());
    meta.insert(NEXT_TURN_KEY, turn + 1)?;
    let mut turns = txn.open_table(TURNS)?;
    if let Some(before) = txn.open_table(TURN_OF)?.insert(id, turn)? {
        turns.remove(before.value())?;
    }
    turns.insert(turn, id)?;
    Ok(())
}

/// The rows of the `alerts` table, oldest first. Of those that the question tells by their numbers only, no other is
/// read; where no column is asked for, none is taken apart.
pub(crate) fn visit(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    let (id_column, _) = scan.table.column("id").expect("a column of the catalog");
    let tests: Vec<_> = scan.tests.iter().filter(|test| test.column == id_column).collect();
    let passes = |id: u64| {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![i64::try_from(id).unwrap_or(i64::MAX)]));
        let is_true = |answer: BooleanArray| answer.is_valid(0) && answer.value(0);
        tests.iter().all(|test| is_true((test.passes)(&id)))
    };
    let is_counted = scan.columns.is_empty();
    let mut completeness = Completeness::default();
    let mut rows = Vec::new();
    for entry in txn.table(ALERTS)?.iter()? {
        let (id, sealed) = entry?;
        let id = id.value();
        if !passes(id) {
            continue;
        }
        let cells = if is_counted {
            unseal(&context(id), sealed.value()).map(|_| vec![])
        } else {
            decode(id, sealed.value()).map(|alert| alert.cells())
        };
        match cells {
            Ok(cells) => rows.push(cells),
            Err(why) => {
                quarantine(&format!("alert {id}"), &why);
                completeness.add(Reason::SegmentQuarantined);
            }
        }
        if rows.len() == BATCH_ROWS_MAX && each(batch(scan, &rows)?).is_break() {
            return Ok(completeness);
        } else if rows.len() == BATCH_ROWS_MAX {
            rows.clear();
        }
    }
    if !rows.is_empty() {
        let _last: ControlFlow<()> = each(batch(scan, &rows)?);
    }
    Ok(completeness)
}

fn batch(scan: &Scan<'_>, rows: &[Vec<Value>]) -> Result<RecordBatch, Error> {
    let column = |at: &usize| scan.table.columns[*at].ty.array(rows.iter().map(|cells| cells[*at].clone()));
    let columns = scan.columns.iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(layout(scan), columns, &options)?)
}
