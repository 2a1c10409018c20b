//! How both sides of a connection prove that they hold the same key, and what a key is.
//!
//! The proof of each is HMAC-SHA-256 under the key of: its label (`daemoneye broker` or `daemoneye client`), then what
//! both have said, each preceded by its length in eight bytes little-endian: protocol, role, kind of key, whether the
//! client can encrypt, the client's name, the client's nonce, the broker's nonce, the broker's `seal`, and of the client
//! the hash of the exchange of keys (see `seal.rs`; empty where there is none, as on the broker's side). Numbers are of
//! four bytes little-endian. Fresh nonces of both sides make a recorded proof worthless, the label
//! one that is sent back. The broker proves first, so that nobody who merely sits at its socket is taken for it.

use std::fmt::{self, Debug, Formatter};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::message::{Challenge, Hello};

/// Bytes of a key, a nonce and a proof.
pub const KEY_LEN: usize = 32;

/// A secret that two processes share. Forgotten by the memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Zeroizing<[u8; KEY_LEN]>);

impl Debug for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Which key a client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum KeyKind {
    /// That of the installation, kept in a file.
    Installation = 0,
    /// Given to this process when it was started.
    Spawn = 1,
}

/// Who proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Broker,
    Client,
}

impl Key {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        random().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Reads [`Key::to_text`] back.
    pub fn from_text(text: &str) -> Option<Self> {
        let (text, mut key) = (text.trim().as_bytes(), Zeroizing::new([0; KEY_LEN]));
        if text.len() != 2 * KEY_LEN {
            return None;
        }
        for (byte, digits) in key.iter_mut().zip(text.chunks(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        Some(Self(key))
    }

    /// 64 hexadecimal digits.
    pub fn to_text(&self) -> Zeroizing<String> {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("a nibble is a digit");
        Zeroizing::new(self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect())
    }

    /// The key in a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::KeyFile { path: path.to_owned(), source };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
        let damaged = || failed(io::Error::new(io::ErrorKind::InvalidData, "it does not hold 64 hexadecimal digits"));
        Self::from_text(&text).ok_or_else(damaged)
    }

    /// The broker's own key in a file; where there is none, a new one that only this user can read. One that others
    /// could have written or read is refused.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::KeyFile { path: path.to_owned(), source };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
            Ok(file) => {
                check_private(&file).map_err(failed)?;
                return Self::load(path);
            }
        }
        let key = Self::generate()?;
        // Under another name first: a key that is half written would lock everybody out.
        let draft = path.with_extension("new");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(key.to_text().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
        written.and_then(|()| fs::rename(&draft, path)).map_err(failed)?;
        Ok(key)
    }

    /// That this side holds the key; `exchange` is the hash of the exchange of keys, once there was one.
    pub(crate) fn prove(&self, side: Side, hello: &Hello, challenge: &Challenge, exchange: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&self.mac(side, hello, challenge, exchange).finalize().into_bytes())
    }

    /// Whether `proof` is the other side's, in the same time whatever differs.
    pub(crate) fn holds(
        &self,
        side: Side,
        (hello, challenge): (&Hello, &Challenge),
        exchange: &[u8],
        proof: &[u8],
    ) -> bool {
        self.mac(side, hello, challenge, exchange).verify_slice(proof).is_ok()
    }

    /// The secret that connections are encrypted from: of this key, and of no use to prove that one holds it.
    pub(crate) fn for_seals(&self) -> Zeroizing<[u8; KEY_LEN]> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes keys of any length");
        mac.update(b"daemoneye seal");
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    fn mac(&self, side: Side, hello: &Hello, challenge: &Challenge, exchange: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes keys of any length");
        mac.update(match side {
            Side::Broker => b"daemoneye broker",
            Side::Client => b"daemoneye client",
        });
        let can_seal = u32::from(hello.can_seal).to_le_bytes();
        let numbers = [challenge.protocol.to_le_bytes(), hello.role.to_le_bytes(), hello.key.to_le_bytes(), can_seal];
        let said = numbers.iter().map(|number| &number[..]);
        for part in said.chain([hello.name.as_bytes(), &hello.nonce, &challenge.nonce, &challenge.seal, exchange]) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

/// Whether a file is this user's, and nobody but its group can read it.
#[cfg(unix)]
fn check_private(file: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if !file.is_file() {
        return refuse("it is no regular file");
    }
    if file.uid() != nix::unistd::geteuid().as_raw() {
        return refuse("it belongs to another user");
    }
    if file.mode() & 0o027 != 0 {
        return refuse("others may read or write it: delete it, and a new one is made");
    }
    Ok(())
}

/// A file is whoever's its folder is.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
fn check_private(_file: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Bytes that nobody can guess.
pub(crate) fn nonce() -> Result<Bytes, Error> {
    random().map(|bytes| Bytes::copy_from_slice(&bytes))
}

fn random() -> Result<[u8; KEY_LEN], Error> {
    let mut bytes = [0; KEY_LEN];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Invalid(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> (Hello, Challenge) {
        let hello = Hello { name: "a".to_owned(), nonce: nonce().unwrap(), ..Hello::default() };
        (hello, Challenge { protocol: 1, nonce: nonce().unwrap(), ..Challenge::default() })
    }

    #[test]
    fn a_proof_is_of_one_key_one_side_and_one_conversation() {
        let (key, (hello, challenge)) = (Key::generate().unwrap(), said());
        let proof = key.prove(Side::Client, &hello, &challenge, b"hash");
        let holds = |key: &Key, side, hello, challenge, exchange: &[u8], proof: &[u8]| {
            key.holds(side, (hello, challenge), exchange, proof)
        };
        assert!(holds(&key, Side::Client, &hello, &challenge, b"hash", &proof));
        assert!(!holds(&key, Side::Broker, &hello, &challenge, b"hash", &proof), "sent back");
        let other = Key::generate().unwrap();
        assert!(!holds(&other, Side::Client, &hello, &challenge, b"hash", &proof), "another key");
        let (other_hello, other_challenge) = said();
        assert!(!holds(&key, Side::Client, &other_hello, &challenge, b"hash", &proof), "recorded");
        assert!(!holds(&key, Side::Client, &hello, &other_challenge, b"hash", &proof), "recorded");
        let role = Hello { role: 1, ..hello.clone() };
        assert!(!holds(&key, Side::Client, &role, &challenge, b"hash", &proof), "another role");
        let can_seal = Hello { can_seal: true, ..hello.clone() };
        assert!(!holds(&key, Side::Client, &can_seal, &challenge, b"hash", &proof), "talked out of encryption");
        let sealed = Challenge { seal: Bytes::from_static(b"first"), ..challenge.clone() };
        assert!(!holds(&key, Side::Client, &hello, &sealed, b"hash", &proof), "talked into it");
        assert!(!holds(&key, Side::Client, &hello, &challenge, b"", &proof), "another exchange");
        assert!(!holds(&key, Side::Client, &hello, &challenge, b"hash", &proof[..31]), "cut");
    }

    #[test]
    fn keys_come_back_from_their_file_and_do_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = Key::load_or_create(&path).unwrap();
        assert!(Key::load_or_create(&path).unwrap() == key);
        assert_eq!(format!("{key:?}"), "Key(…)");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let error = Key::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("others may read or write it"), "{error}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        }
        for damaged in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
            fs::write(&path, damaged).unwrap();
            let error = Key::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }
}
