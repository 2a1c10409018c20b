//! The shape of the tree, and what of it has to be kept to go on: the peaks.
//!
//! ```text
//! size 7:      ·            peaks: the roots of the complete subtrees of 4, 2 and 1 leaves, one for each bit of
//!            ╱   ╲          the size; the root of the whole is folded from them, the smallest first
//!          a       ·
//!         ╱ ╲     ╱ ╲
//!        ·   ·   b   c
//! ```
//!
//! Node (level, index) is the root of the complete subtree over the leaves `index << level` to `(index + 1) << level`.

use std::marker::PhantomData;
use std::ops::Range;

use super::hash::{Digest, Hash};

/// A tree that only grows, as far as it takes to let it grow: O(log n) hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier<H> {
    size: u64,
    /// The largest first.
    peaks: Vec<Hash>,
    hasher: PhantomData<H>,
}

impl<H> Default for Frontier<H> {
    fn default() -> Self {
        Self { size: 0, peaks: Vec::new(), hasher: PhantomData }
    }
}

impl<H: Digest> Frontier<H> {
    /// The frontier of a tree of which the peaks are known, the largest first; nothing if they are not as many as a
    /// tree of that size has.
    pub fn of(size: u64, peaks: Vec<Hash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks, hasher: PhantomData })
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_node(0, leaf, |_, _, _| {});
    }

    /// Adds the leaves of a complete subtree of that level; the size is a multiple of as many. Tells `each` every node
    /// that became complete, that one first: level, index, hash.
    pub fn push_node(&mut self, level: u32, node: Hash, mut each: impl FnMut(u32, u64, &Hash)) {
        debug_assert!(self.size.is_multiple_of(1 << level), "subtrees are aligned");
        let (mut level, mut index, mut hash) = (level, self.size >> level, node);
        self.size += 1 << level;
        each(level, index, &hash);
        while index & 1 == 1 {
            let left = self.peaks.pop().expect("a bit of the size has a peak");
            hash = H::node(&left, &hash);
            (level, index) = (level + 1, index >> 1);
            each(level, index, &hash);
        }
        self.peaks.push(hash);
    }

    /// The root of the whole.
    pub fn root(&self) -> Hash {
        folded::<H>(self.peaks.iter().copied()).unwrap_or_else(|| H::digest(&[]))
    }
}

/// The root of subtrees that stand side by side, the largest first.
fn folded<H: Digest>(peaks: impl DoubleEndedIterator<Item = Hash>) -> Option<Hash> {
    peaks.rev().reduce(|right, left| H::node(&left, &right))
}

/// The complete subtrees that leaves are made of, the largest first, as (level, index). The range begins at a multiple of
/// the largest power of two that fits in it.
pub(crate) fn subtrees(leaves: Range<u64>) -> impl DoubleEndedIterator<Item = (u32, u64)> {
    let len = leaves.end.saturating_sub(leaves.start);
    let levels = (0..u64::BITS).rev().filter(move |level| len >> level & 1 == 1);
    levels.map(move |level| {
        // The leaves before it are those of the larger subtrees: the higher bits.
        let before = len.checked_shr(level + 1).map_or(0, |higher| higher << level << 1);
        (level, (leaves.start + before) >> level)
    })
}

/// The hash of leaves as [`subtrees`] takes them, from nodes that `node` gives.
pub(crate) fn root_of<H: Digest, E>(
    leaves: Range<u64>,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Hash, E> {
    let peaks = subtrees(leaves).map(|(level, index)| node(level, index)).collect::<Result<Vec<_>, E>>()?;
    Ok(folded::<H>(peaks.into_iter()).unwrap_or_else(|| H::digest(&[])))
}
