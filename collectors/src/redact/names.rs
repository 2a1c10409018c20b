//! Which names of flags, variables and JSON keys say that their value is a secret.
//!
//! The parts are those that gitleaks, detect-secrets and GitHub's push protection look for; the exceptions are what
//! common programs call things that are *about* a secret: where it is stored, how long it lives, whether to ask for it.

use super::NAME_LEN_MAX;

/// A name with one of these in it names a secret.
pub(super) const PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "privatekey",
    "access_key",
    "accesskey",
    "credential",
    "bearer",
    "sshpass",
];

/// So does one that ends like this.
const ENDS: &[&str] = &["_pwd", "_pass"];

/// And these, as flags: the variable PWD is the working folder.
const FLAGS: &[&str] = &["pass", "pwd"];

/// What the name is about, when not the secret itself: its last word.
const ABOUT: &[&str] = &[
    "file",
    "path",
    "dir",
    "directory",
    "folder",
    "id",
    "name",
    "type",
    "kind",
    "url",
    "uri",
    "endpoint",
    "host",
    "port",
    "ttl",
    "expiry",
    "expires",
    "expiration",
    "timeout",
    "lifetime",
    "interval",
    "age",
    "length",
    "len",
    "max",
    "min",
    "size",
    "count",
    "limit",
    "budget",
    "policy",
    "prompt",
    "command",
    "cmd",
    "mode",
    "version",
    "store",
    "provider",
    "helper",
    "fd",
    "stdin",
    "env",
    "alg",
    "algorithm",
    "format",
    "method",
    "issuer",
    "audience",
    "scope",
    "user",
    "username",
    "enabled",
    "parallelism",
];

/// Flags that begin like this act on secrets or say whether there is one.
const ACTS: &[&str] = &[
    "no_",
    "ask_",
    "prompt_",
    "require_",
    "disable_",
    "enable_",
    "use_",
    "with_",
    "without_",
    "skip_",
    "list_",
    "export_",
    "delete_",
    "get_",
    "show_",
    "create_",
    "generate_",
    "rotate_",
    "allow_",
    "max_token",
    "min_token",
    "num_token",
    "n_token",
    "tokeniz",
    "load",
];

/// A value of these that is a path is where the secret is.
const MAY_BE_PATHS: &[&str] = &["private_key", "privatekey", "credential", "pwd"];

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--name` or `-name`.
    Flag,
    /// `NAME=`, a JSON key, a parameter of a URL.
    Variable,
}

/// Whether bytes can be a name at all.
pub(super) fn is_name(name: &[u8]) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len()) && name.iter().all(|byte| is_name_byte(*byte))
}

/// Letters, digits and what joins them.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The name without the hyphens of a flag.
pub(super) fn bare(name: &[u8]) -> &[u8] {
    let hyphens = name.iter().take_while(|byte| **byte == b'-').count();
    &name[hyphens..]
}

/// One form for all spellings.
pub(super) fn normal(name: &[u8]) -> String {
    let byte = |byte: &u8| match byte {
        b'-' | b'.' => '_',
        other => char::from(other.to_ascii_lowercase()),
    };
    bare(name).iter().map(byte).collect()
}

/// Whether the value of this name, in its [`normal`] form, is a secret.
pub(super) fn is_secret(name: &str, kind: Kind) -> bool {
    let about = name.rsplit('_').next().is_some_and(|last| ABOUT.contains(&last));
    let names_one = PARTS.iter().any(|part| name.contains(part))
        || ENDS.iter().any(|end| name.ends_with(end))
        || kind == Kind::Flag && FLAGS.contains(&name);
    names_one && !about && !ACTS.iter().any(|act| name.starts_with(act))
}

/// Whether this value of a secret's name is plainly none.
pub(super) fn is_harmless(name: &str, value: &[u8]) -> bool {
    let switch = ["true", "false", "yes", "no", "on", "off", "none", "null", "0", "1"];
    let is_path = [&b"/"[..], b"./", b"../", b"~/"].iter().any(|start| value.starts_with(start));
    // `docker build --secret id=npm,src=.npmrc` names a file.
    let is_reference = name == "secret" && [&b"id="[..], b"type=", b"source="].iter().any(|at| value.starts_with(at));
    switch.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        || is_path && MAY_BE_PATHS.iter().any(|part| name.contains(part))
        || is_reference
}
