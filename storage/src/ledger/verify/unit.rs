//! Entries in units, each a complete subtree, that threads take from each other.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use daemoneye_dsl::audit::Action;
use daemoneye_dsl::types::Timestamp;

use super::super::blocks;
use super::super::checkpoint::SignedCheckpoint;
use super::super::entry::Encoded;
use super::super::hash::{Blake3, Digest, Hash, hex};
use super::super::nodes::{self, STEP};
use super::super::tables::{BLOCKS, CHECKPOINTS, NODES};
use super::super::tree::Frontier;
use super::super::view::parsed;
use super::{Fault, Reading, UNIT, fault_of};
use crate::Error;
use crate::tables::Tables;

/// A root that the entries before it must have, and the peaks of the unit up to there.
pub(super) struct Stop {
    pub(super) signed: SignedCheckpoint,
    /// Who says so: the ledger itself, or somebody outside.
    pub(super) is_ours: bool,
    pub(super) peaks: Vec<Hash>,
}

/// What a thread found out about a unit, up to what is wrong with it.
pub(super) struct Unit {
    pub(super) entries: Range<u64>,
    pub(super) stops: Vec<Stop>,
    pub(super) tree: Frontier<Blake3>,
    /// When the first and the last entry were recorded.
    pub(super) recorded: Option<(Timestamp, Timestamp)>,
    pub(super) rotations: usize,
    pub(super) fault: Option<Fault>,
}

/// A checkpoint that is still ahead.
enum Ahead {
    Stored(String),
    Given(SignedCheckpoint),
}

/// What the entries of a unit are held to.
struct Expected {
    leaves: Vec<Hash>,
    /// The nodes one stored level above.
    above: Vec<Hash>,
    /// By the entries that they are over.
    checkpoints: Vec<(u64, Ahead)>,
}

