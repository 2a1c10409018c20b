//! Which processes are sampled when.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};

use super::page::Row;
use super::value::Sample;
use crate::Error;
use crate::keys::ProcKey;

/// A whole round is due this long after the last.
pub(crate) const WHOLE_MICROS: i64 = 24 * 60 * 60 * MICROS_PER_SEC;

/// What whoever records samples knows of those before: it is empty after a start, and the first round is whole.
#[derive(Debug, Default)]
pub struct Sampler {
    last: Option<i64>,
    last_whole: Option<i64>,
    /// A snapshot was let pass because nobody's share of a processor was known.
    waited: bool,
    stored: HashMap<u64, Sample>,
}

/// The samples of one look at all processes.
#[derive(Debug)]
pub struct Round {
    pub(super) time: i64,
    pub(super) whole: bool,
    /// By process.
    pub(super) rows: Vec<Row>,
    alive: HashMap<u64, Sample>,
}

impl Round {
    /// How many samples it has.
    pub fn samples(&self) -> usize {
        self.rows.len()
    }
}

impl Sampler {
    /// Goes on after a round at this time, of which nothing else is known.
    pub fn after(last: Option<Timestamp>) -> Self {
        Self { last: last.map(|last| last.0), ..Self::default() }
    }

    /// The samples of a snapshot, in the layout of `processes`, which is the first of an interval: all time is cut into
    /// intervals, so that a snapshot that comes a moment early or late makes no round fewer. After the clock went back
    /// there is a round too. A process whose `proc_id` is none is left to whoever records versions.
    pub fn round(
        &mut self,
        snapshot: &RecordBatch,
        now: Timestamp,
        interval_micros: i64,
    ) -> Result<Option<Round>, Error> {
        let back = self.last.is_some_and(|last| now.0 < last);
        let interval = |moment: i64| moment.div_euclid(interval_micros.max(1));
        if self.last.is_some_and(|last| !back && interval(now.0) == interval(last)) {
            return Ok(None);
        }
        let whole = back || self.last_whole.is_none_or(|last| now.0 >= last.saturating_add(WHOLE_MICROS));
        let column = |name: &str| {
            let column = snapshot.column_by_name(name);
            column.ok_or_else(|| Error::Refused("rows that are not those of `processes`".to_owned()))
        };
        let ids = column("proc_id")?.as_string_opt::<i32>();
        let [pids, memory, threads] = ["pid", "memory_usage", "threads"]
            .map(|name| Ok::<_, Error>(column(name)?.as_primitive_opt::<Int64Type>()));
        let cpu = column("cpu_usage")?.as_primitive_opt::<Float64Type>();
        let status = column("status")?.as_string_opt::<i32>();
        let (Some(ids), Some(pids), Some(memory), Some(threads), Some(cpu), Some(status)) =
            (ids, pids?, memory?, threads?, cpu, status)
        else {
            return Err(Error::Refused("rows that are not those of `processes`".to_owned()));
        };
        // A collector that just began cannot tell it, and would make a row of every process twice.
        if cpu.null_count() == cpu.len() && self.last_whole.is_none() && !self.waited {
            self.waited = true;
            return Ok(None);
        }
        let mut rows = Vec::new();
        let mut alive = HashMap::with_capacity(snapshot.num_rows());
        for at in 0..snapshot.num_rows() {
            let Some(ProcKey(process)) = ProcKey::parse(ids.value(at)) else { continue };
            let sample = Sample::of(
                cpu.is_valid(at).then(|| cpu.value(at)),
                memory.is_valid(at).then(|| memory.value(at)),
                threads.is_valid(at).then(|| threads.value(at)),
                status.is_valid(at).then(|| status.value(at)),
            );
            let is_first = alive.insert(process, sample).is_none();
            if is_first && (whole || self.stored.get(&process) != Some(&sample)) {
                rows.push(Row { process, pid: pids.value(at), round: 0, sample });
            }
        }
        rows.sort_unstable_by_key(|row| row.process);
        Ok(Some(Round { time: now.0, whole, rows, alive }))
    }

    /// Notes that a round is stored.
    pub fn took(&mut self, round: Round) {
        self.last = Some(round.time);
        if round.whole {
            self.last_whole = Some(round.time);
        }
        self.stored = round.alive;
    }
}
