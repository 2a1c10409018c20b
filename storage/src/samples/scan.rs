//! Scanning `process_samples`.
//!
//! Of what is asked, the equalities of `proc_id` say which pages are read, and the bounds of `collection_time` which
//! stretches and, within a page, which samples; the rest are tests of columns, of which only those are read that the test
//! or the result needs.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_array::{DictionaryArray, types::UInt32Type};
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::Value;

use super::page::{Page, Processes};
use super::stretch::{self, Stretch};
use super::{name, value};
use crate::Error;
use crate::keys::ProcKey;
use crate::reader::{Each, Probe, Question, Scan};
use crate::scan::{as_they_came, batch, layout, quarantine};
use crate::segment::bytes::Wrong;
use crate::segment::pieces::ChunkTable;
use crate::segment::{Fault, rounded};
use crate::tables::{SAMPLES, Tables};

const ID: &str = "proc_id";
pub(super) const TIME: &str = "collection_time";

/// Which samples a scan asks for, as far as pages and rounds can tell.
pub(crate) struct Wanted<'a> {
    /// Of these processes, ascending; none is of all.
    ids: Option<Vec<u64>>,
    /// Of rounds whose time meets one of each.
    times: Vec<Vec<&'a Question>>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of_scan(scan: &Scan<'a>) -> Self {
        let named =
            |group: &[Probe], name: &str| group.iter().all(|probe| scan.table.columns[probe.column].name == name);
        let mut ids: Option<Vec<u64>> = None;
        let mut times = Vec::new();
        for group in scan.required {
            if named(group, ID) {
                let Some(mut own) = group.iter().map(|probe| id(&probe.question)).collect::<Option<Vec<_>>>() else {
                    continue;
                };
                own.sort_unstable();
                let both = |known: Vec<Option<u64>>| known.into_iter().flatten().collect::<Vec<_>>();
                let own = both(own);
                ids = Some(match ids {
                    Some(known) => known.into_iter().filter(|id| own.binary_search(id).is_ok()).collect(),
                    None => own,
                });
            } else if named(group, TIME) {
                times.push(group.iter().map(|probe| &probe.question).collect());
            }
        }
        Self { ids, times }
    }

    /// The columns by which it leaves something out.
    fn indexes(&self) -> impl Iterator<Item = String> {
        let ids = self.ids.is_some().then_some(ID);
        let times = (!self.times.is_empty()).then_some(TIME);
        ids.into_iter().chain(times).map(str::to_owned)
    }

    /// Of each round of a stretch, whether its time is wanted; none if all are.
    fn rounds(&self, stretch: &Stretch) -> Option<Vec<bool>> {
        let wanted = |time: i64| self.times.iter().all(|group| group.iter().any(|question| meets(question, time)));
        let rounds: Vec<bool> = stretch.rounds.iter().map(|round| wanted(round.time)).collect();
        rounds.contains(&false).then_some(rounds)
    }

    /// The pages that may have a process that is wanted.
    pub(super) fn pages(&self, stretch: &Stretch) -> Vec<usize> {
        let has = |at: &usize| {
            let Some(ids) = &self.ids else { return true };
            let range = stretch.processes(*at);
            ids.get(ids.partition_point(|id| id < range.start())).is_some_and(|id| range.contains(id))
        };
        (0..stretch.pages()).filter(has).collect()
    }

    /// The processes of a page that are wanted, with the places of their samples.
    pub(super) fn of(&self, processes: &Processes) -> impl Iterator<Item = (u64, Range<usize>)> {
        let all = processes.ids.iter().copied().zip(processes.ranges());
        all.filter(|(id, _)| self.ids.as_ref().is_none_or(|ids| ids.binary_search(id).is_ok()))
    }
}

/// The process that a question names, if it names one: `Some(None)` is one that cannot be.
fn id(question: &Question) -> Option<Option<u64>> {
    match question {
        Question::Equal(Value::Text(id)) => Some(ProcKey::parse(&id.to_ascii_lowercase()).map(|key| key.0)),
        Question::Null => Some(None),
        _ => None,
    }
}

fn meets(question: &Question, time: i64) -> bool {
    match question {
        Question::AtLeast(bound) => rounded(time) >= *bound,
        Question::AtMost(bound) => rounded(time) <= *bound,
        Question::Equal(Value::Timestamp(wanted)) => time == *wanted,
        Question::Null => false,
        _ => true,
    }
}

