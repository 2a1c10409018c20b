//! The key that signs checkpoints: a file beside the ledger that its owner alone can read, and not change.
//!
//! The file has 64 hexadecimal digits, an Ed25519 seed; the public key is written beside it for whoever verifies
//! elsewhere. The name of a key is that of its ledger: the same seed for another ledger is another key.

use std::fmt::{self, Debug, Formatter};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signer, SigningKey as Ed25519};
use zeroize::Zeroizing;

use super::hash::hex;
use super::note::{KeyKind, Note, PublicKey, Signature, cosigned};
use crate::Error;
use crate::file::sync_folder;

const SEED_LEN: usize = 32;

/// A secret key. Forgotten by the memory when dropped.
#[derive(Clone)]
pub struct SigningKey(Ed25519);

impl Debug for SigningKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        getrandom::fill(&mut *seed).map_err(|error| {
            Error::Refused(format!("the system gives no random bytes for a key: {error}; try again later"))
        })?;
        Ok(Self(Ed25519::from_bytes(&seed)))
    }

    /// What its signatures are checked with, under a name.
    pub fn public(&self, name: &str) -> PublicKey {
        PublicKey::new(name, KeyKind::Text, self.0.verifying_key())
    }

    /// What its cosignatures are checked with, under a witness's name.
    pub fn witness(&self, name: &str) -> PublicKey {
        PublicKey::new(name, KeyKind::Cosignature, self.0.verifying_key())
    }

    /// Signs a note's text, under a name.
    pub fn sign(&self, name: &str, note: &Note) -> Signature {
        let bytes = self.0.sign(note.text().as_bytes()).to_bytes().to_vec();
        Signature { name: name.to_owned(), id: self.public(name).id(), bytes }
    }

    /// Signs a checkpoint's text as a witness that saw it at a time, in seconds since 1970 UTC.
    pub fn cosign(&self, name: &str, note: &Note, time: u64) -> Signature {
        let signature = self.0.sign(&cosigned(time, note.text())).to_bytes();
        let bytes = [time.to_be_bytes().as_slice(), &signature].concat();
        Signature { name: name.to_owned(), id: self.witness(name).id(), bytes }
    }

    /// The key in a file; nothing if there is none. One that others could have read or written is refused.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |error| failed(path, &error);
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(file) => check_private(&file).map_err(failed)?,
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        let seed = seed(&text).ok_or_else(|| {
            failed(io::Error::new(
                ErrorKind::InvalidData,
                format!("it does not hold {} hexadecimal digits", 2 * SEED_LEN),
            ))
        })?;
        Ok(Some(Self(Ed25519::from_bytes(&seed))))
    }

    /// Writes it into a new file that only this user can read; whole, or not at all.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let seed = Zeroizing::new(self.0.to_bytes());
        let text = Zeroizing::new(hex(&*seed));
        write_whole(path, text.as_bytes(), 0o400).map_err(|error| failed(path, &error))
    }
}

/// Writes what a key is checked with, for everybody to read.
pub(crate) fn publish(key: &PublicKey, path: &Path) -> Result<(), Error> {
    write_whole(path, format!("{key}\n").as_bytes(), 0o644).map_err(|error| failed(path, &error))
}

/// Where the secret key of a ledger is.
pub(crate) fn secret_path(ledger: &Path) -> PathBuf {
    ledger.with_extension("key")
}

/// Where the key is that a rotation is about to put in its place.
pub(crate) fn next_path(ledger: &Path) -> PathBuf {
    ledger.with_extension("key.next")
}

/// Where the public key of a ledger is.
pub fn public_path(ledger: &Path) -> PathBuf {
    ledger.with_extension("pub")
}

/// Puts the next key in the place of the ledger's, or takes it away where the ledger does not name it.
pub(crate) fn finish_rotation(ledger: &Path, is_named: bool) -> Result<(), Error> {
    let (next, secret) = (next_path(ledger), secret_path(ledger));
    let moved = if is_named { fs::rename(&next, &secret) } else { fs::remove_file(&next) };
    moved.and_then(|()| sync_folder(&secret)).map_err(|error| failed(&secret, &error))
}

/// A ledger was signed, and its key is gone.
pub(crate) fn missing(path: &Path) -> Error {
    failed(path, &ErrorKind::NotFound.into())
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let next = "restore it from a backup, or move the ledger away with it, and the agent begins a new one";
    Error::Refused(format!("cannot use the key of the ledger at {}: {error}; {next}", path.display()))
}

fn seed(text: &str) -> Option<Zeroizing<[u8; SEED_LEN]>> {
    let (text, mut seed) = (text.trim_end().as_bytes(), Zeroizing::new([0; SEED_LEN]));
    if text.len() != 2 * SEED_LEN {
        return None;
    }
    for (byte, digits) in seed.iter_mut().zip(text.chunks(2)) {
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(seed)
}

/// Writes beside `path` first: a file that is half written must not be found there.
fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _a_file_is_whoevers_its_folder_is = mode;
    let mut file = options.open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_folder(path)
}

/// Whether nobody else can have read a file or changed it.
#[cfg(unix)]
fn check_private(file: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let refuse = |why: &str| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    if !file.is_file() {
        return refuse("it is no regular file");
    }
    if file.mode() & 0o077 != 0 {
        return refuse("others may read or write it, so it proves nothing");
    }
    Ok(())
}

/// A file is whoever's its folder is.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn check_private(_file: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
