//! Proofs of inclusion and consistency: RFC 9162, sections 2.1.3 and 2.1.4.
//!
//! Checking is a function of its arguments alone: no I/O, no recursion, as many steps as the proof has hashes. A proof
//! that is longer or shorter than its tree asks for is refused, whatever it hashes to.

use super::hash::{Digest, Hash};
use super::tree::root_of;

/// Hashes of the longest proof: a path has one for each level and, of consistency, one more.
pub const PROOF_LEN_MAX: usize = 65;

/// The root that an entry's leaf hash and the path beside it make; nothing if there is no such tree.
pub fn root_from_inclusion<H: Digest>(index: u64, size: u64, leaf: Hash, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = H::node(sibling, &hash);
            // At the right edge levels without a sibling are passed over.
            let passed = if at & 1 == 1 { 0 } else { at.trailing_zeros().min(63) };
            (at, last) = (at >> passed, last >> passed);
        } else {
            hash = H::node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Whether the entry with this leaf hash is number `index` of the `size` entries with this root.
pub fn verify_inclusion<H: Digest>(index: u64, size: u64, leaf: Hash, path: &[Hash], root: &Hash) -> bool {
    root_from_inclusion::<H>(index, size, leaf, path).as_ref() == Some(root)
}

/// Whether the `new_size` entries with the root `new_root` begin with the `old_size` entries with the root `old_root`.
/// Of no entries nothing is said: everything begins with them.
pub fn verify_consistency<H: Digest>(
    (old_size, old_root): (u64, &Hash),
    (new_size, new_root): (u64, &Hash),
    proof: &[Hash],
) -> bool {
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root && (old_size > 0 || *old_root == H::digest(&[]));
    }
    if old_size > new_size || old_size == 0 {
        return false;
    }
    // Where the old tree is a complete subtree of the new one, its root is where the proof begins.
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (*first, rest)
    };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    let complete = at.trailing_ones();
    (at, last) = (at >> complete, last >> complete);
    let (mut old, mut new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old, new) = (H::node(sibling, &old), H::node(sibling, &new));
            let passed = if at & 1 == 1 { 0 } else { at.trailing_zeros().min(63) };
            (at, last) = (at >> passed, last >> passed);
        } else {
            new = H::node(&new, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old == *old_root && new == *new_root
}

/// The path that [`verify_inclusion`] takes, from nodes that `node` gives; nothing if there is no such entry.
pub(crate) fn inclusion<H: Digest, E>(
    index: u64,
    size: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if index >= size {
        return Ok(None);
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(root_of::<H, E>(middle..to, node)?);
            to = middle;
        } else {
            path.push(root_of::<H, E>(from..middle, node)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The proof that [`verify_consistency`] takes; nothing if there can be none.
pub(crate) fn consistency<H: Digest, E>(
    old_size: u64,
    new_size: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Option<Vec<Hash>>, E> {
    if old_size == new_size {
        return Ok(Some(Vec::new()));
    }
    if old_size > new_size || old_size == 0 {
        return Ok(None);
    }
    let (mut from, mut to, mut proof) = (0, new_size, Vec::new());
    while to != old_size {
        let middle = from + split(to - from);
        if old_size <= middle {
            proof.push(root_of::<H, E>(middle..to, node)?);
            to = middle;
        } else {
            proof.push(root_of::<H, E>(from..middle, node)?);
            from = middle;
        }
    }
    if from > 0 {
        proof.push(root_of::<H, E>(from..to, node)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// How many of so many leaves are in the left subtree: the largest power of two below.
fn split(leaves: u64) -> u64 {
    1 << (u64::BITS - 1 - (leaves - 1).leading_zeros())
}
