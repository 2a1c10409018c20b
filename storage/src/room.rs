//! What takes how much room in the file.

use redb::{Key, ReadableTableMetadata, TableDefinition, Value};

use crate::Error;
use crate::tables::{
    ALERTS, BLOCKS, DELIVERIES, DROPS, ENDINGS, EVENTS, GAPS, HOLES, LIVE, MATCHES, META, OFFSETS, RULES, SAMPLES,
    SEGMENTS, STATUS, TURN_OF, TURNS, Tables,
};
use crate::view::Room;

/// [`crate::View::room`].
pub(crate) fn room(txn: &impl Tables) -> Result<Room, Error> {
    Ok(Room {
        history: of(txn, BLOCKS)?
            + of(txn, SEGMENTS)?
            + of(txn, ENDINGS)?
            + of(txn, SAMPLES)?
            + of(txn, LIVE)?
            + of(txn, DROPS)?
            + of(txn, GAPS)?
            + of(txn, HOLES)?,
        alerts: of(txn, ALERTS)? + of(txn, TURNS)? + of(txn, TURN_OF)? + of(txn, DELIVERIES)? + of(txn, EVENTS)?,
        state: of(txn, MATCHES)? + of(txn, RULES)? + of(txn, STATUS)? + of(txn, OFFSETS)? + of(txn, META)?,
    })
}

/// The pages of a table.
fn of<K: Key + 'static, V: Value + 'static>(txn: &impl Tables, table: TableDefinition<'_, K, V>) -> Result<u64, Error> {
    let stats = txn.table(table)?.stats()?;
    Ok(stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes())
}
