//! How far the host's clock is believed: retention must not take a clock that jumped for time that has passed.
//!
//! A clock that is more than a day ahead of the last moment that was believed is doubted, until snapshots have gone on
//! for a day in spite of it; a step between two of them counts for an hour at most, since nobody looked for longer. While
//! it is doubted, the present is that last moment: nothing gets old, and only the bound on bytes drops anything. So a
//! clock that is a year ahead until somebody sets it takes no history along; a host that was off for a month begins to
//! drop a day later. A clock that goes back is believed at once: it only makes history younger.

use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use redb::{ReadableTable, WriteTransaction};

use crate::Error;
use crate::tables::{BELIEVED_KEY, DOUBTED_FOR_KEY, LAST_SNAPSHOT_KEY, META, Tables};

const HOUR: i64 = 60 * 60 * MICROS_PER_SEC;
/// The clock may be ahead by so much and is believed.
const AHEAD_MAX: i64 = 24 * HOUR;
/// A step between two snapshots counts for no more.
const STEP_MAX: i64 = HOUR;
/// After so long a doubted clock is believed.
const DOUBT_MAX: i64 = 24 * HOUR;

/// Takes note of a snapshot; the one before is still on record.
pub(crate) fn ticked(txn: &WriteTransaction, now: i64) -> Result<(), Error> {
    let mut meta = txn.open_table(META)?;
    let moment = |key: &str| Ok::<_, Error>(meta.get(key)?.map(|moment| moment.value().cast_signed()));
    let believed = moment(BELIEVED_KEY)?.unwrap_or(now);
    let doubted_for = moment(DOUBTED_FOR_KEY)?.unwrap_or(0);
    let step = now.saturating_sub(moment(LAST_SNAPSHOT_KEY)?.unwrap_or(now)).clamp(0, STEP_MAX);
    if now.saturating_sub(believed) <= AHEAD_MAX {
        meta.insert(BELIEVED_KEY, now.cast_unsigned())?;
        meta.remove(DOUBTED_FOR_KEY)?;
    } else if doubted_for.saturating_add(step) >= DOUBT_MAX {
        meta.insert(BELIEVED_KEY, now.cast_unsigned())?;
        meta.remove(DOUBTED_FOR_KEY)?;
        tracing::info!(
            now = Timestamp(now).rfc3339(),
            "the clock has been ahead for a day and is believed: history may be dropped for its age again"
        );
    } else if meta.insert(DOUBTED_FOR_KEY, doubted_for.saturating_add(step).cast_unsigned())?.is_none() {
        let (from, to) = (Timestamp(believed).rfc3339(), Timestamp(now).rfc3339());
        tracing::warn!(
            from,
            to,
            "the clock is ahead by more than a day: until that has lasted for a day nothing is dropped for its age"
        );
    }
    Ok(())
}

/// The present as far as it is believed; nothing before the first snapshot.
pub(crate) fn believed(txn: &impl Tables) -> Result<Option<i64>, Error> {
    Ok(txn.table(META)?.get(BELIEVED_KEY)?.map(|moment| moment.value().cast_signed()))
}
