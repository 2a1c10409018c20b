//! Short stretches become longer ones, so that a process's id is stored once for many rounds.
//!
//! As with segments (`seal.rs`): reading and encoding need no transaction that writes, only the exchange does.

use std::ops::Range;

use redb::{ReadTransaction, WriteTransaction};

use super::stretch::{self, Stretch, Taken};
use super::{Number, name};
use crate::Error;
use crate::scan::quarantine;
use crate::seal::Sealed;
use crate::segment::Fault;
use crate::segment::pieces::ChunkTable;
use crate::tables::{SAMPLES, Tables};
use daemoneye_dsl::types::MICROS_PER_SEC;

/// Samples of a stretch that is made of several: they are all in memory then.
const SAMPLES_MAX: u64 = 256 << 10;
/// Rounds of a stretch that is made of several.
const ROUNDS_MAX: usize = 4096;
/// A stretch of several has rounds of one day, because it is dropped whole.
const DAY: i64 = 24 * 60 * 60 * MICROS_PER_SEC;

/// A stretch that is to take the place of others.
pub(crate) struct Draft {
    parts: Vec<Number>,
    samples: u64,
    chunks: Vec<Vec<u8>>,
}

/// The stretch that should be made next, of `merged` short ones or more; nothing if there is no need.
pub(crate) fn draft(txn: &ReadTransaction, merged: usize) -> Result<Option<Draft>, Error> {
    let table = txn.table(SAMPLES)?;
    let mut known = Vec::new();
    for first in stretch::all(&table)? {
        match stretch::open(&table, first) {
            Ok(stretch) => known.push(stretch),
            // It stays where it is, for whoever can mend it.
            Err(Fault::Damaged(why)) => quarantine(&name(first), &why),
            Err(Fault::Storage(error)) => return Err(error),
        }
    }
    loop {
        let Some(chosen) = choose(&known, merged) else { return Ok(None) };
        match make(&table, &known[chosen.clone()]) {
            Ok(draft) => return Ok(Some(draft)),
            Err((at, Fault::Damaged(why))) => quarantine(&name(known.remove(chosen.start + at).first), &why),
            Err((_, Fault::Storage(error))) => return Err(error),
        }
    }
}

/// The first run of stretches of about one length that are enough, shortest first, or of which no more fit together.
fn choose(known: &[Stretch], merged: usize) -> Option<Range<usize>> {
    // A power of 8 rounds in each, so that a sample is written again a few times only.
    let tier = |stretch: &Stretch| stretch.rounds.len().ilog2() / 3;
    let last = ROUNDS_MAX.ilog2() / 3;
    (0..last).find_map(|most| {
        let mut from = 0;
        while from < known.len() {
            let mut to = from + 1;
            if tier(&known[from]) > most {
                from = to;
                continue;
            }
            let (mut samples, mut rounds) = (known[from].samples(), known[from].rounds.len());
            let mut full = false;
            while let Some(next) = known.get(to).filter(|next| tier(next) <= most) {
                samples = samples.saturating_add(next.samples());
                rounds = rounds.saturating_add(next.rounds.len());
                let follows = known[to - 1].end() == next.first && same_day(&known[from], next);
                full = !follows || samples > SAMPLES_MAX || rounds > ROUNDS_MAX;
                if full {
                    break;
                }
                to += 1;
            }
            if to - from > 1 && (full || to - from >= merged) {
                return Some(from..to);
            }
            from = to;
        }
        None
    })
}

fn same_day(one: &Stretch, other: &Stretch) -> bool {
    let day = |moment: i64| moment.div_euclid(DAY);
    let (one, other) = (one.times(), other.times());
    day(one.0) == day(other.1) && day(one.0) == day(one.1) && day(other.0) == day(other.1)
}

/// On a fault, which part has it.
fn make(table: &impl ChunkTable, parts: &[Stretch]) -> Result<Draft, (usize, Fault)> {
    let mut rows = Vec::new();
    let mut rounds: Vec<Taken> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let before = u32::try_from(rounds.len()).expect("stretches are bounded");
        let own = part.rows(table).map_err(|fault| (at, fault))?;
        rows.extend(own.into_iter().map(|mut row| {
            row.round += before;
            row
        }));
        rounds.extend(&part.rounds);
    }
    rows.sort_unstable_by_key(|row| (row.process, row.round));
    let chunks = stretch::write(parts[0].first, &rounds, &rows);
    Ok(Draft { parts: parts.iter().map(|part| part.first).collect(), samples: rows.len() as u64, chunks })
}

/// Puts the stretch in the place of what it is made of.
pub(crate) fn exchange(txn: &WriteTransaction, draft: &Draft) -> Result<Sealed, Error> {
    let mut table = txn.open_table(SAMPLES)?;
    draft.parts.iter().try_for_each(|first| stretch::remove(&mut table, *first))?;
    let bytes = stretch::put(&mut table, draft.parts[0], &draft.chunks)?;
    let rows = u32::try_from(draft.samples).unwrap_or(u32::MAX);
    Ok(Sealed { rows, bytes, parts: draft.parts.len() })
}
