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

/// What the system says of a process that is not ours to wait for, by its folder in `/proc` and when it began. While its
/// file is opened it may end and its number be given to another; that it began at the same time before and after shows
/// that it was the same. (What it began with it may have handed to another process, as its connection: that is not seen.)
pub(crate) fn stranger(process: &Path, began: Option<&str>) -> Program {
    let found = program(process);
    let is_same = began.is_some() && self::began(process).as_deref() == began;
    if is_same {
        return found;
    }
    let why = "it ended before its program was read, or the system does not say which process it is";
    Program { file: json!({"path": null, "blake3": null, "unread": why}), privileges: json!({"unread": why}) }
}

/// When a process began, as the system writes it: in ticks since the system did.
pub(crate) fn began(process: &Path) -> Option<String> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // Its name stands in parentheses and may hold any character.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_not_taken_for_another_of_the_same_number() {
        let own = Path::new("/proc/self");
        let began = began(own);
        assert!(began.as_ref().is_some_and(|ticks| ticks.parse::<u64>().is_ok_and(|ticks| ticks > 0)), "{began:?}");
        assert!(stranger(own, began.as_deref()).file["blake3"].is_string());
        for other in [Some("1"), None] {
            let found = stranger(own, other);
            assert!(found.file["blake3"].is_null() && found.file["path"].is_null(), "{}", found.file);
            assert!(found.file["unread"].as_str().is_some_and(|why| why.contains("ended before")));
        }
    }
}
