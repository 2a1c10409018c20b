//! The tree and its proofs, against vectors, another implementation, and every change of a proof.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use sha2::Digest as _;

use crate::ledger::hash::{Blake3, Digest, HASH_LEN, Hash};
use crate::ledger::tree::Frontier;
use crate::ledger::{proof, verify_consistency, verify_inclusion};

/// What the vectors are made with.
struct Sha256;

impl Digest for Sha256 {
    fn digest(bytes: &[u8]) -> Hash {
        sha2::Sha256::digest(bytes).into()
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The vectors of a kind; none, which is said, where they are not.
fn vectors(kind: &str) -> Vec<(PathBuf, Json)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/rfc6962");
    let folder = Path::new(folder).join(kind);
    if !folder.is_dir() {
        writeln!(std::io::stderr(), "skipped: shared/vectors/rfc6962/{kind} is not here").unwrap();
        return vec![];
    }
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    assert!(paths.len() > 50, "{} of {kind}", paths.len());
    let read = |path: PathBuf| {
        let json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path, json)
    };
    paths.into_iter().map(read).collect()
}

fn hash(json: &Json) -> Option<Hash> {
    STANDARD.decode(json.as_str()?).ok()?.try_into().ok()
}

/// A root; some vectors have others than hashes, of which only matters whether they are the same.
fn root(json: &Json) -> Option<Hash> {
    hash(json).or_else(|| Some(Sha256::digest(json.as_str()?.as_bytes())))
}

fn hashes(json: &Json) -> Option<Vec<Hash>> {
    json.as_array().map_or(Some(vec![]), |hashes| hashes.iter().map(hash).collect())
}

#[test]
fn inclusion_is_judged_as_the_vectors_say() {
    for (path, vector) in vectors("inclusion") {
        let judged = || {
            let (index, size) = (vector["leafIdx"].as_u64()?, vector["treeSize"].as_u64()?);
            let (leaf, root) = (hash(&vector["leafHash"])?, hash(&vector["root"])?);
            Some(verify_inclusion::<Sha256>(index, size, leaf, &hashes(&vector["proof"])?, &root))
        };
        assert_eq!(judged().unwrap_or(false), !vector["wantErr"].as_bool().unwrap(), "{}", path.display());
    }
}

#[test]
fn consistency_is_judged_as_the_vectors_say() {
    for (path, vector) in vectors("consistency") {
        let judged = || {
            let (old, new) = (vector["size1"].as_u64()?, vector["size2"].as_u64()?);
            let (old_root, new_root) = (root(&vector["root1"])?, root(&vector["root2"])?);
            Some(verify_consistency::<Sha256>((old, &old_root), (new, &new_root), &hashes(&vector["proof"])?))
        };
        let expected = !vector["wantErr"].as_bool().unwrap();
        assert_eq!(judged().unwrap_or(false), expected, "{}", path.display());
    }
}

/// `rs_merkle` with our hashes.
#[derive(Clone)]
struct Theirs;

impl rs_merkle::Hasher for Theirs {
    type Hash = Hash;

    fn hash(data: &[u8]) -> Hash {
        Blake3::leaf(data)
    }

    fn concat_and_hash(left: &Hash, right: Option<&Hash>) -> Hash {
        right.map_or(*left, |right| Blake3::node(left, right))
    }
}

fn leaf(n: u64) -> Hash {
    Blake3::leaf(&n.to_be_bytes())
}

#[test]
fn roots_are_those_of_another_implementation() {
    let (mut ours, mut theirs) = (Frontier::<Blake3>::default(), rs_merkle::MerkleTree::<Theirs>::new());
    assert_eq!(ours.root(), Blake3::digest(&[]));
    for n in 0..2000 {
        ours.push(leaf(n));
        theirs.insert(leaf(n)).commit();
        assert_eq!(Some(ours.root()), theirs.root(), "{} leaves", n + 1);
        assert_eq!(ours.peaks().len(), ours.size().count_ones() as usize);
    }
}

/// All nodes of a tree, by level.
struct Nodes(Vec<Vec<Hash>>);

