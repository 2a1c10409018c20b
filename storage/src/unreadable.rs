//! Parts that cannot be read, and for how long they stay.
//!
//! Somebody may be able to mend one, so it stays as long as what it holds would have stayed, and then goes whole, as
//! others do. While it is there, every answer says that something is missing.
//!
//! When all that it holds had ended its header says, with the notes of endings beside it. Where the header cannot be read
//! either, it is noted when that was met: whatever had ended by then had ended by then, what ends later is noted as an
//! ending, and who is alive is in the index of the living.

use std::ops::Range;

use redb::{ReadableTable, WriteTransaction};

use crate::history::Part;
use crate::tables::{ENDINGS, LIVE, Row, Tables, UNREADABLE};
use crate::{Error, clock};

/// When all that a part holds had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By this moment.
    By(i64),
    /// Somebody in it is alive.
    Not,
    /// Nobody knows until it is noted that this was met.
    Unknown,
}

/// What a header says of the ends of versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// When the last that ended before they were sealed ended.
    pub(crate) last: Option<i64>,
    /// How many had not ended then.
    pub(crate) open: u64,
}

/// When all that a part with these rows, at most, holds had ended.
pub(crate) fn ended(txn: &impl Tables, part: Part, rows: &Range<Row>, ends: Option<Ends>) -> Result<Ended, Error> {
    for entry in txn.table(LIVE)?.iter()? {
        if rows.contains(&entry?.1.value()) {
            return Ok(Ended::Not);
        }
    }
    let (mut noted, mut last) = (0, None);
    for entry in txn.table(ENDINGS)?.range(rows.clone())? {
        last = last.max(Some(entry?.1.value().0));
        noted += 1;
    }
    // A block says nothing of ends itself.
    let ends = match part {
        Part::Block(_) => Some(Ends { last: None, open: rows.end - rows.start }),
        Part::Segment(_) => ends,
    };
    if let Some(last) = ends.filter(|ends| ends.open <= noted).and_then(|ends| ends.last.max(last)) {
        return Ok(Ended::By(last));
    }
    let met = txn.table(UNREADABLE)?.get(part.first())?.map(|met| met.value());
    Ok(met.map_or(Ended::Unknown, |met| Ended::By(last.map_or(met, |last| last.max(met)))))
}

/// Notes that a part was met that cannot be read.
pub(crate) fn met(txn: &WriteTransaction, part: Part) -> Result<(), Error> {
    let Some(now) = clock::believed(txn)? else { return Ok(()) };
    txn.open_table(UNREADABLE)?.insert(part.first(), now)?;
    Ok(())
}

/// Forgets what was noted of a part that is no longer there.
pub(crate) fn forget(txn: &WriteTransaction, part: Part) -> Result<(), Error> {
    txn.open_table(UNREADABLE)?.remove(part.first())?;
    Ok(())
}
