//! Damage anywhere in what is stored: no scan panics or gives a row that never was; what is damaged is set aside and the
//! answer says so; the rest answers, and is sealed on.

use std::collections::BTreeMap;
use std::path::Path;

use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::types::{Timestamp, Value};
use redb::ReadableTable;

use super::sealing::{process, versions};
use super::{Delta, count, id_text, scan, table, texts, version};
use crate::memory::Memory;
use crate::seal::Bounds;
use crate::segment::PAGE_ROWS;
use crate::tables::{BLOCKS, SEGMENTS};
use crate::{Error, Probe, ProcessChange, Question, ReadStore, Reader, Scan, Store, Transaction};

const SMALL: Bounds =
    Bounds { due_rows: u64::MAX, due_blocks: 2, merged: 2, tier_rows: 1, stretches: 2, len: u64::MAX };

/// Two segments and two blocks; each process has one version, and some ended before and some after they were sealed.
fn filled() -> Store {
    let store = Store::in_memory().unwrap();
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let (none, mut next, mut alive) = (versions(&[]), 0, Vec::new());
    for time in 1..=6_i64 {
        let started: Vec<_> = (0..60)
            .map(|_| {
                next += 1;
                process(next, &mut random)
            })
            .collect();
        let exited: Vec<_> = alive.drain(..alive.len() / 3).collect();
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(time * 30),
            previous_time: (time > 1).then_some(Timestamp((time - 1) * 30)),
            baseline: time == 1,
            started: &versions(&started),
            changed: &none,
            exited: &versions(&exited),
        })
        .unwrap();
        txn.commit().unwrap();
        alive.extend(started);
        if time == 2 || time == 4 {
            // One block is kept back from a merge with the segment before.
            let bounds = Bounds { merged: usize::MAX, ..SMALL };
            assert_eq!(store.seal_within(&bounds, true).unwrap().unwrap().parts, 2);
        }
    }
    let contents = store.read().unwrap().contents().unwrap();
    assert_eq!((contents.segments, contents.blocks), (2, 2));
    store
}

/// Rows by id, and whether the answer is marked.
type Answer = (BTreeMap<String, String>, bool);

/// What a scan for rows that meet a probe gives, whole rows.
fn ask(reader: &impl Reader, required: &[Vec<Probe>]) -> Answer {
    let table = table("processes_history");
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let scanned = reader.scan(&Scan { required, ..Scan::all(&table, &columns) }).unwrap();
    let rows = texts(&scanned.batches).into_iter().map(|row| (row[..16].to_owned(), row)).collect();
    assert!(scanned.completeness.reasons.iter().all(|reason| *reason == Reason::SegmentQuarantined));
    (rows, !scanned.completeness.is_complete())
}

/// Questions that need one encoding each.
fn questions() -> Vec<Vec<Vec<Probe>>> {
    let column = |name: &str| table("processes_history").column(name).unwrap().0;
    let one = |name: &str, question| vec![vec![Probe { column: column(name), question }]];
    vec![
        vec![],
        one("proc_id", Question::Equal(Value::Text(id_text(77)))),
        one("parent_id", Question::Null),
        one("user_name", Question::Equal(Value::Text("sh".to_owned()))),
        one("pid", Question::AtLeast(150.0)),
        one("seen_to", Question::AtMost(95.0)),
    ]
}

/// Rows that the clean store gives where the damaged one may leave out only rows of one part, and says so. `of_part` are
/// the rows of that part.
fn judge(damaged: &impl Reader, clean: &[Answer], of_part: std::ops::Range<u64>, context: &str) -> bool {
    let mut noticed = false;
    for (question, (rows, _)) in questions().iter().zip(clean) {
        let (found, marked) = ask(damaged, question);
        let everything = &clean[0].0;
        for (id, row) in &found {
            assert_eq!(everything.get(id), Some(row), "{context}: a row that never was");
        }
        for id in rows.keys().filter(|id| !found.contains_key(*id)) {
            assert!(marked, "{context}: {id} is missing without a word");
            let number = u64::from_str_radix(id, 16).unwrap();
            assert!(of_part.contains(&number), "{context}: {id} is in another part");
        }
        noticed |= marked;
    }
    noticed
}

fn clean(store: &Store) -> Vec<Answer> {
    let view = store.read().unwrap();
    questions().iter().map(|question| ask(&view, question)).collect()
}

/// Where values lie, and the processes in the part that each belongs to: they were numbered as their rows.
enum At {
    Block(u64),
    Chunk(u64, u32),
}

