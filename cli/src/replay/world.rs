//! The tables as they are after each step, as the engine reads them.
//!
//! Every row that a table ever has lies in one batch; what is there now is numbers of rows. A step changes numbers, and
//! rows are copied where a rule asks to read: once for all rules, until the table changes again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_select::take::{take, take_record_batch};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Table, schema_of};
use daemoneye_planner::{Batch, Changes, View};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

use crate::file_table::{ChangeFile, Changed, ChangingTable};

/// The table whose processes have relatives.
const PROCESSES: &str = "processes";

/// Tables at one moment. What the file does not name is there and empty.
pub(super) struct World<'f> {
    tables: Vec<Present<'f>>,
    /// Steps that were taken.
    steps: u64,
}

/// One table at one moment. Equal rows go by the number of the first of them.
struct Present<'f> {
    all: &'f ChangingTable,
    /// How often each row is there.
    counts: Vec<u32>,
    /// The rows that are there, in no order.
    there: Vec<u32>,
    /// Where each of them stands in `there`.
    places: Vec<u32>,
    read: Read,
    lineage: Option<Lineage<'f>>,
}

/// What was read of a table since it changed.
#[derive(Default)]
struct Read {
    /// The rows in the order of the file, each as often as it is there.
    numbers: OnceCell<UInt32Array>,
    columns: Vec<OnceCell<ArrayRef>>,
}

/// Processes by their id, dead or alive.
struct Lineage<'f> {
    rows: OnceCell<HashMap<&'f str, Vec<u32>>>,
    /// The step in which each row was last there or went; 0 before it came.
    seen: Vec<u64>,
}

impl<'f> World<'f> {
    /// Before the first step.
    pub(super) fn new(file: &'f ChangeFile) -> Self {
        Self { tables: file.tables.iter().map(Present::new).collect(), steps: 0 }
    }

    /// Takes a step; gives what it comes to in all.
    pub(super) fn take(&mut self, lines: &[Changed]) -> Changes {
        let mut net: BTreeMap<u32, BTreeMap<u32, i64>> = BTreeMap::new();
        for line in lines {
            let row = self.tables[line.table as usize].all.first_equal[line.row as usize];
            *net.entry(line.table).or_default().entry(row).or_default() += if line.appears { 1 } else { -1 };
        }
        self.steps += 1;
        let mut changes = Changes::default();
        for (table, mut rows) in net {
            rows.retain(|_, weight| *weight != 0);
            if !rows.is_empty() {
                let present = &mut self.tables[table as usize];
                changes.add(present.all.table.name.clone(), present.take(&rows, self.steps));
            }
        }
        changes
    }

    fn table(&self, name: &str) -> Option<&Present<'f>> {
        self.tables.iter().find(|present| present.all.table.name == name)
    }
}

impl<'f> Present<'f> {
    fn new(all: &'f ChangingTable) -> Self {
        let len = all.rows.num_rows();
        let is_processes = all.table.name == PROCESSES;
        let lineage = is_processes.then(|| Lineage { rows: OnceCell::new(), seen: vec![0; len] });
        let (counts, places) = (vec![0; len], vec![0; len]);
        Self { all, counts, there: vec![], places, read: Read::of(&all.table), lineage }
    }

    /// Adds to how often rows are there.
    fn take(&mut self, rows: &BTreeMap<u32, i64>, step: u64) -> Batch {
        for (row, weight) in rows {
            let at = *row as usize;
            let before = self.counts[at];
            let now = u32::try_from(i64::from(before) + weight).expect("the file takes away what is there");
            self.counts[at] = now;
            if before == 0 {
                self.places[at] = u32::try_from(self.there.len()).expect("rows are bounded");
                self.there.push(*row);
            } else if now == 0 {
                let place = self.places[at] as usize;
                self.there.swap_remove(place);
                if let Some(moved) = self.there.get(place) {
                    self.places[*moved as usize] = self.places[at];
                }
            }
            if let Some(lineage) = &mut self.lineage {
                lineage.seen[at] = step;
            }
        }
        self.read = Read::of(&self.all.table);
        let numbers = UInt32Array::from_iter_values(rows.keys().copied());
        let changed = take_record_batch(&self.all.rows, &numbers).expect("rows of this table");
        Batch { rows: changed, weights: rows.values().copied().collect() }
    }

    fn numbers(&self) -> &UInt32Array {
        self.read.numbers.get_or_init(|| {
            let mut there = self.there.clone();
            there.sort_unstable();
            let repeated = |row: u32| std::iter::repeat_n(row, self.counts[row as usize] as usize);
            UInt32Array::from_iter_values(there.into_iter().flat_map(repeated))
        })
    }

    fn column(&self, at: usize) -> ArrayRef {
        let copied = || take(self.all.rows.column(at), self.numbers(), None).expect("rows of this table");
        self.read.columns[at].get_or_init(copied).clone()
    }

    /// The row of a process: as it is, else as it last was.
    fn process(&self, proc_id: &str) -> Option<usize> {
        let Lineage { rows, seen } = self.lineage.as_ref()?;
        let by_id = || {
            let ids = self.all.rows.column(0).as_string::<i32>();
            let mut by_id: HashMap<&str, Vec<u32>> = HashMap::new();
            let firsts = (0..ids.len()).filter(|row| self.all.first_equal[*row] as usize == *row && ids.is_valid(*row));
            firsts.for_each(|row| by_id.entry(ids.value(row)).or_default().push(self.all.first_equal[row]));
            by_id
        };
        let known = rows.get_or_init(by_id).get(proc_id)?;
        let met = known.iter().map(|row| *row as usize).filter(|row| seen[*row] > 0);
        met.max_by_key(|row| (self.counts[*row] > 0, seen[*row], *row))
    }
}

impl Read {
    fn of(table: &Table) -> Self {
        Self { numbers: OnceCell::new(), columns: table.columns.iter().map(|_| OnceCell::new()).collect() }
    }
}

impl Reader for World<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let present = self.table(&scan.table.name);
        let table = present.map_or(scan.table, |present| &present.all.table);
        let columns: Vec<_> = scan.columns.iter().map(|at| table.columns[*at].clone()).collect();
        let schema = schema_of(&columns);
        let rows = match present {
            None => RecordBatch::new_empty(schema),
            Some(present) => {
                let options = RecordBatchOptions::new().with_row_count(Some(present.numbers().len()));
                let columns = scan.columns.iter().map(|at| present.column(*at)).collect();
                RecordBatch::try_new_with_options(schema, columns, &options)
                    .map_err(|error| Error::Refused(error.to_string()))?
            }
        };
        let _only_one = each(rows);
        Ok(Completeness::default())
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        let Some(present) = self.table(PROCESSES) else { return Ok(None) };
        let Some(row) = present.process(proc_id) else { return Ok(None) };
        View::new(Some(&present.all.rows.slice(row, 1)), None).process(proc_id)
    }
}
