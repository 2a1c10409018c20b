//! The file to which checkpoints are appended, and what its last one says of the ledger.
//!
//! Signed notes, each followed by an empty line, the newest last. It is best kept on another host: then whoever owns this
//! one cannot make it fit a ledger that was changed.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use daemoneye_storage::Error;
use daemoneye_storage::ledger::{LedgerView, NOTE_LEN_MAX, SignedCheckpoint};

/// Adds a checkpoint to the end, durably.
pub(super) fn append(path: &Path, note: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_data()
}

/// How a checkpoint that was exported contradicts a ledger; nothing where it does not.
pub(in crate::ledger) fn contradiction(
    known: io::Result<SignedCheckpoint>,
    ledger: &LedgerView,
) -> Result<Option<String>, Error> {
    let signed = match known {
        Ok(signed) => signed,
        Err(error) => return Ok(Some(format!("the exported checkpoints cannot be read: {error}"))),
    };
    let (known, size, origin) = (signed.checkpoint(), ledger.size()?, ledger.origin()?);
    let at = known.time().map(|at| format!(" of {}", at.rfc3339())).unwrap_or_default();
    let checkpoint = format!("the exported checkpoint{at} over {} entries", known.size);
    Ok(if known.origin != origin {
        Some(format!("{checkpoint} is of another ledger, {}: this one, {origin}, took its place", known.origin))
    } else if known.size > size {
        Some(format!("{checkpoint}: there are {size}, entries were cut off or an older copy was put back"))
    } else if ledger.root(known.size)? != Some(known.root) {
        Some(format!("{checkpoint} has another root than these entries: they were changed"))
    } else {
        None
    })
}

/// The last checkpoint in the file.
pub(super) fn last(path: &Path) -> io::Result<Option<SignedCheckpoint>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(NOTE_LEN_MAX as u64)))?;
    let mut end = Vec::new();
    file.take(NOTE_LEN_MAX as u64).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    // A note has an empty line of its own, between its text and its signatures.
    let mut parts = end.trim_end_matches('\n').rsplit("\n\n");
    let (Some(signatures), Some(text)) = (parts.next(), parts.next()) else { return Ok(None) };
    let note = format!("{}\n\n{signatures}\n", text.trim_start_matches('\n'));
    SignedCheckpoint::parse(&note).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::audit::{Action, Actor, EventId, Fact};
    use daemoneye_dsl::types::Timestamp;
    use daemoneye_storage::ledger::Ledger;
    use serde_json::json;

    use super::*;

    fn grow(ledger: &Ledger, subjects: &[&str]) -> String {
        let events: Vec<_> = subjects.iter().zip(ledger.read().unwrap().size().unwrap() + 1..).collect();
        let event = |(subject, number): (&&str, u64)| {
            let fact = Fact::new(Timestamp(0), Actor::default(), Action::AlertRaised, subject, &json!({}));
            fact.numbered(EventId { origin: "o".to_owned(), number })
        };
        ledger.append(&events.into_iter().map(event).collect::<Vec<_>>(), Timestamp(0)).unwrap();
        ledger.checkpoint(Timestamp(0)).unwrap().unwrap().note().to_string()
    }

    #[test]
    fn a_ledger_that_was_cut_changed_or_replaced_contradicts_what_was_exported() {
        let dir = tempfile::tempdir().unwrap();
        let (path, exported) = (dir.path().join("l.redb"), dir.path().join("exported"));
        let found = |ledger: &Ledger| {
            let known = last(&exported).transpose();
            known.and_then(|known| contradiction(known, &ledger.read().unwrap()).unwrap())
        };
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(found(&ledger), None);
        append(&exported, &grow(&ledger, &["a"])).unwrap();
        drop(ledger);
        std::fs::copy(&path, dir.path().join("older")).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        append(&exported, &grow(&ledger, &["b", "c"])).unwrap();
        assert_eq!(found(&ledger), None);
        grow(&ledger, &["d"]);
        assert_eq!(found(&ledger), None, "it is a beginning of it");
        drop(ledger);
        std::fs::copy(dir.path().join("older"), &path).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert!(found(&ledger).unwrap().contains("over 3 entries: there are 1"), "{:?}", found(&ledger));
        grow(&ledger, &["x", "y"]);
        assert!(found(&ledger).unwrap().contains("another root"), "{:?}", found(&ledger));
        let other = Ledger::in_memory().unwrap();
        assert!(found(&other).unwrap().contains("another ledger"), "{:?}", found(&other));
        std::fs::write(&exported, "\n\nnonsense\n\n\u{1b}").unwrap();
        assert!(found(&other).unwrap().contains("cannot be read"));
    }
}