fn places(txn: &Transaction) -> Vec<(At, Vec<u8>)> {
    let mut places = Vec::new();
    for entry in txn.txn.open_table(SEGMENTS).unwrap().iter().unwrap() {
        let (key, value) = entry.unwrap();
        places.push((At::Chunk(key.value().0, key.value().1), value.value().to_vec()));
    }
    for entry in txn.txn.open_table(BLOCKS).unwrap().iter().unwrap() {
        let (key, value) = entry.unwrap();
        places.push((At::Block(key.value()), value.value().to_vec()));
    }
    places
}

fn put(txn: &Transaction, at: &At, value: Option<&[u8]>) {
    match (at, value) {
        (At::Block(first), Some(value)) => drop(txn.txn.open_table(BLOCKS).unwrap().insert(first, value).unwrap()),
        (At::Block(first), None) => drop(txn.txn.open_table(BLOCKS).unwrap().remove(first).unwrap()),
        (At::Chunk(first, number), Some(value)) => {
            drop(txn.txn.open_table(SEGMENTS).unwrap().insert((*first, *number), value).unwrap());
        }
        (At::Chunk(first, number), None) => {
            drop(txn.txn.open_table(SEGMENTS).unwrap().remove((*first, *number)).unwrap());
        }
    }
}

fn rows_of(at: &At) -> std::ops::Range<u64> {
    let (At::Block(first) | At::Chunk(first, _)) = at;
    *first..*first + if matches!(at, At::Block(_)) { 60 } else { 120 }
}

#[test]
fn no_changed_byte_gives_a_row_that_never_was() {
    let store = filled();
    let clean = clean(&store);
    let txn = store.begin().unwrap();
    let (mut tried, mut noticed) = (0, 0);
    for (at, value) in places(&txn) {
        for byte in (0..value.len()).step_by(71) {
            let mut damaged = value.clone();
            damaged[byte] ^= 1 << (byte % 8);
            put(&txn, &at, Some(&damaged));
            tried += 1;
            noticed += usize::from(judge(&txn, &clean, rows_of(&at), &format!("byte {byte}")));
        }
        for len in (0..value.len()).step_by(1009) {
            put(&txn, &at, Some(&value[..len]));
            judge(&txn, &clean, rows_of(&at), &format!("cut at {len}"));
        }
        put(&txn, &at, Some(&value));
    }
    // The others hit indexes that none of the questions needs.
    assert!(tried > 300 && noticed > tried * 8 / 10, "{noticed} of {tried} were noticed");
}

#[test]
fn what_is_missing_or_elsewhere_is_damaged() {
    let store = filled();
    let clean = clean(&store);
    let txn = store.begin().unwrap();
    let places = places(&txn);
    for (at, value) in &places {
        if let At::Chunk(..) = at {
            put(&txn, at, None);
            let header = matches!(at, At::Chunk(_, 0));
            assert!(judge(&txn, &clean, rows_of(at), "a chunk is missing") || header);
            put(&txn, at, Some(value));
        }
        for (other, elsewhere) in &places {
            if value != elsewhere && std::mem::discriminant(at) == std::mem::discriminant(other) {
                put(&txn, at, Some(elsewhere));
                assert!(judge(&txn, &clean, rows_of(at), "a value is elsewhere"));
                put(&txn, at, Some(value));
            }
        }
    }
}

#[test]
fn sealing_goes_on_around_what_is_damaged() {
    let pristine = filled();
    let clean = clean(&pristine);
    let places = places(&pristine.begin().unwrap()).len();
    for n in 0..places {
        let store = filled();
        let txn = store.begin().unwrap();
        let (at, mut value) = self::places(&txn).swap_remove(n);
        value[9] ^= 4;
        put(&txn, &at, Some(&value));
        txn.commit().unwrap();
        let before = ask(&store.read().unwrap(), &[]);
        let mut steps = 0;
        while store.seal_within(&SMALL, true).unwrap().is_some() {
            steps += 1;
            assert!(steps < 10, "sealing ends");
        }
        let view = store.read().unwrap();
        judge(&view, &clean[..1], rows_of(&at), "after sealing");
        assert_eq!(ask(&view, &[]), before, "sealing loses nothing and hides nothing");
        let contents = view.contents().unwrap();
        assert!(contents.blocks + contents.segments <= 3, "{contents:?}");
        // What comes next is recorded and sealed too.
        let mut txn = store.begin().unwrap();
        let delta = Delta { started: vec![version(9_000, 1)], ..Delta::default() };
        delta.at(999, Some(180), |change| txn.record_processes(change)).unwrap();
        txn.commit().unwrap();
        assert!(store.seal_within(&SMALL, true).unwrap().is_some());
        assert!(ask(&store.read().unwrap(), &[]).0.contains_key(&id_text(9_000)));
    }
}