/// The rows of `process_samples`.
pub(crate) fn visit(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    if let Some(exact) = scan.exact {
        exact.set(true);
    }
    let mut completeness = Completeness::default();
    let table = txn.table(SAMPLES)?;
    let wanted = Wanted::of_scan(scan);
    scan.count(|tally| tally.indexes.extend(wanted.indexes()));
    for first in stretch::all(&table)? {
        if scan.is_over() {
            break;
        }
        let mut note = |fault: Fault| match fault {
            Fault::Storage(error) => Err(error),
            Fault::Damaged(why) => {
                quarantine(&name(first), &why);
                completeness.add(Reason::SegmentQuarantined);
                Ok(())
            }
        };
        let stretch = match stretch::open(&table, first) {
            Ok(stretch) => stretch,
            Err(fault) => {
                note(fault)?;
                continue;
            }
        };
        let rounds = wanted.rounds(&stretch);
        let none = rounds.as_ref().is_some_and(|rounds| !rounds.contains(&true));
        let pages = if none { vec![] } else { wanted.pages(&stretch) };
        scan.count(|tally| {
            tally.segments += 1;
            tally.segments_pruned += u64::from(pages.is_empty());
            tally.rows += stretch.samples();
            tally.rows_pruned += stretch.samples();
        });
        for at in pages {
            if scan.is_over() {
                return Ok(completeness);
            }
            match visit_page(&table, &stretch, at, &wanted, rounds.as_deref(), scan, each) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return Ok(completeness),
                Err(fault) => note(fault)?,
            }
        }
    }
    Ok(completeness)
}

fn visit_page(
    table: &impl ChunkTable,
    stretch: &Stretch,
    at: usize,
    wanted: &Wanted<'_>,
    rounds: Option<&[bool]>,
    scan: &Scan<'_>,
    each: Each<'_>,
) -> Result<ControlFlow<()>, Fault> {
    let rows = stretch.page(table, at, |page| {
        let mut rows = Rows::of(page, stretch, wanted)?;
        scan.count(|tally| {
            tally.bytes += stretch.page_len(at);
            tally.rows_pruned = tally.rows_pruned.saturating_sub(rows.kept.len() as u64);
        });
        if let Some(wanted) = rounds {
            let own = rows.rounds()?;
            rows.kept.retain(|(_, at)| wanted[own[*at] as usize]);
        }
        for test in scan.tests {
            if !rows.kept.is_empty() {
                let values = rows.column(&scan.table.columns[test.column].name, false)?;
                rows.keep(&(test.passes)(&values));
            }
        }
        let column = |(place, at): (usize, &usize)| {
            rows.column(&scan.table.columns[*at].name, scan.dictionaries.contains(&place))
        };
        let columns = scan.columns.iter().enumerate().map(column).collect::<Result<Vec<_>, Wrong>>()?;
        Ok((columns, rows.kept.len()))
    })?;
    let (columns, count) = rows;
    if count == 0 {
        return Ok(ControlFlow::Continue(()));
    }
    let rows: RecordBatch = batch(&as_they_came(&layout(scan), &columns), columns, count)?;
    Ok(each(rows))
}

/// Samples of a page.
struct Rows<'p> {
    page: &'p Page<'p>,
    stretch: &'p Stretch,
    processes: Processes,
    /// The place of the process, and that of the sample.
    kept: Vec<(usize, usize)>,
}

impl<'p> Rows<'p> {
    /// Those of the processes that are wanted.
    fn of(page: &'p Page<'p>, stretch: &'p Stretch, wanted: &Wanted<'_>) -> Result<Self, Wrong> {
        let processes = page.processes()?;
        let mut kept = Vec::with_capacity(page.samples);
        for (id, range) in wanted.of(&processes) {
            let process = processes.ids.binary_search(&id).expect("it is of this page");
            kept.extend(range.map(|at| (process, at)));
        }
        Ok(Self { page, stretch, processes, kept })
    }

    fn keep(&mut self, passed: &BooleanArray) {
        let mut passed = passed.iter();
        self.kept.retain(|_| passed.next().flatten() == Some(true));
    }

    fn rounds(&self) -> Result<Vec<u32>, Wrong> {
        self.page.rounds(&self.processes, self.stretch.rounds.len())
    }

    fn column(&self, name: &str, as_dictionary: bool) -> Result<ArrayRef, Wrong> {
        let kept = || self.kept.iter().copied();
        Ok(match name {
            ID => {
                let ids = StringArray::from_iter_values(self.processes.ids.iter().map(|id| ProcKey(*id).to_string()));
                let places = kept().map(|(process, _)| u32::try_from(process).expect("a page is bounded"));
                if as_dictionary {
                    let places = UInt32Array::from_iter_values(places);
                    Arc::new(DictionaryArray::<UInt32Type>::new(places, Arc::new(ids)))
                } else {
                    Arc::new(StringArray::from_iter_values(places.map(|process| ids.value(process as usize))))
                }
            }
            "pid" => Arc::new(Int64Array::from_iter_values(kept().map(|(process, _)| self.processes.pids[process]))),
            TIME => {
                let rounds = self.rounds()?;
                let time = |(_, at): (usize, usize)| self.stretch.rounds[rounds[at] as usize].time;
                Arc::new(TimestampMicrosecondArray::from_iter_values(kept().map(time)))
            }
            name => {
                let column = value::NAMES.iter().position(|known| *known == name);
                let column = column.expect("a column of the catalog's table");
                let codes = self.page.codes(&self.processes, column)?;
                value::array(column, kept().map(|(_, at)| codes[at]))
            }
        })
    }
}
