//! Samples: what processes used, apart from their versions and much more often.
//!
//! ```text
//! round      one look at all processes: a sample of each whose values differ from its last (or, if the round is whole,
//!            of each that is alive)
//! stretch    rounds that follow each other, stored together: at first one, then those of half a day or so
//! ```
//!
//! Rounds are numbered as they are recorded, since clocks go back; a stretch is found by the number of its first
//! (`stretch.rs`: its bytes). Its samples lie by process and then by round, in pages (`page.rs`) of which the header tells
//! the first process: one process costs a page of each stretch, a time those whose rounds it has. Stretches of a few
//! rounds become longer ones in the background (`merge.rs`), never across a day, so that they can be dropped whole.
//!
//! The last sample of a process at or before a moment is the one that holds then (`moment.rs`). A whole round at least
//! once a day (`sampler.rs`) bounds how far back that can be, and what a drop or damage takes along.

pub(crate) mod lies;
mod merge;
mod moment;
mod page;
mod sampler;
mod scan;
mod stretch;
mod value;

pub(crate) use merge::{draft, exchange};
pub(crate) use moment::{Held, at_moment};
pub(crate) use sampler::WHOLE_MICROS;
pub use sampler::{Round, Sampler};
pub(crate) use scan::{Wanted, visit};
pub(crate) use stretch::{Expired, all, check, name, oldest, open, remove};

use redb::{ReadableTable, WriteTransaction};

use crate::Error;
use crate::segment::Fault;
use crate::tables::{LAST_ROUND_KEY, META, NEXT_ROUND_KEY, SAMPLES, Tables};
use crate::view::Contents;

/// The number of a round.
pub(crate) type Number = u64;

/// What the log and errors call the table.
pub(crate) const TABLE: &str = "process_samples";

/// [`crate::Transaction::record_samples`].
pub(crate) fn record(txn: &WriteTransaction, round: &Round) -> Result<(), Error> {
    let mut meta = txn.open_table(META)?;
    let number = meta.get(NEXT_ROUND_KEY)?.map_or(1, |number| number.value());
    let next = number.checked_add(1);
    meta.insert(NEXT_ROUND_KEY, next.ok_or_else(|| Error::Refused("the numbers of rounds are used up".to_owned()))?)?;
    meta.insert(LAST_ROUND_KEY, round.time.cast_unsigned())?;
    let taken = stretch::Taken { time: round.time, whole: round.whole };
    stretch::put(&mut txn.open_table(SAMPLES)?, number, &stretch::write(number, &[taken], &round.rows))?;
    Ok(())
}

/// When the last round was.
pub(crate) fn last_round(txn: &impl Tables) -> Result<Option<i64>, Error> {
    Ok(txn.table(META)?.get(LAST_ROUND_KEY)?.map(|time| time.value().cast_signed()))
}

/// Whether a column of that name is one of a sample.
pub(crate) fn is_sampled(name: &str) -> bool {
    name == scan::TIME || value::NAMES.contains(&name)
}

/// Counts what is stored.
pub(crate) fn contents(txn: &impl Tables, contents: &mut Contents) -> Result<(), Error> {
    let table = txn.table(SAMPLES)?;
    for first in all(&table)? {
        match open(&table, first) {
            Ok(stretch) => {
                contents.samples += stretch.samples();
                contents.rounds += stretch.rounds.len() as u64;
                contents.sample_bytes += stretch.bytes;
            }
            Err(Fault::Damaged(_)) => contents.damaged += 1,
            Err(Fault::Storage(error)) => return Err(error),
        }
    }
    Ok(())
}