#[test]
fn a_process_is_found_beside_what_is_damaged() {
    let store = filled();
    let gone = store.read().unwrap();
    let (gone, _) = ask(&gone, &questions()[5]);
    let id = gone.keys().next().expect("some ended early").clone();
    let txn = store.begin().unwrap();
    let last = places(&txn).pop().unwrap();
    put(&txn, &last.0, Some(b"damaged"));
    assert!(txn.process(&id).unwrap().is_some(), "it is in an older part");
    let unknown = txn.process(&id_text(123_456)).unwrap_err();
    assert!(matches!(&unknown, Error::Damaged(what) if what.starts_with("block ")), "it may be in there: {unknown}");
}

#[test]
fn the_pages_before_a_damaged_one_are_given_and_the_answer_is_marked() {
    let store = Store::in_memory().unwrap();
    let many: Vec<_> = (1..=u64::from(PAGE_ROWS) * 3).map(|id| version(id, 1)).collect();
    let mut txn = store.begin().unwrap();
    Delta { started: many, ..Delta::default() }.at(1, Some(0), |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    assert!(store.seal(true).unwrap().is_some());
    let txn = store.begin().unwrap();
    let mut sizes = std::collections::BTreeSet::new();
    for (at, value) in places(&txn) {
        for byte in (0..value.len()).step_by(value.len() / 60) {
            let mut damaged = value.clone();
            damaged[byte] ^= 1;
            put(&txn, &at, Some(&damaged));
            let scanned = scan(&txn, "processes_history", &["proc_id", "pid", "command_line"]);
            let marked = scanned.completeness.reasons == [Reason::SegmentQuarantined];
            assert_eq!(marked, count(&scanned) < 3 * PAGE_ROWS as usize, "no rows are missing without a word");
            sizes.insert(count(&scanned) / PAGE_ROWS as usize);
        }
        put(&txn, &at, Some(&value));
    }
    assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3], "pages before the damaged one are answered");
}

#[test]
fn rows_as_long_as_can_be_do_not_come_together() {
    let store = Store::in_memory().unwrap();
    let long = |id| super::Version { command: "x".repeat(10_000), ..version(id, 1) };
    for time in 1..=12 {
        let started = vec![long(2 * time), long(2 * time + 1)];
        let time = i64::try_from(time).unwrap();
        let mut txn = store.begin().unwrap();
        Delta { started, ..Delta::default() }.at(time, Some(0), |change| txn.record_processes(change)).unwrap();
        txn.commit().unwrap();
    }
    let bounds = Bounds { len: 100_000, ..SMALL };
    let mut most = 0;
    while let Some(sealed) = store.seal_within(&bounds, true).unwrap() {
        most = most.max(sealed.rows);
    }
    assert!((4..=10).contains(&most), "{most} rows of 10 kB in 100 kB");
    let contents = store.read().unwrap().contents().unwrap();
    assert!(contents.blocks == 0 && (3..=6).contains(&contents.segments), "{contents:?}");
}

/// One clear sentence, or the store.
fn opened(path: &Path) {
    let errors = [Store::open(path).map(drop).err(), ReadStore::open(path).map(drop).err()];
    for error in errors.into_iter().flatten() {
        let text = error.to_string();
        assert!(!text.contains('\n') && text.contains("; "), "{text}");
        assert!(text.contains(&path.display().to_string()) || matches!(error, Error::Damaged(_)), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_gives_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    let file = Memory::default();
    let store = Store::on(file.open_again()).unwrap();
    let mut txn = store.begin().unwrap();
    let delta = Delta { started: vec![version(1, 1)], ..Delta::default() };
    delta.at(1, Some(0), |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    drop(store);
    let clean = file.bytes();
    let cuts = [0, 1, 9, 64, 320, 511, 4096, 5000, clean.len() / 2, clean.len() - 1].map(|len| clean[..len].to_vec());
    let flips = (0..512).step_by(3).map(|at| {
        let mut bytes = clean.clone();
        bytes[at] ^= 1 << (at % 8);
        bytes
    });
    let noise = vec![vec![0; 8192], vec![0xff; 8192], b"SQLite format 3\0".repeat(600)];
    for bytes in cuts.into_iter().chain(flips).chain(noise) {
        std::fs::write(&path, bytes).unwrap();
        opened(&path);
    }
}
