//! The hashes of the tree: which function, and what keeps a leaf from passing for a node.
//!
//! As in RFC 9162, section 2.1.1: a leaf is `H(0x00 ‖ entry)`, a node `H(0x01 ‖ left ‖ right)`, the empty tree `H()`.

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;

/// A hash of the tree.
pub type Hash = [u8; HASH_LEN];

/// A hash function that a tree can be made with.
pub trait Digest {
    /// The hash of bytes.
    fn digest(bytes: &[u8]) -> Hash;

    /// The hash of an entry.
    fn leaf(entry: &[u8]) -> Hash {
        // One contiguous input is what hash functions are quickest with.
        let mut short = [0; 512];
        if let Some(rest) = short.get_mut(1..=entry.len()) {
            rest.copy_from_slice(entry);
            return Self::digest(&short[..=entry.len()]);
        }
        Self::digest(&[&[0], entry].concat())
    }

    /// The hash of two subtrees.
    fn node(left: &Hash, right: &Hash) -> Hash {
        let mut both = [1; 1 + 2 * HASH_LEN];
        both[1..=HASH_LEN].copy_from_slice(left);
        both[1 + HASH_LEN..].copy_from_slice(right);
        Self::digest(&both)
    }
}

/// What the ledger's tree is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blake3;

impl Digest for Blake3 {
    fn digest(bytes: &[u8]) -> Hash {
        *blake3::hash(bytes).as_bytes()
    }
}

/// A hash as people compare it.
pub fn hex(hash: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble is a digit");
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
