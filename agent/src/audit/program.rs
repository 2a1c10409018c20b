//! What a running program is, as the system says it.

use std::path::Path;

use serde_json::{Value, json};

/// What a running program is.
pub(crate) struct Program {
    /// Its file's path and BLAKE3.
    pub(crate) file: Value,
    /// Its users, groups and capabilities, as the system writes them.
    pub(crate) privileges: Value,
}

/// What the system says of a process, by its folder in `/proc`.
pub(crate) fn program(process: &Path) -> Program {
    let path = std::fs::read_link(process.join("exe"));
    let file = std::fs::File::open(process.join("exe"));
    let hash = file.and_then(|file| {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file)?;
        Ok(hasher.finalize().to_hex().to_string())
    });
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let said = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let file = json!({
        "path": path.map(|path| path.display().to_string()).ok(),
        "blake3": hash.as_deref().ok(),
        "unread": hash.as_ref().err().map(ToString::to_string),
    });
    let names = ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"];
    let privileges = names.iter().map(|name| ((*name).to_owned(), json!(said(name)))).collect();
    Program { file, privileges: Value::Object(privileges) }
}