impl Nodes {
    fn of(size: u64) -> Self {
        let mut levels = vec![Vec::new(); 65];
        let mut tree = Frontier::<Blake3>::default();
        for n in 0..size {
            tree.push_node(0, leaf(n), |level, index, hash| {
                assert_eq!(levels[level as usize].len() as u64, index);
                levels[level as usize].push(*hash);
            });
        }
        Self(levels)
    }

    fn node(&self) -> impl FnMut(u32, u64) -> Result<Hash, ()> + '_ {
        |level, index| Ok(self.0[level as usize][usize::try_from(index).unwrap()])
    }

    fn root(&self, size: u64) -> Hash {
        let mut tree = Frontier::<Blake3>::default();
        self.0[0][..usize::try_from(size).unwrap()].iter().for_each(|leaf| tree.push(*leaf));
        tree.root()
    }
}

/// Proofs that differ from one: a hash changed, left out, twice, exchanged, or one more at either end.
fn changed(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = vec![[proof, &[[7; HASH_LEN]]].concat(), [&[[7; HASH_LEN]], proof].concat()];
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        flipped[at][at % HASH_LEN] ^= 1;
        let mut without = proof.to_vec();
        without.remove(at);
        let mut twice = proof.to_vec();
        twice.insert(at, proof[at]);
        all.extend([flipped, without, twice]);
        if at > 0 {
            let mut exchanged = proof.to_vec();
            exchanged.swap(at - 1, at);
            all.push(exchanged);
        }
    }
    all
}

#[test]
fn every_entry_is_proven_and_no_changed_proof_is_taken() {
    let nodes = Nodes::of(260);
    for size in (1..=70).chain([127, 128, 129, 255, 256, 257, 260]) {
        let root = nodes.root(size);
        for index in 0..size {
            let path = proof::inclusion::<Blake3, _>(index, size, &mut nodes.node()).unwrap().unwrap();
            let own = nodes.0[0][usize::try_from(index).unwrap()];
            let holds = |index, size, leaf, path: &[Hash]| verify_inclusion::<Blake3>(index, size, leaf, path, &root);
            assert!(holds(index, size, own, &path), "{index} of {size}");
            assert!(!holds(index, size, leaf(size), &path), "{index} of {size}: another leaf");
            assert!(!holds(index ^ 1, size, own, &path), "{index} of {size}: another index");
            assert!(!holds(index + size, size, own, &path), "{index} of {size}: beyond the end");
            for changed in changed(&path) {
                assert!(!holds(index, size, own, &changed), "{index} of {size}: {changed:?} for {path:?}");
            }
        }
        assert_eq!(proof::inclusion::<Blake3, _>(size, size, &mut nodes.node()), Ok(None));
    }
}

#[test]
fn every_prefix_is_proven_and_no_changed_proof_is_taken() {
    let nodes = Nodes::of(260);
    let roots: Vec<_> = (0..=260).map(|size| nodes.root(size)).collect();
    let root = |size: u64| &roots[usize::try_from(size).unwrap()];
    for new in (1..=70).chain([127, 128, 129, 255, 256, 257, 260]) {
        for old in 1..=new {
            let proof = proof::consistency::<Blake3, _>(old, new, &mut nodes.node()).unwrap().unwrap();
            let holds = |old, new, proof: &[Hash]| verify_consistency::<Blake3>(old, new, proof);
            assert!(holds((old, root(old)), (new, root(new)), &proof), "{old} of {new}");
            assert!(!holds((old, root(old - 1)), (new, root(new)), &proof), "{old} of {new}: another old root");
            assert!(!holds((old, root(old)), (new, root(new - 1)), &proof), "{old} of {new}: another new root");
            if old < new {
                assert!(!holds((old - 1, root(old)), (new, root(new)), &proof), "{old} of {new}: another old size");
                assert!(!holds((new, root(old)), (old, root(new)), &proof), "{old} of {new}: the wrong way round");
            }
            for changed in changed(&proof) {
                assert!(!holds((old, root(old)), (new, root(new)), &changed), "{old} of {new}: {changed:?}");
            }
        }
        assert_eq!(proof::consistency::<Blake3, _>(0, new, &mut nodes.node()), Ok(None));
        assert_eq!(proof::consistency::<Blake3, _>(new + 1, new, &mut nodes.node()), Ok(None));
    }
}
