//! Each row with the relatives of one process, nearest first: its ancestors or its descendants.
//!
//! Both follow `parent_id` through what the reader knows of every process, dead or alive. A way up ends at an unknown
//! parent, at a process met before (ids are hashes, so a loop means somebody lied), or at a bound, which is said. For the
//! ways down, every process of now is followed up once, and each parent on the way learns its children; the dead ones
//! lead on to the living and are not given themselves.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::{Array, Int64Array, RecordBatch, new_empty_array};
use arrow_select::interleave::interleave;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::tables::lineage::{DEPTH_MAX, Lineage};
use daemoneye_dsl::tables::{Catalog, Table, version_columns};
use daemoneye_dsl::types::{Type, Value};
use daemoneye_storage::Scan;

use super::{Context, Meaning, ROWS_MAX, within};
use crate::batch::{batch, beside, stack, take, take_or_null};
use crate::error::Error;

/// The place of `parent_id` in a version.
static PARENT_ID: LazyLock<usize> =
    LazyLock::new(|| version_columns().iter().position(|column| column.name == "parent_id").expect("a column"));

pub(super) struct Relatives {
    pub(super) lineage: Lineage,
    pub(super) process: Expr,
    pub(super) columns: Vec<usize>,
    pub(super) kind: JoinKind,
    pub(super) on: Option<Expr>,
}

/// The processes asked for so far in one evaluation, each read once however many rows are related to it.
#[derive(Default)]
pub(super) struct Known {
    /// By `proc_id`, the place in the lists below; nothing for a process that the reader does not know.
    places: HashMap<String, Option<u32>>,
    versions: Vec<Version>,
    /// What the ways down need; made when the first is asked for.
    below: Option<Below>,
}

/// The last version of a process.
struct Version {
    rows: Arc<RecordBatch>,
    row: usize,
    parent: Parent,
}

/// Who started a process.
#[derive(Clone, Copy)]
enum Parent {
    /// Nobody looked yet.
    Unread,
    /// The place of the parent, if it is known.
    Read(Option<u32>),
}

impl Version {
    fn parent_id(&self) -> Option<&str> {
        let ids = self.rows.column(*PARENT_ID).as_string::<i32>();
        ids.is_valid(self.row).then(|| ids.value(self.row))
    }
}

/// Who is below whom.
#[derive(Default)]
struct Below {
    children: HashMap<u32, Vec<u32>>,
    /// The processes of now.
    present: HashSet<u32>,
}

impl Known {
    fn place(&mut self, id: &str, context: &Context<'_>) -> Result<Option<u32>, Error> {
        if let Some(place) = self.places.get(id) {
            return Ok(*place);
        }
        context.work(1)?;
        let stored = match context.reader.process(id) {
            // It may be in a part that is damaged: the answer goes on without it, and says so.
            Err(daemoneye_storage::Error::Damaged(_)) => {
                context.note(Reason::SegmentQuarantined);
                None
            }
            stored => stored?,
        };
        let place = stored.map(|stored| {
            self.versions.push(Version { rows: stored.rows, row: stored.at, parent: Parent::Unread });
            u32::try_from(self.versions.len() - 1).expect("fewer processes than 2^32")
        });
        self.places.insert(id.to_owned(), place);
        Ok(place)
    }

    fn parent(&mut self, place: u32, context: &Context<'_>) -> Result<Option<u32>, Error> {
        let version = &self.versions[place as usize];
        if let Parent::Read(parent) = version.parent {
            return Ok(parent);
        }
        let parent = match version.parent_id().map(str::to_owned) {
            Some(parent) => self.place(&parent, context)?,
            None => None,
        };
        self.versions[place as usize].parent = Parent::Read(parent);
        Ok(parent)
    }

