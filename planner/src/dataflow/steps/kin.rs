//! The relatives of processes, kept up as processes start, change and exit.
//!
//! The input are the ids that somebody asks about, each once. What a change of one process can change is known without
//! asking all of them: its way up holds everybody whose descendants it is among; and for ancestors each id remembers
//! whom its own way up met.

use std::collections::{BTreeMap, BTreeSet};

use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::types::{Type, Value};

use super::{Size, Step};
use crate::batch::{Batch, RowCodec};
use crate::dataflow::delta::{Delta, Run};
use crate::dataflow::graph::Node;
use crate::error::Error;
use crate::operators::lineage::{relatives, way_up};

/// The tables whose changes tell of processes, and the places of `proc_id` and `parent_id` in them.
const TELLING: [&str; 3] = ["processes", "process_starts", "process_exits"];
const PROC_ID: usize = 0;
const PARENT_ID: usize = 1;

pub(crate) struct Kin {
    lineage: Lineage,
    /// Positions in the table of relatives that are read.
    columns: Vec<usize>,
    codec: RowCodec,
    asked: BTreeMap<String, Asked>,
    /// For ancestors: who asked by whom their way up met.
    met_by: BTreeMap<String, BTreeSet<String>>,
    bytes: usize,
}

/// One id.
#[derive(Default)]
struct Asked {
    /// What was given for it.
    given: BTreeMap<Box<[u8]>, i64>,
    met: Vec<String>,
}

impl Kin {
    /// `output` are the types of the id and of the columns.
    pub(crate) fn new(lineage: Lineage, columns: &[usize], output: &[Type]) -> Self {
        Self {
            lineage,
            columns: columns.to_vec(),
            codec: RowCodec::new(output),
            asked: BTreeMap::new(),
            met_by: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// The ids whose relatives the changed processes may have changed.
    fn touched(&self, run: &Run<'_>) -> Result<BTreeSet<String>, Error> {
        let mut touched = BTreeSet::new();
        let told = run.changes.into_iter().flat_map(|changes| TELLING.iter().filter_map(|it| changes.of(it, false)));
        for (change, row) in told.flat_map(|change| (0..change.rows.num_rows()).map(move |row| (change, row))) {
            let Value::Text(id) = Value::at(change.rows.column(PROC_ID), row) else { continue };
            match self.lineage {
                Lineage::Ancestors => touched.extend(self.met_by.get(&id).into_iter().flatten().cloned()),
                // A process that is gone may be known to nobody but the change itself.
                Lineage::Descendants => {
                    let parent = Value::at(change.rows.column(PARENT_ID), row);
                    for id in [Some(id.as_str()), parent.as_text()].into_iter().flatten() {
                        run.work(1)?;
                        let met = way_up(id, run.context)?;
                        touched.extend(met.into_iter().filter(|id| self.asked.contains_key(id)));
                    }
                }
            }
        }
        Ok(touched)
    }

    /// Who is met on the way up from an id now.
    fn meet(&mut self, id: &str, run: &Run<'_>) -> Result<(), Error> {
        if self.lineage == Lineage::Descendants {
            return Ok(());
        }
        let met = way_up(id, run.context)?;
        run.work(1 + met.len())?;
        let Some(asked) = self.asked.get_mut(id) else { return Ok(()) };
        let before = std::mem::replace(&mut asked.met, met.clone());
        self.part(id, before);
        for other in met {
            self.met_by.entry(other).or_default().insert(id.to_owned());
        }
        Ok(())
    }

    /// Those are no longer met by an id.
    fn part(&mut self, id: &str, met: Vec<String>) {
        for other in met {
            if let Some(by) = self.met_by.get_mut(&other) {
                by.remove(id);
                if by.is_empty() {
                    self.met_by.remove(&other);
                }
            }
        }
    }
}

impl Step for Kin {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let mut touched = self.touched(run)?;
        let mut gone = BTreeSet::new();
        if let Some(delta) = inputs[0].delta() {
            let change = delta.batch(&inputs[0].layout, run);
            for (row, weight) in change.weights.iter().enumerate() {
                let Value::Text(id) = Value::at(change.rows.column(0), row) else { continue };
                if *weight > 0 {
                    self.asked.entry(id.clone()).or_default();
                    touched.insert(id);
                } else {
                    touched.remove(&id);
                    gone.insert(id);
                }
            }
        }
        let ids: Vec<String> = touched.into_iter().collect();
        let found = relatives(self.lineage, &self.columns, &ids, run.context)?;
        let mut now: BTreeMap<&str, BTreeMap<Box<[u8]>, i64>> = BTreeMap::new();
        let rows = self.codec.encode(found.columns(), found.num_rows());
        let owners: Vec<Value> = (0..found.num_rows()).map(|row| Value::at(found.column(0), row)).collect();
        for (row, owner) in rows.into_iter().zip(&owners) {
            *now.entry(owner.as_text().unwrap_or_default()).or_default().entry(row).or_insert(0) += 1;
        }
        let mut changed: Vec<(Box<[u8]>, i64)> = Vec::new();
        for id in ids.iter().chain(&gone) {
            let is_gone = gone.contains(id);
            let new = if is_gone { BTreeMap::new() } else { now.remove(&**id).unwrap_or_default() };
            if is_gone {
                let met = self.asked.get_mut(id).map(|asked| std::mem::take(&mut asked.met));
                self.part(id, met.unwrap_or_default());
            } else {
                self.meet(id, run)?;
            }
            let Some(asked) = self.asked.get_mut(id) else { continue };
            let before = std::mem::replace(&mut asked.given, new);
            let of = |rows: &BTreeMap<Box<[u8]>, i64>| rows.keys().map(|row| row.len() + 64).sum::<usize>();
            self.bytes = self.bytes + of(&asked.given) - of(&before);
            for (row, copies) in &before {
                let weight = asked.given.get(row).copied().unwrap_or(0) - copies;
                changed.extend((weight != 0).then(|| (row.clone(), weight)));
            }
            let new = asked.given.iter().filter(|(row, _)| !before.contains_key(*row));
            changed.extend(new.map(|(row, copies)| (row.clone(), *copies)));
            if is_gone {
                self.asked.remove(id);
            }
        }
        let rows = self.codec.decode(changed.iter().map(|(row, _)| &**row).collect::<Vec<_>>().into_iter());
        Ok(Delta::of_values(Batch { rows, weights: changed.iter().map(|(_, weight)| *weight).collect() }))
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn size(&self) -> Size {
        Size { rows: self.asked.len(), bytes: self.bytes + 128 * (self.asked.len() + self.met_by.len()) }
    }
}
