//! Real ledgers, changed in every way that somebody might, and what of it is seen with what is known.
//!
//! Who changes the file without the key is seen by anybody; who has the key as well, by who kept a checkpoint.

use std::sync::Mutex;

use daemoneye_dsl::audit::Event;
use daemoneye_dsl::types::Timestamp;
use redb::{ReadableTable, WriteTransaction};

use super::{entries, event, events};
use crate::file::File;
use crate::ledger::hash::hex;
use crate::ledger::tables::{BLOCKS, CHECKPOINTS, HEAD_KEY, KEYS, LEDGER, META, NODES, ORIGIN_KEY, ORIGINS};
use crate::ledger::{Against, Ledger, Mismatch, ReadLedger, SignedCheckpoint, SigningKey, Verified};
use crate::memory::Memory;
use crate::{Error, ReadStore};

/// A ledger, its key, and what somebody kept of it.
struct Original {
    file: Memory,
    key: SigningKey,
    /// A checkpoint that went elsewhere, over some of the entries.
    kept: SignedCheckpoint,
    /// All events, and after how many of them each checkpoint was made.
    events: Vec<Event>,
    checkpoints: Vec<usize>,
}

fn open(file: &Memory, key: &SigningKey) -> Ledger {
    let file = file.open_again();
    Ledger::on_each(move || file.open_again(), key.clone()).unwrap()
}

/// Appends events and signs after so many of them.
fn fill(ledger: &Ledger, events: &[Event], checkpoints: &[usize]) -> Vec<SignedCheckpoint> {
    let mut signed = Vec::new();
    for n in 1..=events.len() {
        ledger.append(&events[n - 1..n], Timestamp(i64::try_from(n).unwrap())).unwrap();
        if checkpoints.contains(&n) {
            signed.extend(ledger.checkpoint(Timestamp(i64::try_from(n).unwrap())).unwrap());
        }
    }
    signed
}

impl Original {
    fn of(len: u64, checkpoints: &[usize]) -> Self {
        Self::with(events(0..len), checkpoints)
    }

    fn with(events: Vec<Event>, checkpoints: &[usize]) -> Self {
        let (file, key) = (Memory::default(), SigningKey::generate().unwrap());
        let ledger = open(&file, &key);
        let signed = fill(&ledger, &events, checkpoints);
        let kept = signed[signed.len() / 2].clone();
        drop(ledger);
        Self { file, key, kept, events, checkpoints: checkpoints.to_vec() }
    }

    fn copy(&self) -> Memory {
        Memory::of(self.file.bytes())
    }

    fn kept(&self) -> Against {
        Against { checkpoint: Some(self.kept.clone()), ..Against::default() }
    }

    /// A ledger of the same name with other events, by somebody who has the key.
    fn forged(&self, events: &[Event], checkpoints: &[usize]) -> Memory {
        let file = Memory::default();
        drop(open(&file, &self.key));
        let origin = open(&self.file, &self.key).read().unwrap().origin().unwrap();
        tamper(&file, |txn| {
            txn.open_table(META).unwrap().insert(ORIGIN_KEY, origin.as_bytes()).unwrap();
            txn.open_table(KEYS).unwrap().insert(0, self.key.public(&origin).to_string().as_str()).unwrap();
        });
        fill(&open(&file, &self.key), events, checkpoints);
        file
    }

    /// The same by somebody who has not, and leaves the checkpoints that were there.
    fn forged_without_key(&self, events: &[Event]) -> Memory {
        let file = self.forged(events, &[]);
        let own = open(&self.file, &self.key);
        let mut notes = Vec::new();
        for size in 1..=self.events.len() as u64 {
            notes.extend(
                own.read().unwrap().checkpoint_within(size).unwrap().map(|note| (note.checkpoint().size, note)),
            );
        }
        tamper(&file, |txn| {
            let mut table = txn.open_table(CHECKPOINTS).unwrap();
            for (size, note) in notes {
                table.insert(size, note.note().to_string().as_str()).unwrap();
            }
        });
        file
    }
}

/// Writes into a ledger past it.
fn tamper(file: &Memory, change: impl FnOnce(&WriteTransaction)) {
    let handle = file.open_again();
    let file = File::on_each(move || handle.open_again(), LEDGER).unwrap();
    file.write(|txn| {
        change(txn);
        Ok(())
    })
    .unwrap();
}

fn verify(file: &Memory, against: &Against) -> Result<Result<Verified, Mismatch>, Error> {
    let handle = file.open_again();
    let reader = ReadLedger { file: crate::file::ReadFile::on(handle, &LEDGER)? };
    reader.read()?.verify(against, 1, &|_| {})
}