    /// The places of a process's relatives with their distance, nearest first.
    fn relatives(&mut self, lineage: Lineage, id: &str, context: &Context<'_>) -> Result<Vec<(i64, u32)>, Error> {
        match lineage {
            Lineage::Ancestors => {
                let Some(own) = self.place(id, context)? else { return Ok(vec![]) };
                let (chain, cut) = self.chain(own, context)?;
                if cut {
                    context.note(Reason::ResultTruncated);
                }
                Ok((1..).zip(chain).collect())
            }
            Lineage::Descendants => {
                let below = match self.below.take() {
                    Some(below) => below,
                    None => self.everyone_below(context)?,
                };
                let found = self.place(id, context)?.map(|own| below.descendants(own, context));
                self.below = Some(below);
                Ok(found.unwrap_or_default())
            }
        }
    }

    /// The places of a process's ancestors, nearest first, and whether there are more.
    fn chain(&mut self, own: u32, context: &Context<'_>) -> Result<(Vec<u32>, bool), Error> {
        let mut chain = Vec::new();
        let mut next = self.parent(own, context)?;
        while let Some(parent) = next.filter(|parent| *parent != own && !chain.contains(parent)) {
            if chain.len() == DEPTH_MAX {
                return Ok((chain, true));
            }
            chain.push(parent);
            next = self.parent(parent, context)?;
        }
        Ok((chain, false))
    }

    fn everyone_below(&mut self, context: &Context<'_>) -> Result<Below, Error> {
        let mut below = Below::default();
        for id in present(context)? {
            if let Some(place) = self.place(&id, context)? {
                below.present.insert(place);
            }
        }
        let mut seen = HashSet::new();
        for own in below.present.clone() {
            let mut child = own;
            for parent in self.chain(own, context)?.0 {
                if seen.insert((parent, child)) {
                    below.children.entry(parent).or_default().push(child);
                }
                child = parent;
            }
        }
        Ok(below)
    }
}

impl Below {
    /// Generation by generation.
    fn descendants(&self, own: u32, context: &Context<'_>) -> Vec<(i64, u32)> {
        let mut met = HashSet::from([own]);
        let mut found = Vec::new();
        let mut generation = vec![own];
        for depth in (1..).take(DEPTH_MAX) {
            generation = self.children_of(&generation, &mut met);
            found.extend(generation.iter().filter(|it| self.present.contains(it)).map(|it| (depth, *it)));
        }
        if !self.children_of(&generation, &mut met).is_empty() {
            context.note(Reason::ResultTruncated);
        }
        found
    }

    fn children_of(&self, parents: &[u32], met: &mut HashSet<u32>) -> Vec<u32> {
        let children = parents.iter().filter_map(|parent| self.children.get(parent)).flatten();
        let mut children: Vec<_> = children.copied().filter(|child| met.insert(*child)).collect();
        children.sort_unstable();
        children
    }
}

/// The relatives of each id: the id and those columns of the table of relatives.
pub(crate) fn relatives(
    lineage: Lineage,
    columns: &[usize],
    ids: &[String],
    context: &Context<'_>,
) -> Result<RecordBatch, Error> {
    let ids = batch(vec![Type::Text.array(ids.iter().cloned().map(Value::Text))], ids.len());
    let process = Expr::column(0, Type::Text, "");
    let asked = Relatives { lineage, process, columns: columns.to_vec(), kind: JoinKind::Inner, on: None };
    asked.meaning(context, &[ids])
}

/// Who is met on the way up from a process: itself, its ancestors, and the first parent that nobody knows.
pub(crate) fn way_up(id: &str, context: &Context<'_>) -> Result<Vec<String>, Error> {
    let known = &mut *context.known.borrow_mut();
    let mut met = vec![id.to_owned()];
    let mut place = known.place(id, context)?;
    while let Some(at) = place {
        let Some(parent) = known.versions[at as usize].parent_id().map(str::to_owned) else { break };
        if met.contains(&parent) || met.len() > DEPTH_MAX + 1 {
            break;
        }
        place = known.place(&parent, context)?;
        met.push(parent);
    }
    Ok(met)
}

