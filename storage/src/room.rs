//! What takes how much room in the file.
//!
//! Pages, as redb gives them to values: what is free in the file does not count, nor does what redb notes of its pages.

use redb::{Key, ReadableTableMetadata, TableDefinition, Value};

use crate::Error;
use crate::history::{self, Part};
use crate::samples;
use crate::segment::{ChunkTable, Fault, in_file};
use crate::tables::{
    ALERTS, BLOCKS, DELIVERIES, DROPS, ENDINGS, EVENTS, GAPS, HOLES, LIVE, MATCHES, META, OFFSETS, RULES, SAMPLES,
    SEGMENTS, STATUS, TURN_OF, TURNS, Tables, UNREADABLE,
};
use crate::view::Room;

/// [`crate::View::room`].
pub(crate) fn room(txn: &impl Tables) -> Result<Room, Error> {
    Ok(Room {
        history: segments(txn)?
            + stretches(txn)?
            + of(txn, BLOCKS)?
            + of(txn, ENDINGS)?
            + of(txn, LIVE)?
            + of(txn, DROPS)?
            + of(txn, GAPS)?
            + of(txn, HOLES)?
            + of(txn, UNREADABLE)?,
        alerts: of(txn, ALERTS)? + of(txn, TURNS)? + of(txn, TURN_OF)? + of(txn, DELIVERIES)? + of(txn, EVENTS)?,
        state: of(txn, MATCHES)? + of(txn, RULES)? + of(txn, STATUS)? + of(txn, OFFSETS)? + of(txn, META)?,
    })
}

/// The pages of a table.
fn of<K: Key + 'static, V: Value + 'static>(txn: &impl Tables, table: TableDefinition<'_, K, V>) -> Result<u64, Error> {
    let stats = txn.table(table)?.stats()?;
    Ok(stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes())
}

/// The pages of all segments, as their headers say: these tables are nearly all of the file, and are not read for it.
fn segments(txn: &impl Tables) -> Result<u64, Error> {
    let table = txn.table(SEGMENTS)?;
    let mut bytes = 0_u64;
    for part in history::parts(txn)? {
        let Part::Segment(first) = part else { continue };
        let said = history::open(&table, first).map(|reading| reading.segment().bytes());
        bytes = bytes.saturating_add(said_or_seen(&table, first, said)?);
    }
    Ok(bytes)
}

/// The pages of all stretches.
fn stretches(txn: &impl Tables) -> Result<u64, Error> {
    let table = txn.table(SAMPLES)?;
    let mut bytes = 0_u64;
    for first in samples::all(&table)? {
        let said = samples::open(&table, first).map(|stretch| stretch.bytes);
        bytes = bytes.saturating_add(said_or_seen(&table, first, said)?);
    }
    Ok(bytes)
}

fn said_or_seen(table: &impl ChunkTable, first: u64, said: Result<u64, Fault>) -> Result<u64, Error> {
    match said {
        Ok(bytes) => Ok(bytes),
        Err(Fault::Damaged(_)) => of_chunks(table, first),
        Err(Fault::Storage(error)) => Err(error),
    }
}

/// The pages of what has chunks under this number and does not say how long they are.
pub(crate) fn of_chunks(table: &impl ChunkTable, first: u64) -> Result<u64, Error> {
    let chunks = table.range((first, 0)..=(first, u32::MAX))?;
    chunks.map(|entry| Ok(in_file(entry?.1.value().len()))).sum()
}
