//! What is appended is there, once, in order, whoever reads it.

use daemoneye_dsl::audit::{Action, Event};
use daemoneye_dsl::types::Timestamp;

use super::{entries, entries_from as all, event, events};
use crate::Error;
use crate::ledger::{Against, Appended, Blake3, Digest, Frontier, Ledger, Order, ReadLedger, SigningKey};
use crate::memory::Memory;

#[test]
fn entries_come_back_in_order_from_both_ends() {
    let ledger = Ledger::in_memory().unwrap();
    let mut tree = Frontier::default();
    for (n, batch) in [0..1, 1..2, 2..700, 700..701, 701..2000].into_iter().enumerate() {
        let now = Timestamp(i64::try_from(n).unwrap());
        let appended = ledger.append(&events(batch.clone()), now).unwrap();
        assert_eq!(appended, Appended { entries: batch, repeated: 0 });
    }
    let view = ledger.read().unwrap();
    let forwards = entries(&view);
    assert_eq!(forwards.iter().map(|entry| entry.event.clone()).collect::<Vec<_>>(), events(0..2000));
    for (sequence, entry) in (0..).zip(&forwards) {
        assert_eq!(entry.sequence, sequence);
        tree.push(entry.leaf());
        assert_eq!(view.root(sequence + 1).unwrap(), Some(tree.root()));
        assert_eq!(view.entry(sequence).unwrap().as_ref(), Some(entry));
    }
    assert_eq!(view.head().unwrap().tree, tree);
    assert_eq!(view.entry(2000).unwrap(), None);
    assert_eq!(view.root(2001).unwrap(), None);
    let mut backwards = all(&view, u64::MAX, Order::Backwards);
    backwards.reverse();
    assert_eq!(backwards, forwards);
    assert_eq!(all(&view, 1234, Order::Forwards), forwards[1234..]);
    let mut before = all(&view, 1234, Order::Backwards);
    before.reverse();
    assert_eq!(before, forwards[..1234]);
}

#[test]
fn an_event_is_in_once_however_often_it_comes() {
    let ledger = Ledger::in_memory().unwrap();
    ledger.append(&events(0..10), Timestamp(5)).unwrap();
    let mixed: Vec<Event> = events(5..12).into_iter().chain(events(11..12)).chain([event("run/b", 3)]).collect();
    let appended = ledger.append(&mixed, Timestamp(4)).unwrap();
    assert_eq!(appended, Appended { entries: 10..13, repeated: 6 });
    assert_eq!(ledger.last_of("outbox/a").unwrap(), Some(11));
    assert_eq!(ledger.last_of("run/b").unwrap(), Some(3));
    assert_eq!(ledger.last_of("c").unwrap(), None);
    assert_eq!(ledger.append(&mixed, Timestamp(9)).unwrap(), Appended { entries: 13..13, repeated: 9 });
    let found = entries(&ledger.read().unwrap());
    assert_eq!(found[12].event, event("run/b", 3));
    assert!(found.iter().all(|entry| entry.recorded == Timestamp(5)), "the clock does not go back");
}

#[test]
fn origins_that_were_not_heard_for_long_are_forgotten_and_outboxes_never() {
    let ledger = Ledger::in_memory().unwrap();
    ledger.append(&events(0..1), Timestamp(0)).unwrap();
    let runs: Vec<_> = (0..5000).map(|run| event(&format!("run/{run}"), 0)).collect();
    for runs in runs.chunks(1000) {
        ledger.append(runs, Timestamp(0)).unwrap();
    }
    assert_eq!(ledger.last_of("outbox/a").unwrap(), Some(0));
    assert_eq!(ledger.last_of("run/0").unwrap(), None);
    assert_eq!(ledger.last_of("run/4999").unwrap(), Some(0));
}

