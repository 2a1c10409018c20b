//! Signed notes, as C2SP `signed-note` has them: text that people can read, and who signed it.
//!
//! ```text
//! daemoneye/5f0c…            the text: lines of UTF-8 without control characters, the last ends too
//! 12904
//! nzzB…=
//!                            an empty line
//! — daemoneye/5f0c… 7SLa…=   a line for each signature: an em dash, the key's name, base64 of the key's id (four
//!                            bytes, big-endian) and the signature
//! ```
//!
//! What is signed is the text with the end of its last line. A public key is written `name+id+base64(kind ‖ key)`, the
//! id as eight hexadecimal digits: the first four bytes of SHA-256 over name, line feed, kind and key. The kinds here:
//! 1, Ed25519 over the text, and 4, Ed25519 `cosignature/v1` of a witness, which signs a time with it
//! (C2SP `tlog-cosignature`).

use std::fmt::{self, Display};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use sha2::{Digest, Sha256};

/// Bytes of a note.
pub const NOTE_LEN_MAX: usize = 64 << 10;
/// Signatures under one.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of a key's name.
const NAME_LEN_MAX: usize = 256;

/// Text and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// One line below a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: u32,
    /// What the key's kind says it is.
    pub bytes: Vec<u8>,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// The text of a note.
    Text,
    /// The text and the time at which a witness saw it.
    Cosignature,
}

/// A key that signatures are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl KeyKind {
    fn byte(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Cosignature => 4,
        }
    }
}

impl PublicKey {
    /// A key under a name.
    pub fn new(name: &str, kind: KeyKind, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), kind, key }
    }

    /// Reads `name+id+base64` back; or says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it is not written `name+id+key`".to_owned());
        };
        if !is_name(name) {
            return Err("its name is empty, too long, or has a space or a plus".to_owned());
        }
        let bytes = STANDARD.decode(key).map_err(|_| "what follows its id is not base64")?;
        let (kind, key) = bytes.split_first().ok_or("what follows its id is empty")?;
        let kind = [KeyKind::Text, KeyKind::Cosignature].into_iter().find(|known| known.byte() == *kind);
        let kind = kind.ok_or_else(|| format!("it is of kind {}, and this program knows 1 and 4", bytes[0]))?;
        let key: &[u8; 32] = key.try_into().map_err(|_| format!("it has {} bytes, and 32 are needed", key.len()))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| "its bytes are no point of the curve")?;
        let public = Self { name: name.to_owned(), kind, key };
        if id != format!("{:08x}", public.id()) {
            return Err(format!("its id is {id}, and that of its key is {:08x}", public.id()));
        }
        Ok(public)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What signatures name it by, beside its name.
    pub fn id(&self) -> u32 {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([b'\n', self.kind.byte()]);
        hash.update(self.key.as_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
        u32::from_be_bytes([a, b, c, d])
    }

    /// Whether a signature names this key.
    pub fn is_named_by(&self, signature: &Signature) -> bool {
        self.name == signature.name && self.id() == signature.id
    }

    /// Whether a signature below the text is this key's.
    pub fn signed(&self, text: &str, signature: &Signature) -> bool {
        let bytes = signature.bytes.as_slice();
        self.is_named_by(signature)
            && match self.kind {
                KeyKind::Text => self.holds(text.as_bytes(), bytes),
                KeyKind::Cosignature => bytes
                    .split_first_chunk()
                    .is_some_and(|(time, bytes)| self.holds(&cosigned(u64::from_be_bytes(*time), text), bytes)),
            }
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        Ed25519::from_slice(signature).is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

/// What a witness signs: that it saw the text at a time, in seconds since 1970 UTC.
pub(crate) fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

impl Note {
    /// A note that nobody signed yet; its text has whole lines, none of them empty.
    pub(crate) fn unsigned(text: String) -> Self {
        Self { text, signatures: Vec::new() }
    }

    /// Reads [`Note::to_string`] back; or says what is wrong.
    pub fn parse(note: &str) -> Result<Self, String> {
        if note.len() > NOTE_LEN_MAX {
            return Err(format!("it has {} bytes, and {NOTE_LEN_MAX} are possible", note.len()));
        }
        if note.chars().any(|char| char.is_control() && char != '\n') {
            return Err("it has control characters".to_owned());
        }
        let end = note.rfind("\n\n").ok_or("no empty line comes before its signatures")?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or("its last line has no end, or nobody signed it")?;
        let signatures = lines.split('\n').map(Signature::parse).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(format!("it has {} signatures, and {SIGNATURES_MAX} are possible", signatures.len()));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// What is signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Who signed it, as it says.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Whether that key signed it. A signature that names the key and is not its is as good as none.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signatures.iter().any(|signature| key.signed(&self.text, signature))
    }

    /// Adds a signature; false where it has that one, or there are as many as possible.
    pub(crate) fn add(&mut self, signature: Signature) -> bool {
        let is_new = self.signatures.len() < SIGNATURES_MAX && !self.signatures.contains(&signature);
        if is_new {
            self.signatures.push(signature);
        }
        is_new
    }
}

impl Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl Signature {
    fn parse(line: &str) -> Result<Self, String> {
        let (name, base64) = line
            .strip_prefix("— ")
            .and_then(|line| line.split_once(' '))
            .ok_or("a line below it is not written `— name signature`")?;
        if !is_name(name) {
            return Err("the name of a key below it is empty, too long, or has a space or a plus".to_owned());
        }
        let bytes = STANDARD.decode(base64).map_err(|_| "a signature below it is not base64")?;
        let (id, bytes) = bytes.split_first_chunk().ok_or("a signature below it is too short")?;
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }
}

impl Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.to_be_bytes().as_slice(), &self.bytes].concat();
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// The last of notes that follow one another: where its text begins, which has no empty line, to the end.
pub fn last_note(notes: &str) -> &str {
    let end = notes.trim_end_matches('\n').len();
    let notes = &notes[..notes.len().min(end + 1)];
    let Some((before, _)) = notes.rsplit_once("\n\n") else { return notes };
    // Its text begins behind the last signature before it.
    let begin = before.rfind("\n— ").and_then(|line| Some(line + 1 + before[line + 1..].find('\n')?));
    notes[begin.unwrap_or_default()..].trim_start_matches('\n')
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LEN_MAX && !name.contains(|char: char| char.is_whitespace() || char == '+')
}