/// What is wrong with it.
fn mismatch(file: &Memory, against: &Against) -> Mismatch {
    verify(file, against).unwrap().expect_err("it was changed")
}

#[test]
fn what_was_not_changed_is_whole() {
    let original = Original::of(700, &[100, 300, 500, 650]);
    for against in [Against::default(), original.kept()] {
        let verified = verify(&original.file, &against).unwrap().unwrap();
        assert_eq!((verified.entries, verified.checkpoints), (0..700, 4));
        assert_eq!(verified.last_good, Some((650, Some(Timestamp(650)))));
    }
    let ledger = open(&original.file, &original.key);
    let view = ledger.read().unwrap();
    let late = Against { from: Some(original.kept.clone()), ..Against::default() };
    assert_eq!(view.verify(&late, 3, &|_| {}).unwrap().unwrap().root, view.root(700).unwrap().unwrap());
}

/// A stored value as bytes.
trait Bytes {
    fn bytes(&self) -> &[u8];
    fn of(bytes: &[u8]) -> &Self;
}

impl Bytes for [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn of(bytes: &[u8]) -> &Self {
        bytes
    }
}

impl Bytes for str {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    /// Nothing instead of what is no text: a note or key that is gone.
    fn of(bytes: &[u8]) -> &Self {
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Changes each byte of each value of a table, in a copy of the ledger, and gives that to `check`.
macro_rules! flip_all {
    ($original:expr, $check:expr, $table:expr, $value:ty, $mask:expr) => {
        let mut places = Vec::new();
        tamper(&$original.copy(), |txn| {
            for stored in txn.open_table($table).unwrap().iter().unwrap() {
                let (key, value) = stored.unwrap();
                places.extend((0..Bytes::bytes(value.value()).len()).map(|at| (key.value(), at)));
            }
        });
        for (key, at) in places {
            let file = $original.copy();
            tamper(&file, |txn| {
                let mut table = txn.open_table($table).unwrap();
                let mut bytes = Bytes::bytes(table.get(key).unwrap().unwrap().value()).to_vec();
                bytes[at] ^= $mask;
                table.insert(key, <$value>::of(&bytes)).unwrap();
            });
            $check(&file, &format!("byte {at} of {key:?} in {}", stringify!($table)));
        }
    };
}

#[test]
fn what_joins_many_entries() {
    const UNIT: u64 = 1 << 16;
    let (file, key) = (Memory::default(), SigningKey::generate().unwrap());
    let ledger = open(&file, &key);
    let mut signed = Vec::new();
    for (from, to) in [(0, UNIT), (UNIT, UNIT + 1), (UNIT + 1, 100_000), (100_000, 2 * UNIT + 300)] {
        ledger.append(&events(from..to), Timestamp(i64::try_from(to).unwrap())).unwrap();
        signed.extend(ledger.checkpoint(Timestamp(i64::try_from(to).unwrap())).unwrap());
    }
    let (view, size) = (ledger.read().unwrap(), 2 * UNIT + 300);
    let root = view.root(size).unwrap().unwrap();
    for (at, checkpoint) in signed.iter().enumerate() {
        let (from, kept) = (Some(checkpoint.clone()), signed.last().cloned());
        let verified = view.verify(&Against { from, checkpoint: kept, ..Against::default() }, 3, &|_| {});
        let verified = verified.unwrap().unwrap();
        let begin = [0, UNIT, UNIT, 2 * UNIT][at];
        assert_eq!((verified.entries, verified.root), (begin..size, root));
    }
    drop((view, ledger));
    let chunk = |index: u64| (index / 127, usize::try_from(index % 127).unwrap() * 32);
    for (level, index, entries) in
        [(8, 300, "76800 to 77055"), (8, 512, "131072 to 131327"), (16, 1, "65536 to 131071")]
    {
        let copy = Memory::of(file.bytes());
        tamper(&copy, |txn| {
            let (place, at) = ((level, chunk(index).0), chunk(index).1);
            let mut table = txn.open_table(NODES).unwrap();
            let mut bytes = table.get(place).unwrap().unwrap().value().to_vec();
            bytes[at] ^= 1;
            table.insert(place, bytes.as_slice()).unwrap();
        });
        let seen = mismatch(&copy, &Against::default());
        assert_eq!(seen.what, format!("the stored node over entries {entries} is not that of its entries"));
    }
}

#[test]
fn any_byte_that_is_stored() {
    let original = Original::of(20, &[5, 12, 20]);
    let mut tried = 0;
    let mut check = |file: &Memory, what: &str| {
        tried += 1;
        match verify(file, &original.kept()) {
            Ok(Err(_)) | Err(Error::Ledger(_) | Error::Foreign { .. }) => {}
            other => panic!("{what} was not seen: {other:?}"),
        }
    };
    flip_all!(original, check, BLOCKS, [u8], 1);
    flip_all!(original, check, NODES, [u8], 0x80);
    flip_all!(original, check, CHECKPOINTS, str, 1);
    flip_all!(original, check, KEYS, str, 1);
    for key in [HEAD_KEY, ORIGIN_KEY] {
        let len = if key == HEAD_KEY { 16 + 2 * 32 } else { 26 };
        for at in 0..len {
            let file = original.copy();
            tamper(&file, |txn| {
                let mut table = txn.open_table(META).unwrap();
                let mut bytes = table.get(key).unwrap().unwrap().value().to_vec();
                assert_eq!(bytes.len(), len);
                bytes[at] ^= 1;
                table.insert(key, bytes.as_slice()).unwrap();
            });
            check(&file, &format!("byte {at} of {key}"));
        }
    }
    for (number, sequence) in [(18, 19), (20, 19), (19, 18), (19, 20), (u64::MAX, 19)] {
        let file = original.copy();
        tamper(&file, |txn| drop(txn.open_table(ORIGINS).unwrap().insert("outbox/a", (number, sequence)).unwrap()));
        check(&file, &format!("{number} at {sequence} as the last of its origin"));
    }
    assert!(tried > 3000, "{tried} changes");
}

#[test]
fn a_changed_entry_is_named_with_what_was_there_and_the_last_that_is_right() {
    let original = Original::of(700, &[100, 300, 500, 650]);
    let file = original.copy();
    tamper(&file, |txn| {
        let mut table = txn.open_table(BLOCKS).unwrap();
        let mut bytes = Vec::new();
        for stored in table.iter().unwrap() {
            let (key, value) = stored.unwrap();
            bytes.push((key.value(), value.value().to_vec()));
        }
        let lengths = [b"333".as_slice(), &[0, 0, 0, 13], b"{\"rule\""].concat();
        let (key, mut block) = bytes.into_iter().find(|(_, block)| block.windows(14).any(|it| it == lengths)).unwrap();
        let at = block.windows(14).position(|it| it == lengths).unwrap();
        block[at + 2] = b'4';
        table.insert(key, block.as_slice()).unwrap();
    });
    let all = entries(&open(&original.file, &original.key).read().unwrap());
    let mut other = all[333].clone();
    other.event.subject = "334".to_owned();
    let mismatch = mismatch(&file, &Against::default());
    assert_eq!(mismatch.what, "entry 333 does not match its leaf hash");
    assert_eq!((mismatch.entry, mismatch.differs), (Some(333), Some((hex(&all[333].leaf()), hex(&other.leaf())))));
    assert_eq!(mismatch.last_good, Some((300, Some(Timestamp(300)))));
    // Whoever reads the entry is told too.
    let error = open(&file, &original.key).read().unwrap().entry(333).unwrap_err().to_string();
    assert!(error.contains("entry 333 does not match its leaf hash"), "{error}");
}

/// The events as somebody might like them to have been.
fn stories(events: &[Event]) -> Vec<(&'static str, Vec<Event>)> {
    let at = events.len() / 2 - 3;
    let mut dropped = events.to_vec();
    dropped.remove(at);
    let mut swapped = events.to_vec();
    swapped.swap(at, at + 1);
    let mut doubled = events.to_vec();
    doubled.insert(at, Event { id: event("run/x", 1).id, ..events[at].clone() });
    let mut inserted = events.to_vec();
    inserted.insert(at, event("run/x", 7));
    let mut rewritten = events.to_vec();
    rewritten[at].payload = "{}".to_owned();
    let fork = [&events[..at], &(0..events.len() - at).map(|n| event("fork", n as u64)).collect::<Vec<_>>()].concat();
    vec![
        ("dropped", dropped),
        ("swapped", swapped),
        ("doubled", doubled),
        ("inserted", inserted),
        ("rewritten", rewritten),
        ("fork", fork),
    ]
}

#[test]
fn another_story_with_all_hashes_made_anew() {
    // Each event has an origin of its own: one whose number is not above the last of its origin would not go in.
    let original = Original::with((0..400).map(|n| event(&format!("run/{n}"), 0)).collect(), &[100, 300, 390]);
    for (name, story) in stories(&original.events) {
        // Without the key the checkpoints contradict it, whoever looks.
        let file = original.forged_without_key(&story);
        let seen = mismatch(&file, &Against::default());
        assert!(seen.what.contains("the checkpoint over 300 entries has another root"), "{name}: {seen:?}");
        assert!(seen.what.contains("one of the entries 100 to 299 was changed"), "{name}: {seen:?}");
        assert_eq!(seen.last_good, Some((100, Some(Timestamp(100)))), "{name}");
        // With the key nothing does but the checkpoint that was kept.
        let file = original.forged(&story, &original.checkpoints);
        verify(&file, &Against::default()).unwrap().unwrap();
        let seen = mismatch(&file, &original.kept());
        let what = "the checkpoint that was given over 300 entries has another root";
        assert!(seen.what.contains(what), "{name}: {seen:?}");
    }
}

#[test]
fn an_end_that_is_cut_off() {
    let original = Original::of(400, &[100, 300, 390]);
    // With the checkpoints that were there it contradicts itself.
    let file = original.forged_without_key(&original.events[..350]);
    let seen = mismatch(&file, &Against::default());
    assert_eq!(seen.what, "a checkpoint over 390 entries is stored, and there are 350: entries were cut off");
    // With those that fit, or as an older copy, only who kept a later one sees it.
    let file = original.forged(&original.events[..200], &[100]);
    verify(&file, &Against::default()).unwrap().unwrap();
    let seen = mismatch(&file, &original.kept());
    assert_eq!(
        seen.what,
        "the ledger ends before entry 200, and the checkpoint that was given is over 300: entries were cut off, or an \
         older copy was put back"
    );
    assert_eq!(seen.entry, Some(200));
    // What was taken off after the checkpoint that was kept is beyond what can be seen.
    let file = original.forged(&original.events[..350], &[100, 300]);
    verify(&file, &original.kept()).unwrap().unwrap();
}

#[test]
fn another_ledger_in_its_place() {
    let (original, other) = (Original::of(40, &[10, 20, 30]), Original::of(40, &[10, 20, 30]));
    let seen = mismatch(&other.file, &original.kept());
    assert_eq!(seen.what, "the checkpoint that was given is of another ledger");
    // Somebody's own checkpoint for this ledger.
    let mut signed = SignedCheckpoint::unsigned(original.kept.checkpoint().clone());
    let signature = other.key.sign(&original.kept.checkpoint().origin, signed.note());
    signed.note_mut().add(signature);
    let seen = mismatch(&original.file, &Against { checkpoint: Some(signed), ..Against::default() });
    assert!(seen.what.starts_with("the checkpoint that was given over 20 entries is not signed by daemoneye/"));
    // A ledger signed by a key that is not the one that is known.
    let origin = &original.kept.checkpoint().origin;
    let key = Some(original.key.public(origin));
    verify(&original.file, &Against { key: key.clone(), ..Against::default() }).unwrap().unwrap();
    let forged = Original { key: other.key.clone(), file: original.copy(), ..other };
    tamper(&forged.file, |txn| {
        txn.open_table(KEYS).unwrap().insert(0, forged.key.public(origin).to_string().as_str()).unwrap();
        txn.open_table(CHECKPOINTS).unwrap().retain(|_, _| false).unwrap();
    });
    open(&forged.file, &forged.key).checkpoint(Timestamp(99)).unwrap().unwrap();
    verify(&forged.file, &Against::default()).unwrap().unwrap();
    let seen = mismatch(&forged.file, &Against { key, ..Against::default() });
    assert_eq!(seen.what, "the key that was given is not one that signs this ledger");
}

#[test]
fn no_flipped_bit_of_the_file_panics_or_passes_for_another_ledger() {
    let original = Original::of(400, &[100, 300, 400]);
    let expected = entries(&open(&original.file, &original.key).read().unwrap());
    let clean = original.file.bytes();
    let used: Vec<usize> = (0..clean.len()).filter(|at| clean[*at] != 0).collect();
    let noticed = Mutex::new(0);
    for (n, at) in used.iter().step_by(used.len() / 1500).enumerate() {
        let mut bytes = clean.clone();
        bytes[*at] ^= 1 << (n % 8);
        let file = Memory::of(bytes);
        match verify(&file, &original.kept()) {
            Ok(Ok(_)) => {
                // A free page, or a copy that is not in force.
                let reader = ReadLedger { file: crate::file::ReadFile::on(file.open_again(), &LEDGER).unwrap() };
                assert_eq!(entries(&reader.read().unwrap()), expected, "byte {at}");
            }
            _ => *noticed.lock().unwrap() += 1,
        }
    }
    assert!(*noticed.lock().unwrap() > 200, "{noticed:?}");
}

#[test]
fn a_file_of_another_kind_is_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.redb");
    drop(crate::Store::open(&path).unwrap());
    let error = ReadLedger::open(&path).err().unwrap().to_string();
    assert!(error.contains("is a redb file but not a ledger"), "{error}");
    let path = dir.path().join("ledger.redb");
    drop(Ledger::open(&path).unwrap());
    assert!(ReadStore::open(&path).is_err());
    let error = ReadLedger::open(dir.path().join("none")).err().unwrap();
    assert!(matches!(error, Error::NotFound(_)));
}