#[test]
fn what_cannot_be_an_entry_is_refused_and_nothing_with_it_is_in() {
    let ledger = Ledger::in_memory().unwrap();
    let long = Event { payload: "x".repeat(70_000), ..event("outbox/a", 1) };
    let error = ledger.append(&[event("outbox/a", 0), long], Timestamp(0)).unwrap_err().to_string();
    assert_eq!(
        error,
        "refused: the payload of event 1 of \"outbox/a\" has 70000 bytes, and 65536 are possible; cut it"
    );
    let rotation = Event { action: Action::KeyRotated, ..event("outbox/a", 0) };
    assert!(matches!(ledger.append(&[rotation], Timestamp(0)), Err(Error::Refused(_))));
    assert_eq!(ledger.read().unwrap().size().unwrap(), 0);
}

#[test]
fn a_ledger_without_entries_is_whole() {
    let ledger = Ledger::in_memory().unwrap();
    let view = ledger.read().unwrap();
    let verified = view.verify(&Against::default(), 2, &|_| {}).unwrap().unwrap();
    assert_eq!((verified.entries, verified.checkpoints, verified.keys.len()), (0..0, 0, 1));
    assert_eq!(verified.root, Blake3::digest(&[]));
    assert_eq!(
        view.prove(0).unwrap_err().to_string(),
        "refused: there is no entry 0: the ledger has 0, numbered from 0"
    );
}

#[test]
fn large_entries_have_blocks_of_their_own() {
    let ledger = Ledger::in_memory().unwrap();
    let sizes = [10, 65_536, 65_536, 10, 16_000, 16_360, 10, 40_000, 10];
    let large = (0..).zip(sizes).map(|(n, len)| Event { payload: "x".repeat(len), ..event("outbox/a", n) });
    let large: Vec<_> = large.collect();
    ledger.append(&large, Timestamp(0)).unwrap();
    let view = ledger.read().unwrap();
    for (sequence, event) in (0..).zip(large) {
        assert_eq!(view.entry(sequence).unwrap().unwrap().event, event);
    }
    assert_eq!(all(&view, u64::MAX, Order::Backwards).len(), sizes.len());
}

#[test]
fn a_checkpoint_is_signed_once_for_a_size() {
    let (file, key) = (Memory::default(), SigningKey::generate().unwrap());
    let handle = file.open_again();
    let ledger = Ledger::on_each(move || handle.open_again(), key.clone()).unwrap();
    assert_eq!(ledger.checkpoint(Timestamp(0)).unwrap(), None);
    ledger.append(&events(0..3), Timestamp(7)).unwrap();
    let view = ledger.read().unwrap();
    let signed = ledger.checkpoint(Timestamp(5)).unwrap().unwrap();
    assert_eq!(signed.checkpoint().size, 3);
    assert_eq!(signed.checkpoint().time(), Some(Timestamp(7)));
    assert_eq!(Some(signed.checkpoint().root), view.root(3).unwrap());
    assert!(signed.note().is_signed_by(&key.public(&view.origin().unwrap())));
    assert!(!signed.note().is_signed_by(&SigningKey::generate().unwrap().public(&view.origin().unwrap())));
    assert_eq!(ledger.checkpoint(Timestamp(8)).unwrap(), None);
    assert_eq!(view.checkpoint().unwrap(), None, "a view is of one moment");
    assert_eq!(ledger.read().unwrap().checkpoint().unwrap(), Some(signed));
    drop((ledger, view));
    let other = Ledger::on_each(move || file.open_again(), SigningKey::generate().unwrap());
    assert!(other.err().unwrap().to_string().contains("is not the one that signs it"));
}

#[test]
fn a_ledger_in_a_file_is_read_beside_its_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    ledger.append(&events(0..3), Timestamp(1)).unwrap();
    let beside = ReadLedger::open(&path).unwrap();
    assert_eq!(beside.read().unwrap().size().unwrap(), 3);
    ledger.append(&events(3..5), Timestamp(2)).unwrap();
    ledger.checkpoint(Timestamp(3)).unwrap().unwrap();
    assert_eq!(beside.read().unwrap().size().unwrap(), 5);
    drop(ledger);
    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(ledger.append(&events(4..6), Timestamp(2)).unwrap(), Appended { entries: 5..6, repeated: 1 });
    let names: std::collections::BTreeSet<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, ["ledger.key", "ledger.pub", "ledger.redb"].map(str::to_owned).into());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("ledger.key"), mode("ledger.pub"), mode("ledger.redb")], [0o400, 0o644, 0o600]);
    }
}