impl Reading<'_> {
    /// Has threads read units and gives what they found to `each`, in the order of the units.
    pub(super) fn in_order(
        &self,
        threads: usize,
        from: u64,
        advance: &(dyn Fn(u64) + Sync),
        mut each: impl FnMut(Unit) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (next, is_over) = (AtomicU64::new(from), AtomicBool::new(false));
        let size = self.head.tree.size();
        std::thread::scope(|scope| {
            let (found, units) = mpsc::channel();
            for _ in 0..threads.max(1) {
                let (found, next, is_over) = (found.clone(), &next, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        let begin = next.fetch_add(UNIT, Ordering::Relaxed);
                        if begin >= size {
                            return;
                        }
                        let entries = begin..size.min(begin + UNIT);
                        let unit = self.read(entries.clone());
                        advance(entries.end - entries.start);
                        if found.send((begin, unit)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(found);
            let (mut waiting, mut due) = (BTreeMap::new(), from);
            let joined = units.iter().try_for_each(|(begin, unit)| {
                waiting.insert(begin, unit);
                while let Some(unit) = waiting.remove(&due) {
                    each(unit)?;
                    due += UNIT;
                }
                Ok(())
            });
            is_over.store(true, Ordering::Relaxed);
            joined
        })
    }

    fn read(&self, entries: Range<u64>) -> Unit {
        let (tree, stops) = (Frontier::default(), Vec::new());
        let mut unit = Unit { entries, stops, tree, recorded: None, rotations: 0, fault: None };
        unit.fault = fault_of(|| self.read_into(&mut unit)).err();
        unit
    }

    fn read_into(&self, unit: &mut Unit) -> Result<(), Fault> {
        let entries = unit.entries.clone();
        let mut expected = self.expected(&entries)?;
        let mut ahead = std::mem::take(&mut expected.checkpoints).into_iter().peekable();
        let mut checked = Ok(());
        blocks::visit(&self.view.txn.table(BLOCKS)?, entries.start, |sequence, bytes| {
            if sequence == entries.end {
                return Ok(ControlFlow::Break(()));
            }
            checked = self.entry(unit, sequence, bytes, &expected);
            while checked.is_ok()
                && let Some((size, checkpoint)) = ahead.next_if(|(size, _)| *size == sequence + 1)
            {
                checked = self.stop(size, checkpoint, &unit.tree).map(|stop| unit.stops.push(stop));
            }
            Ok(if checked.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        checked?;
        let reached = entries.start + unit.tree.size();
        if reached < entries.end {
            return Err(Fault::found(format!("entry {reached} is not there, and the ledger has more"), Some(reached)));
        }
        Ok(())
    }

    fn expected(&self, entries: &Range<u64>) -> Result<Expected, Fault> {
        let nodes = self.view.txn.table(NODES)?;
        let leaves = nodes::stored(&nodes, 0, entries.start, entries.end)?;
        let above = nodes::stored(&nodes, STEP, entries.start >> STEP, entries.end >> STEP)?;
        let sizes = entries.start + 1..=entries.end;
        let given = self.given.iter().map(|given| (given.checkpoint().size, Ahead::Given(given.clone())));
        let mut checkpoints: Vec<_> = given.filter(|(size, _)| sizes.contains(size)).collect();
        for stored in self.view.txn.table(CHECKPOINTS)?.range(sizes).map_err(Error::from)? {
            let (size, note) = stored.map_err(Error::from)?;
            checkpoints.push((size.value(), Ahead::Stored(note.value().to_owned())));
        }
        checkpoints.sort_by_key(|(size, _)| *size);
        Ok(Expected { leaves, above, checkpoints })
    }

    fn stop(&self, size: u64, checkpoint: Ahead, tree: &Frontier<Blake3>) -> Result<Stop, Fault> {
        let peaks = tree.peaks().to_vec();
        let note = match checkpoint {
            Ahead::Given(signed) => return Ok(Stop { signed, is_ours: false, peaks }),
            Ahead::Stored(note) => note,
        };
        let signed = parsed(size, &note)?;
        let origin = &signed.checkpoint().origin;
        if *origin != self.origin {
            let what = format!("the checkpoint over {size} entries is of another ledger");
            return Err(Fault::differs(what, None, self.origin.clone(), origin.clone()));
        }
        self.check_signed(&signed, "the checkpoint")?;
        Ok(Stop { signed, is_ours: true, peaks })
    }

    fn entry(&self, unit: &mut Unit, sequence: u64, bytes: &[u8], expected: &Expected) -> Result<(), Fault> {
        let place = |index: u64| usize::try_from(index).expect("a unit is small");
        let (leaf, found) = (&expected.leaves[place(sequence - unit.entries.start)], Blake3::leaf(bytes));
        if found != *leaf {
            let what = format!("entry {sequence} does not match its leaf hash");
            return Err(Fault::differs(what, Some(sequence), hex(leaf), hex(&found)));
        }
        let entry = Encoded::read(bytes)
            .map_err(|why| Fault::found(format!("entry {sequence} cannot be read: {why}"), Some(sequence)))?;
        if entry.sequence != sequence {
            let what = format!("entry {sequence} has another number");
            return Err(Fault::differs(what, Some(sequence), sequence.to_string(), entry.sequence.to_string()));
        }
        let (first, last) = unit.recorded.unwrap_or((entry.recorded, entry.recorded));
        if entry.recorded < last {
            return Err(earlier(sequence, last, entry.recorded));
        }
        unit.recorded = Some((first, entry.recorded));
        if entry.action == Action::KeyRotated {
            self.rotation(sequence, entry.subject)?;
            unit.rotations += 1;
        }
        let mut differs = None;
        unit.tree.push_node(0, found, |level, index, hash| {
            differs = (level == STEP && expected.above[place(index)] != *hash).then_some((index, *hash)).or(differs);
        });
        differs.map_or(Ok(()), |(index, hash)| {
            let stored = &expected.above[place(index)];
            Err(node_differs(STEP, (unit.entries.start >> STEP) + index, stored, &hash))
        })
    }

    /// Whether the key that an entry names is the one that signs from there on.
    fn rotation(&self, sequence: u64, key: &str) -> Result<(), Fault> {
        let named = self.keys.iter().find(|(from, _)| *from == sequence).map(|(_, key)| key.to_string());
        if named.as_deref() == Some(key) {
            return Ok(());
        }
        let what = format!("entry {sequence} names another key than signs from there on");
        let key = key.chars().take(256).collect();
        Err(Fault::differs(what, Some(sequence), key, named.unwrap_or_else(|| "none".to_owned())))
    }
}

pub(super) fn earlier(sequence: u64, before: Timestamp, found: Timestamp) -> Fault {
    let what = format!("entry {sequence} was recorded before the entry before it");
    Fault::differs(what, Some(sequence), format!("{} or later", before.rfc3339()), found.rfc3339())
}

pub(super) fn node_differs(level: u32, index: u64, stored: &Hash, found: &Hash) -> Fault {
    let (first, last) = (index << level, ((index + 1) << level) - 1);
    let what = format!("the stored node over entries {first} to {last} is not that of its entries");
    Fault::differs(what, Some(first), hex(stored), hex(found))
}
