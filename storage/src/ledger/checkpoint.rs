//! What is signed from time to time: how many entries there are and the root of their tree, as C2SP `tlog-checkpoint`
//! has it.
//!
//! ```text
//! daemoneye/5f0c1d…                           origin: which ledger
//! 12904                                       entries, decimal
//! nzzB4Ec2F0mDLnLbY3DhW5k9M0Uo3wq5QzZr6qv4d1s=   base64 of the root (BLAKE3, see `hash`)
//! time 2026-11-22T09:00:00Z                   when it was signed; further lines are kept and signed too
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daemoneye_dsl::types::Timestamp;

use super::hash::Hash;
use super::note::Note;

const TIME: &str = "time ";

/// The state of a ledger, as it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which ledger.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// Further lines.
    pub extensions: Vec<String>,
}

/// A checkpoint and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl Checkpoint {
    /// A checkpoint that was made then.
    pub(crate) fn at(origin: &str, size: u64, root: Hash, time: Timestamp) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: vec![format!("{TIME}{}", time.rfc3339())] }
    }

    /// Its lines.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root));
        for extension in &self.extensions {
            text.push_str(extension);
            text.push('\n');
        }
        text
    }

    /// Reads [`Checkpoint::to_text`] back; or says what is wrong. Only that very text is taken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.strip_suffix('\n').ok_or("its last line has no end")?.split('\n');
        let mut line = |what: &str| lines.next().filter(|line| !line.is_empty()).ok_or(format!("it has no {what}"));
        let (origin, size, root) = (line("origin")?, line("size")?, line("root")?);
        let size: u64 = size.parse().map_err(|_| "its second line is no number of entries")?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or("its third line is not base64 of 32 bytes")?;
        let checkpoint =
            Self { origin: origin.to_owned(), size, root, extensions: lines.map(ToOwned::to_owned).collect() };
        if checkpoint.extensions.iter().any(String::is_empty) || checkpoint.to_text() != text {
            return Err("it is not written as a checkpoint is".to_owned());
        }
        Ok(checkpoint)
    }

    /// When it was made, as it says.
    pub fn time(&self) -> Option<Timestamp> {
        let time = self.extensions.iter().find_map(|line| line.strip_prefix(TIME))?;
        Timestamp::parse(time)
    }
}

impl SignedCheckpoint {
    /// With no signature yet.
    pub(crate) fn unsigned(checkpoint: Checkpoint) -> Self {
        Self { note: Note::unsigned(checkpoint.to_text()), checkpoint }
    }

    /// Reads the text of a signed note back; or says what is wrong. Who signed it is not looked at.
    pub fn parse(note: &str) -> Result<Self, String> {
        let note = Note::parse(note)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// What was signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// As text, with its signatures.
    pub fn note(&self) -> &Note {
        &self.note
    }

    pub(crate) fn note_mut(&mut self) -> &mut Note {
        &mut self.note
    }
}
