//! Rows that are nowhere: numbers that were given, that no part has, and that retention did not take out.
//!
//! Numbers are given without a gap, so the parts, in their order, cover them all but for what retention took out between
//! two of them: that is on record (`holes`). Damaged bytes prove themselves wrong; of a part that is missing as a whole,
//! only this tells.

use std::ops::Range;

use redb::{ReadableTable, WriteTransaction};

use crate::Error;
use crate::history::Extent;
use crate::tables::{FIRST_ROW, HISTORY, HOLES, META, NEXT_ROW_KEY, Row, Tables};

/// The rows that are nowhere, given all parts: from the first of each run to behind its last.
pub(crate) fn among(txn: &impl Tables, parts: &[Extent]) -> Result<Vec<Range<Row>>, Error> {
    let next = txn.table(META)?.get(NEXT_ROW_KEY)?.map_or(FIRST_ROW, |row| row.value());
    let mut missing = Vec::new();
    let mut end = FIRST_ROW;
    for (at, extent) in parts.iter().enumerate() {
        let first = extent.part.first();
        if end < first {
            uncovered(txn, end..first, &mut missing)?;
        }
        let after = parts.get(at + 1).map_or(next, |after| after.part.first());
        // One that does not say where it ends, or lies, is damaged: whoever reads it is told.
        end = end.max(extent.end.unwrap_or(after));
    }
    if end < next {
        uncovered(txn, end..next, &mut missing)?;
    }
    Ok(missing)
}

/// Of rows that no part has, those that retention did not take out.
fn uncovered(txn: &impl Tables, rows: Range<Row>, missing: &mut Vec<Range<Row>>) -> Result<(), Error> {
    let holes = txn.table(HOLES)?;
    let mut from = rows.start;
    for hole in holes.range(rows.clone())? {
        let (start, end) = hole?;
        if from < start.value() {
            missing.push(from..start.value());
        }
        from = from.max(end.value());
    }
    if from < rows.end {
        missing.push(from..rows.end);
    }
    Ok(())
}

/// What is wrong with them.
pub(crate) const WHY: &str = "they are missing";

/// What the log and errors call rows.
pub(crate) fn name(rows: &Range<Row>) -> String {
    format!("rows {} to {} of {HISTORY}", rows.start, rows.end.saturating_sub(1))
}

/// Notes that of rows that parts had, which are now one part or none, only these are left.
pub(crate) fn shrink(txn: &WriteTransaction, before: &Range<Row>, after: &Range<Row>) -> Result<(), Error> {
    let mut holes = txn.open_table(HOLES)?;
    holes.retain_in(before.clone(), |_, _| false)?;
    let cut = if after.is_empty() {
        [before.clone(), before.end..before.end]
    } else {
        [before.start..after.start, after.end..before.end]
    };
    for hole in cut.into_iter().filter(|hole| !hole.is_empty()) {
        let left = holes.range(..hole.start)?.next_back().transpose()?.map(|(start, end)| start.value()..end.value());
        let left = left.filter(|left| left.end == hole.start);
        let right = holes.remove(hole.end)?.map(|end| end.value());
        holes.insert(left.map_or(hole.start, |left| left.start), right.unwrap_or(hole.end))?;
    }
    Ok(())
}
