//! A proof that goes elsewhere: all that it takes to see that an entry is one of those that were signed.
//!
//! ```json
//! {
//!   "version": 1,
//!   "entry": "AQAA…",             base64 of the entry's bytes (entry.rs)
//!   "index": 4821,
//!   "size": 12904,
//!   "path": ["51sw…", …],         base64 of the hashes beside it, from the leaf to the root
//!   "checkpoint": "daemoneye/5f0c…\n12904\n…\n\n— daemoneye/5f0c… …\n",
//!   "key": "daemoneye/5f0c…+edb4…+AY…"
//! }
//! ```
//!
//! The key is there to be compared: a proof that brings its own key shows no more than that it fits itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::checkpoint::SignedCheckpoint;
use super::entry::{ENTRY_LEN_MAX, Entry};
use super::hash::{Blake3, Digest, Hash, hex};
use super::note::PublicKey;
use super::proof::{PROOF_LEN_MAX, root_from_inclusion};
use super::verify::Mismatch;
use super::view::LedgerView;
use crate::Error;

/// The form that this version writes and reads.
const VERSION: u32 = 1;
/// Bytes of a proof as a file.
pub const PROOF_FILE_LEN_MAX: usize = 2 * ENTRY_LEN_MAX + (256 << 10);

/// An entry and the way from it to what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    entry: Entry,
    path: Vec<Hash>,
    checkpoint: SignedCheckpoint,
    key: PublicKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    entry: String,
    index: u64,
    size: u64,
    path: Vec<String>,
    checkpoint: String,
    key: String,
}

impl Proof {
    /// Reads [`Proof::to_json`] back. Whether it proves anything is not looked at.
    pub fn parse(json: &str) -> Result<Self, Error> {
        Self::read(json).map_err(|why| Error::Malformed { what: "proof", why })
    }

    fn read(json: &str) -> Result<Self, String> {
        if json.len() > PROOF_FILE_LEN_MAX {
            return Err(format!("it has {} bytes, and {PROOF_FILE_LEN_MAX} are possible", json.len()));
        }
        let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if file.version != VERSION {
            return Err(format!("it has version {}, and this program reads {VERSION}", file.version));
        }
        if file.path.len() > PROOF_LEN_MAX {
            return Err(format!("its path has {} hashes, and {PROOF_LEN_MAX} are possible", file.path.len()));
        }
        let bytes = STANDARD.decode(file.entry).map_err(|_| "its entry is not base64")?;
        let entry = Entry::decode(&bytes).map_err(|why| format!("its entry cannot be read: {why}"))?;
        let hash = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
        let path = file.path.iter().map(hash).collect::<Option<_>>().ok_or("a hash of its path is not one")?;
        let checkpoint = SignedCheckpoint::parse(&file.checkpoint).map_err(|why| format!("its checkpoint: {why}"))?;
        let key = PublicKey::parse(&file.key).map_err(|why| format!("its key: {why}"))?;
        if file.index != entry.sequence || file.size != checkpoint.checkpoint().size {
            return Err("its index and size are not those of its entry and its checkpoint".to_owned());
        }
        Ok(Self { entry, path, checkpoint, key })
    }

    /// As a file.
    pub fn to_json(&self) -> String {
        let file = File {
            version: VERSION,
            entry: STANDARD.encode(self.entry.encode()),
            index: self.entry.sequence,
            size: self.checkpoint.checkpoint().size,
            path: self.path.iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: self.checkpoint.note().to_string(),
            key: self.key.to_string(),
        };
        serde_json::to_string_pretty(&file).expect("a proof is JSON") + "\n"
    }

    /// What it is about.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What was signed.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Who signed it, as the proof says.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether the entry is one of those that `key` signed, or else the key that the proof brings.
    pub fn check(&self, key: Option<&PublicKey>) -> Result<(), Mismatch> {
        let wrong = |what: String, differs| Err(Mismatch { what, entry: None, differs, last_good: None });
        let (key, checkpoint) = (key.unwrap_or(&self.key), self.checkpoint.checkpoint());
        if !self.checkpoint.note().is_signed_by(key) {
            return wrong(format!("the checkpoint of the proof is not signed by {key}"), None);
        }
        if key.name() != checkpoint.origin {
            let differs = Some((checkpoint.origin.clone(), key.name().to_owned()));
            return wrong("the checkpoint of the proof is of another ledger than its key".to_owned(), differs);
        }
        let leaf = Blake3::leaf(&self.entry.encode());
        let (index, size) = (self.entry.sequence, checkpoint.size);
        match root_from_inclusion::<Blake3>(index, size, leaf, &self.path) {
            Some(root) if root == checkpoint.root => Ok(()),
            Some(root) => {
                let differs = Some((hex(&checkpoint.root), hex(&root)));
                wrong(format!("entry {index} is not one of the {size} entries that were signed"), differs)
            }
            None => wrong(format!("the path does not lead from entry {index} to the root over {size} entries"), None),
        }
    }
}

impl LedgerView {
    /// The proof that entry number `sequence` is one of those that the newest checkpoint is over.
    pub fn prove(&self, sequence: u64) -> Result<Proof, Error> {
        let (size, checkpoint) = (self.size()?, self.checkpoint()?);
        let signed = checkpoint.as_ref().map_or(0, |signed| signed.checkpoint().size);
        let entry = self.entry(sequence)?.ok_or_else(|| {
            Error::Refused(format!("there is no entry {sequence}: the ledger has {size}, numbered from 0"))
        })?;
        let not_signed = || {
            Error::Refused(format!(
                "entry {sequence} is not signed yet: the newest checkpoint is over {signed} entries; wait for the next"
            ))
        };
        let checkpoint = checkpoint.filter(|_| sequence < signed).ok_or_else(not_signed)?;
        let path = self.inclusion(sequence, signed)?.ok_or_else(not_signed)?;
        let signer = self.keys()?.into_iter().map(|(_, key)| key).find(|key| checkpoint.note().is_signed_by(key));
        let key = signer.ok_or_else(|| {
            Error::damaged_ledger(format!("the checkpoint over {signed} entries is not signed by a key of the ledger"))
        })?;
        Ok(Proof { entry, path, checkpoint, key })
    }
}