/// The ids of the processes of now.
fn present(context: &Context<'_>) -> Result<Vec<String>, Error> {
    static PROCESSES: LazyLock<Arc<Table>> =
        LazyLock::new(|| Catalog::builtin().table("processes").expect("a table of the catalog").clone());
    let scanned = context.reader.scan(&Scan::all(&PROCESSES, &[0]))?;
    context.read(&scanned.completeness);
    context.spend(scanned.batches.iter().map(RecordBatch::num_rows).sum())?;
    let ids = scanned.batches.iter().flat_map(|rows| (0..rows.num_rows()).map(|row| Value::at(rows.column(0), row)));
    Ok(ids.filter_map(|id| id.as_text().map(str::to_owned)).collect())
}

/// Pairs of a row and a relative: their numbers, and how many generations lie between.
#[derive(Default)]
struct Pairs {
    rows: Vec<u32>,
    relatives: Vec<u32>,
    depths: Vec<i64>,
}

impl Relatives {
    fn pairs(&self, rows: &RecordBatch, known: &mut Known, context: &Context<'_>) -> Result<Pairs, Error> {
        let ids = context.evaluator(rows).values(&self.process);
        let mut pairs = Pairs::default();
        for (number, row) in (0u32..).zip(0..rows.num_rows()) {
            let id = Value::at(&ids, row);
            let Some(id) = id.as_text() else { continue };
            for (depth, relative) in known.relatives(self.lineage, id, context)? {
                pairs.rows.push(number);
                pairs.relatives.push(relative);
                pairs.depths.push(depth);
            }
            within(pairs.rows.len(), ROWS_MAX, "the result of an operation")?;
        }
        Ok(pairs)
    }

    /// The columns that are read: depth first among all, then those of the version.
    fn columns_of(&self, known: &Known, pairs: &Pairs) -> RecordBatch {
        // All of the present are in the same batch, each that is gone in one of its own.
        let (mut batches, mut numbers) = (Vec::new(), HashMap::new());
        let places = pairs.relatives.iter().map(|place| {
            let version = &known.versions[*place as usize];
            let number = *numbers.entry(Arc::as_ptr(&version.rows)).or_insert_with(|| {
                batches.push(&version.rows);
                batches.len() - 1
            });
            (number, version.row)
        });
        let places: Vec<(usize, usize)> = places.collect();
        let columns = self.columns.iter().map(|at| match at.checked_sub(1) {
            None => Arc::new(Int64Array::from(pairs.depths.clone())),
            Some(at) if batches.is_empty() => new_empty_array(&version_columns()[at].ty.arrow()),
            Some(at) => {
                let parts: Vec<&dyn Array> = batches.iter().map(|rows| rows.column(at).as_ref()).collect();
                interleave(&parts, &places).expect("columns of one type")
            }
        });
        batch(columns.collect(), places.len())
    }
}

impl Meaning for Relatives {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let known = &mut *context.known.borrow_mut();
        let pairs = self.pairs(rows, known, context)?;
        let relatives = self.columns_of(known, &pairs);
        let both = beside(&take(rows, &pairs.rows), &relatives);
        let kept = match &self.on {
            Some(on) => context.evaluator(&both).matching(on),
            None => (0u32..).take(both.num_rows()).collect(),
        };
        let found = take(&both, &kept);
        if self.kind == JoinKind::Inner {
            return Ok(found);
        }
        let mut matched = vec![false; rows.num_rows()];
        for at in kept {
            matched[pairs.rows[at as usize] as usize] = true;
        }
        let alone: Vec<u32> = (0u32..).zip(matched).filter(|(_, matched)| !matched).map(|(row, _)| row).collect();
        let nulls = take_or_null(&relatives, &vec![None; alone.len()]);
        Ok(stack(&[found, beside(&take(rows, &alone), &nulls)], &both))
    }
}
