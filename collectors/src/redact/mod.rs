//! Secrets in arguments and environments, replaced before anything leaves this process.
//!
//! ```text
//! bytes of /proc ─ hint: nothing suspicious? ─► unchanged
//!                └ find (names, programs, patterns) ─► ranges ─► each becomes [redacted:1a2b3c4d]
//! ```
//!
//! Rules only *find* ranges; they are replaced in one place, here. The eight digits are a keyed BLAKE3 of the secret
//! under a key of this host, so that equal secrets stay equal on one host, in every process and column, and differ
//! between hosts. That protects what is stored and sent from giving secrets away. It does not protect a weak secret
//! from whoever holds both the tokens and this host's machine id: they can confirm a guess (and 32 bits agree by
//! chance once in four thousand million).
//!
//! What must hold: what is redacted once does not change when redacted again; an argument or entry never becomes two;
//! an empty value stays empty. `executable_path`, `name` and `cwd` never come here. The price is that something which
//! only looks like a secret cannot be searched for: rules should not rely on the value of a flag called `--password`.
//!
//! Not found: secrets given without a name (`echo hunter2 | passwd --stdin`, `htpasswd -b file user hunter2`), values
//! that begin with `-`, names of flags that only their program knows ([`Redactor::also`] takes those), encoded text.

mod find;
mod names;
mod patterns;
mod programs;
#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use daemoneye_dsl::types::hex;
use uuid::Uuid;

use self::find::{Finder, Rules};

/// Names besides ours that one redactor takes.
pub const NAMES_MAX: usize = 64;
/// Bytes of such a name.
pub const NAME_LEN_MAX: usize = 64;

const CONTEXT: &str = "daemoneye collectors 2026 redaction token key v1";
const PREFIX: &[u8] = b"[redacted:";
const TOKEN_LEN: usize = PREFIX.len() + 8 + 1;

/// The second finds something in very odd text only, and so on.
const PASSES_MAX: usize = 8;

/// Where a host's own id stands: systemd's, D-Bus's, and for this boot only the kernel's.
const HOST_IDS: [&str; 3] = ["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/sys/kernel/random/boot_id"];

/// Made once, because compiling expressions takes milliseconds.
static OURS: LazyLock<Arc<Rules>> = LazyLock::new(|| Arc::new(Rules::new(&[])));

/// Replaces secrets.
#[derive(Clone, Debug)]
pub struct Redactor(Option<Active>);

#[derive(Clone, Debug)]
struct Active {
    key: [u8; 32],
    rules: Arc<Rules>,
}

/// A name that cannot be one of a flag or variable.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Not letters, digits, `-`, `_` and `.`, or of the wrong length.
    #[error("`{0}` is no name of a flag or variable: 1 to {NAME_LEN_MAX} letters, digits, `-`, `_` or `.`")]
    Malformed(String),
    /// Too many.
    #[error("{0} names to redact; {NAMES_MAX} are the most")]
    TooMany(usize),
}

impl Redactor {
    /// With this host's key: of its machine id, else of its boot id, else one that holds until the program ends.
    pub fn of_this_host() -> Self {
        let id = HOST_IDS.iter().filter_map(|path| fs::read(path).ok()).find(|id| !id.trim_ascii().is_empty());
        Self::with_host_id(&id.unwrap_or_else(|| Uuid::new_v4().as_bytes().to_vec()))
    }

    /// With the key of the host that has this id.
    pub fn with_host_id(id: &[u8]) -> Self {
        Self(Some(Active { key: blake3::derive_key(CONTEXT, id.trim_ascii()), rules: OURS.clone() }))
    }

    /// One that changes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// The same, where flags and variables with these names hold secrets too. Case does not matter, nor do leading
    /// hyphens; `-`, `_` and `.` are the same.
    pub fn also(mut self, names: &[String]) -> Result<Self, NameError> {
        if names.len() > NAMES_MAX {
            return Err(NameError::TooMany(names.len()));
        }
        if let Some(wrong) = names.iter().find(|name| !names::is_name(names::bare(name.as_bytes()))) {
            return Err(NameError::Malformed(wrong.clone()));
        }
        if let Some(active) = self.0.as_mut().filter(|_| !names.is_empty()) {
            active.rules = Arc::new(Rules::new(names));
        }
        Ok(self)
    }

    /// Arguments, each ended by a NUL.
    pub fn arguments<'a>(&self, area: &'a [u8]) -> Cow<'a, [u8]> {
        self.replaced(area, |finder: &mut Finder<'_>| finder.arguments())
    }

    /// Entries `NAME=value`, each ended by a NUL.
    pub fn environment<'a>(&self, area: &'a [u8]) -> Cow<'a, [u8]> {
        self.replaced(area, |finder: &mut Finder<'_>| finder.environment())
    }

    /// Looks again at what it has changed: a token may have taken the place of what parted two words.
    fn replaced<'a>(&self, area: &'a [u8], find: impl Fn(&mut Finder<'_>)) -> Cow<'a, [u8]> {
        let mut area = Cow::Borrowed(area);
        let Some(active) = &self.0 else { return area };
        for _ in 0..PASSES_MAX {
            let mut finder = Finder::new(&active.rules, &area);
            find(&mut finder);
            let mut secrets = united(finder.found);
            secrets.retain(|secret| !is_token(&area[secret.clone()]));
            if secrets.is_empty() {
                break;
            }
            area = Cow::Owned(active.replace(&area, &secrets));
        }
        area
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::of_this_host()
    }
}

impl Active {
    fn replace(&self, area: &[u8], secrets: &[Range<usize>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(area.len() + secrets.len() * TOKEN_LEN);
        let mut copied = 0;
        for secret in secrets {
            out.extend_from_slice(&area[copied..secret.start]);
            self.append(&area[secret.clone()], &mut out);
            copied = secret.end;
        }
        out.extend_from_slice(&area[copied..]);
        out
    }

    fn append(&self, secret: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(PREFIX);
        out.extend_from_slice(hex(&blake3::keyed_hash(&self.key, secret).as_bytes()[..4]).as_bytes());
        out.push(b']');
    }
}

/// Whether this was redacted before.
fn is_token(value: &[u8]) -> bool {
    let digits = value.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(b"]"));
    digits.is_some_and(|digits| digits.len() == 8 && digits.iter().all(u8::is_ascii_hexdigit))
}

/// In order, those that overlap or touch as one.
fn united(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}
