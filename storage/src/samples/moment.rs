//! The samples that held at a moment.
//!
//! Of each process the last of a round whose time is at or before it; of moments that the clock showed twice, what was
//! recorded last. Rounds in the order of their numbers fall into runs in which time goes forward; each begins with a whole
//! round, since a clock that goes back asks for one. Whoever was alive all the time has a sample of a run's last whole
//! round before the moment, or a later one, so nothing before that is read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use daemoneye_dsl::completeness::{Completeness, Reason};

use super::scan::Wanted;
use super::stretch::{self, Stretch};
use super::value::{self, COLUMNS, NAMES, Sample};
use super::{Number, name};
use redb::ReadableTable;

use crate::Error;
use crate::keys::ProcKey;
use crate::scan::quarantine;
use crate::segment::Fault;
use crate::segment::pieces::ChunkTable;
use crate::tables::{META, SAMPLES, SAMPLES_DROPPED_TO_KEY, Tables};

/// The samples that held at a moment, by process.
pub(crate) struct Held {
    samples: HashMap<u64, (i64, Sample)>,
    pub(crate) completeness: Completeness,
}

/// Of the processes that are wanted, what held at a moment; only the columns with these names are read.
pub(crate) fn at_moment(txn: &impl Tables, moment: i64, wanted: &Wanted, columns: &[&str]) -> Result<Held, Error> {
    let table = txn.table(SAMPLES)?;
    let mut held = Held { samples: HashMap::new(), completeness: Completeness::default() };
    let mut known = Vec::new();
    for first in stretch::all(&table)? {
        match stretch::open(&table, first) {
            Ok(stretch) => known.push(stretch),
            Err(fault) => held.note(first, fault)?,
        }
    }
    let (from, begins) = needed(&known, moment);
    if !begins && txn.table(META)?.get(SAMPLES_DROPPED_TO_KEY)?.is_some() {
        held.completeness.add(Reason::HistoryDropped);
    }
    for (stretch, rounds) in known.iter().zip(from) {
        if !Range::is_empty(&rounds)
            && let Err(fault) = held.read(&table, stretch, &rounds, moment, wanted, columns)
        {
            held.note(stretch.first, fault)?;
        }
    }
    Ok(held)
}

/// Of each stretch, the rounds from the first that is needed to the last at or before the moment; and whether there are
/// any, and every run that has some begins with a whole one.
fn needed(known: &[Stretch], moment: i64) -> (Vec<Range<usize>>, bool) {
    let mut needed: Vec<Range<usize>> = known.iter().map(|_| 0..0).collect();
    let mut begins = true;
    // Where the run's last whole round before the moment is; none so far.
    let mut since: Option<(usize, usize)> = None;
    let mut before = i64::MIN;
    let mut end = |since: Option<(usize, usize)>, to: (usize, usize)| {
        let Some((stretch, round)) = since else { return };
        for at in stretch..=to.0 {
            let first = if at == stretch { round } else { 0 };
            let last = if at == to.0 { to.1 } else { known[at].rounds.len() };
            let known = &mut needed[at];
            *known = if Range::is_empty(known) { first..last } else { known.start.min(first)..known.end.max(last) };
        }
    };
    let mut to = (0, 0);
    for (at, stretch) in known.iter().enumerate() {
        for (number, round) in stretch.rounds.iter().enumerate() {
            if round.time < before {
                end(since.take(), to);
            }
            before = round.time;
            if round.time > moment {
                continue;
            }
            if round.whole || since.is_none() {
                begins &= round.whole;
                since = Some((at, number));
            }
            to = (at, number + 1);
        }
    }
    let has_any = to != (0, 0);
    end(since, to);
    (needed, begins && has_any)
}

impl Held {
    fn note(&mut self, first: Number, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Storage(error) => Err(error),
            Fault::Damaged(why) => {
                quarantine(&name(first), &why);
                self.completeness.add(Reason::SegmentQuarantined);
                Ok(())
            }
        }
    }

    fn read(
        &mut self,
        table: &impl ChunkTable,
        stretch: &Stretch,
        rounds: &Range<usize>,
        moment: i64,
        wanted: &Wanted,
        columns: &[&str],
    ) -> Result<(), Fault> {
        for at in wanted.pages(stretch) {
            stretch.page(table, at, |page| {
                let processes = page.processes()?;
                let taken = page.rounds(&processes, stretch.rounds.len())?;
                // Of each process its last sample that counts.
                let mut found = Vec::new();
                for (id, mut range) in wanted.of(&processes) {
                    let counts = |at: &usize| {
                        let round = taken[*at] as usize;
                        rounds.contains(&round) && stretch.rounds[round].time <= moment
                    };
                    if let Some(last) = range.rfind(counts) {
                        found.push((id, last));
                    }
                }
                let mut codes: [Option<Vec<u32>>; COLUMNS] = Default::default();
                for (column, codes) in codes.iter_mut().enumerate() {
                    if !found.is_empty() && columns.contains(&NAMES[column]) {
                        *codes = Some(page.codes(&processes, column)?);
                    }
                }
                for (id, last) in found {
                    let sample = Sample(std::array::from_fn(|at| codes[at].as_ref().map_or(0, |codes| codes[last])));
                    let time = stretch.rounds[taken[last] as usize].time;
                    // Stretches come by their numbers.
                    self.samples.insert(id, (time, sample));
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// A column of a sample, or when it was taken, for the processes of these ids.
    pub(crate) fn column(&self, name: &str, ids: &StringArray) -> ArrayRef {
        let samples = ids.iter().map(|id| self.samples.get(&id.and_then(ProcKey::parse)?.0));
        let Some(column) = NAMES.iter().position(|known| *known == name) else {
            return Arc::new(samples.map(|sample| Some(sample?.0)).collect::<TimestampMicrosecondArray>());
        };
        value::array(column, samples.map(|sample| sample.map_or(0, |(_, sample)| sample.0[column])))
    }
}
