//! What units have in common: the tree over all of them, and the roots that are asked for.

use daemoneye_dsl::types::Timestamp;

use super::super::hash::{Blake3, Hash, hex};
use super::super::nodes::{self, STEP};
use super::super::note::PublicKey;
use super::super::tables::NODES;
use super::super::tree::Frontier;
use super::unit::{Stop, Unit, earlier, node_differs};
use super::{Fault, Mismatch, Reading, UNIT_LEVEL};
use crate::tables::Tables;

/// The units so far, joined.
pub(super) struct Joined {
    from: u64,
    pub(super) tree: Frontier<Blake3>,
    recorded: Option<Timestamp>,
    rotations: usize,
    pub(super) checkpoints: u64,
    pub(super) signers: Vec<PublicKey>,
    pub(super) last_good: Option<(u64, Option<Timestamp>)>,
}

impl Joined {
    pub(super) fn beginning(reading: &Reading<'_>, from: u64) -> Result<Self, Fault> {
        let tree = reading.view.tree(from)?.unwrap_or_default();
        let rotations = reading.keys.iter().filter(|(at, _)| *at > 0 && *at < from).count();
        let (signers, last_good) = (Vec::new(), None);
        Ok(Self { from, tree, recorded: None, rotations, checkpoints: 0, signers, last_good })
    }

    /// With what was right before.
    pub(super) fn after(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Mismatch(mismatch) => Fault::Mismatch(Mismatch { last_good: self.last_good, ..mismatch }),
            error @ Fault::Error(_) => error,
        }
    }

    pub(super) fn push(&mut self, reading: &Reading<'_>, unit: Unit) -> Result<(), Fault> {
        self.add(reading, unit).map_err(|fault| self.after(fault))
    }

    fn add(&mut self, reading: &Reading<'_>, unit: Unit) -> Result<(), Fault> {
        if let (Some(before), Some((first, _))) = (self.recorded, unit.recorded)
            && first < before
        {
            return Err(earlier(unit.entries.start, before, first));
        }
        self.recorded = unit.recorded.map(|(_, last)| last).or(self.recorded);
        self.rotations += unit.rotations;
        for stop in unit.stops {
            let len = stop.signed.checkpoint().size - self.tree.size();
            let tree = self.tree_with(len, &stop.peaks, |_, _, _| Ok(()))?;
            self.stop(reading, &stop, &tree)?;
        }
        if let Some(fault) = unit.fault {
            return Err(fault);
        }
        let nodes = reading.view.txn.table(NODES)?;
        self.tree = self.tree_with(unit.tree.size(), unit.tree.peaks(), |level, index, hash| {
            let is_stored = level > STEP && level.is_multiple_of(STEP);
            match is_stored.then(|| nodes::stored(&nodes, level, index, index + 1)).transpose()? {
                Some(stored) if stored != [*hash] => Err(node_differs(level, index, &stored[0], hash)),
                _ => Ok(()),
            }
        })?;
        Ok(())
    }

    /// The tree with `len` entries of the next unit, of which these are the peaks.
    fn tree_with(
        &self,
        len: u64,
        peaks: &[Hash],
        mut each: impl FnMut(u32, u64, &Hash) -> Result<(), Fault>,
    ) -> Result<Frontier<Blake3>, Fault> {
        let mut tree = self.tree.clone();
        let mut checked = Ok(());
        let levels = (0..=UNIT_LEVEL).rev().filter(|level| len >> level & 1 == 1);
        for (level, peak) in levels.zip(peaks) {
            tree.push_node(level, *peak, |level, index, hash| {
                if checked.is_ok() {
                    checked = each(level, index, hash);
                }
            });
        }
        checked.map(|()| tree)
    }

    fn stop(&mut self, reading: &Reading<'_>, stop: &Stop, tree: &Frontier<Blake3>) -> Result<(), Fault> {
        let checkpoint = stop.signed.checkpoint();
        let size = checkpoint.size;
        if tree.root() != checkpoint.root {
            let since = self.last_good.map_or(self.from, |(size, _)| size);
            let which = if stop.is_ours { "the checkpoint" } else { "the checkpoint that was given" };
            let what = format!(
                "the entries are not those that were signed: {which} over {size} entries has another root, so one of the \
                 entries {since} to {} was changed",
                size - 1
            );
            return Err(Fault::differs(what, Some(since), hex(&checkpoint.root), hex(&tree.root())));
        }
        for (_, key) in reading.signers(size) {
            if !self.signers.contains(key) {
                self.signers.push(key.clone());
            }
        }
        self.checkpoints += u64::from(stop.is_ours);
        self.last_good = Some((size, checkpoint.time()));
        Ok(())
    }

    /// Whether the end is what is noted of it.
    pub(super) fn end(&self, reading: &Reading<'_>) -> Result<(), Fault> {
        let ended = || {
            let Reading { head, keys, .. } = reading;
            if self.tree != head.tree {
                let what = "the tree over all entries is not the one that is noted to go on with";
                return Err(Fault::differs(what, None, hex(&head.tree.root()), hex(&self.tree.root())));
            }
            if self.recorded.is_some_and(|recorded| recorded != head.recorded) {
                return Err(Fault::found("the last entry was not recorded when the note of the end says", None));
            }
            if self.rotations + 1 != keys.len().max(1) {
                return Err(Fault::found("a key signs that no entry names", None));
            }
            Ok(())
        };
        ended().map_err(|fault| self.after(fault))
    }
}
