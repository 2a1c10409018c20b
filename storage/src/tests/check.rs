//! Whatever is damaged, reading everything finds and names it.

use redb::{ReadableTable, TableDefinition};

use super::damage::below;
use super::{Delta, alert, version};
use crate::memory::Memory;
use crate::tables::{ALERTS, BLOCKS, DELIVERIES, ENDINGS, LIVE, MATCHES, SEGMENTS, TURNS};
use crate::{Checked, MatchState, Store};
use daemoneye_dsl::types::Timestamp;

/// A segment of 300 versions of which some ended before, some after; a block; an alert and a match.
fn filled() -> Memory {
    let file = Memory::default();
    let store = Store::on(file.open_again()).unwrap();
    let steps = [(1..=300, 1..=20), (301..=302, 21..=30)];
    for (time, (started, exited)) in (1..).zip(steps) {
        let mut txn = store.begin().unwrap();
        let started = started.map(|id| version(id, 1)).collect();
        Delta { started, ..Delta::default() }.at(time, Some(0), |change| txn.record_processes(change)).unwrap();
        let exited = exited.map(|id| version(id, 1)).collect();
        Delta { exited, ..Delta::default() }.at(time + 10, Some(time), |change| txn.record_processes(change)).unwrap();
        txn.put_alert(&alert(1, time)).unwrap();
        txn.enqueue_delivery(1).unwrap();
        let state = MatchState { alert_id: 1, weight: 1, first_raised: Timestamp(time) };
        txn.put_match_state("r", b"key", &state).unwrap();
        txn.commit().unwrap();
        if time == 1 {
            store.seal(true).unwrap();
        }
    }
    file
}

fn check(file: &Memory) -> Checked {
    let store = Store::on(file.open_again()).unwrap();
    store.read().unwrap().check(&mut |_| {}).unwrap()
}

fn change(file: &Memory, write: impl FnOnce(&redb::WriteTransaction)) {
    let db = below(file);
    let txn = db.begin_write().unwrap();
    write(&txn);
    txn.commit().unwrap();
}

/// Changes a byte of a value.
fn flip<K: redb::Key + 'static>(
    txn: &redb::WriteTransaction,
    table: TableDefinition<'_, K, &'static [u8]>,
    key: &K::SelfType<'_>,
    at: usize,
) {
    let mut table = txn.open_table(table).unwrap();
    let mut bytes = table.get(key).unwrap().unwrap().value().to_vec();
    let at = at % bytes.len();
    bytes[at] ^= 0x10;
    table.insert(key, bytes.as_slice()).unwrap();
}

fn only(checked: &Checked) -> String {
    let [damage] = checked.damaged.as_slice() else { panic!("{:?}", checked.damaged) };
    format!("{}: {}", damage.part, damage.why)
}

#[test]
fn what_is_whole_is_whole() {
    let checked = check(&filled());
    assert!(checked.is_whole(), "{:?}", checked.damaged);
    assert_eq!((checked.parts, checked.versions, checked.alerts, checked.matches), (2, 302, 1, 1));
}

#[test]
fn every_byte_of_a_segment_counts() {
    let original = filled();
    let chunks: Vec<_> = {
        let db = below(&original);
        let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
        let table = txn.open_table(SEGMENTS).unwrap();
        table
            .iter()
            .unwrap()
            .map(|entry| entry.map(|(key, bytes)| (key.value(), bytes.value().len())).unwrap())
            .collect()
    };
    let bytes = original.bytes();
    let len: usize = chunks.iter().map(|(_, len)| len).sum();
    assert!(len > 1000, "{len}");
    for (key, len) in chunks {
        for at in (0..len).step_by(37) {
            let file = Memory::of(bytes.clone());
            change(&file, |txn| flip(txn, SEGMENTS, &key, at));
            let checked = check(&file);
            assert_eq!(checked.damaged[0].part, "segment 1 of processes_history", "byte {at} of {key:?}");
        }
    }
}

#[test]
fn each_part_is_named() {
    let damaged = |write: fn(&redb::WriteTransaction)| {
        let file = filled();
        change(&file, write);
        check(&file)
    };
    let block = damaged(|txn| flip(txn, BLOCKS, &301, 40));
    assert_eq!((block.damaged[0].part.as_str(), block.damaged.len()), ("block 301 of processes_history", 2));
    let alert = only(&damaged(|txn| flip(txn, ALERTS, &1, 40)));
    assert_eq!(alert, "alert 1: its checksum does not match");
    let state = only(&damaged(|txn| flip(txn, MATCHES, &("r", b"key".as_slice()), 9)));
    assert_eq!(state, "a match of rule r: its checksum does not match");
    let turn = only(&damaged(|txn| drop(txn.open_table(TURNS).unwrap().insert(9, 77).unwrap())));
    assert_eq!(turn, "the order of alerts: turn 9 is that of alert 77, which is not there");
    let delivery = only(&damaged(|txn| drop(txn.open_table(DELIVERIES).unwrap().insert(5, ()).unwrap())));
    assert_eq!(delivery, "the alerts to deliver: alert 5 is not there");
    let note = only(&damaged(|txn| drop(txn.open_table(ENDINGS).unwrap().insert(9999, (1, None)).unwrap())));
    assert_eq!(note, "the notes of endings: 1 are about rows that are not there");
    let gone = only(&damaged(|txn| drop(txn.open_table(LIVE).unwrap().remove(200).unwrap())));
    assert_eq!(
        gone,
        "segment 1 of processes_history: row 200 has not ended, and the index of the living has not got it"
    );
    let lost = only(&damaged(|txn| drop(txn.open_table(LIVE).unwrap().insert(7777, 9000).unwrap())));
    assert_eq!(lost, "the index of the living: process 0000000000001e61 is in row 9000, which is not there");
}
