//! A damaged block takes nothing else along, is reported, and is healed where the next snapshot can.

use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;
use redb::ReadableTable;

use super::samples::using;
use super::{Delta, alert, count, id_text, scan, texts, version};
use crate::memory::Memory;
use crate::tables::{ALERTS, BLOCKS, LIVE};
use crate::{Error, ReadStore, Reader, Sampler, Scan, Store};

/// Three snapshots, each a block of versions: processes 1 and 2; then 3; then 4.
fn filled(file: &Memory) {
    let store = Store::on(file.open_again()).unwrap();
    let started = [vec![version(1, 1), version(2, 1)], vec![version(3, 1)], vec![version(4, 1)]];
    for (time, started) in (1..).zip(started) {
        let mut txn = store.begin().unwrap();
        Delta { started, ..Delta::default() }.at(time, Some(0), |change| txn.record_processes(change)).unwrap();
        let using = Process::batch(&[using(1, 7 * time)]);
        let round = Sampler::default().round(&using, Timestamp(time), 1).unwrap().unwrap();
        txn.record_samples(&round).unwrap();
        let id = txn.next_alert_id().unwrap();
        txn.put_alert(&alert(id, time)).unwrap();
        txn.commit().unwrap();
    }
}

/// The file's tables, below the store.
pub(super) fn below(file: &Memory) -> redb::Database {
    let mut builder = redb::Builder::new();
    builder.set_concurrency_mode(redb::ConcurrencyMode::SingleWriter);
    builder.create_with_backend(file.open_again()).unwrap()
}

/// Changes one byte of a stored value.
fn damage(file: &Memory, table: redb::TableDefinition<'static, u64, &'static [u8]>, key: u64, at: usize) {
    let db = below(file);
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(table).unwrap();
        let mut bytes = table.get(key).unwrap().unwrap().value().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 0x20;
        table.insert(key, bytes.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn the_rest_answers_and_the_answer_says_so() {
    for at in [0, 1, 6, 100, 2000] {
        let file = Memory::default();
        filled(&file);
        damage(&file, BLOCKS, 1, at);
        let store = Store::on(file.open_again()).unwrap();
        let view = store.read().unwrap();
        for name in ["process_starts", "processes_history"] {
            let scanned = scan(&view, name, &["proc_id"]);
            assert_eq!(texts(&scanned.batches), [id_text(3), id_text(4)]);
            assert_eq!(scanned.completeness.reasons, [Reason::SegmentQuarantined]);
        }
        let error = view.process(&id_text(1)).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged(what) if what.starts_with("block 1 of processes_history: ")),
            "{error}"
        );
        assert!(view.process(&id_text(3)).unwrap().is_some());
        let live = view.live().unwrap().unwrap();
        assert_eq!(live.versions.num_rows(), 2);
        assert_eq!(live.completeness.reasons, [Reason::SegmentQuarantined]);
    }
}

#[test]
fn a_lost_version_is_taken_up_again_without_a_start() {
    let file = Memory::default();
    filled(&file);
    damage(&file, BLOCKS, 1, 50);
    let store = Store::on(file.open_again()).unwrap();
    // Whoever knows only what `live` returned sees 1 as new.
    let mut txn = store.begin().unwrap();
    let delta = Delta { started: vec![version(1, 2), version(9, 1)], ..Delta::default() };
    let recorded = delta.at(10, Some(3), |change| txn.record_processes(change)).unwrap();
    assert_eq!(recorded.starts.num_rows(), 1);
    assert_eq!(recorded.versions.num_rows(), 2);
    txn.commit().unwrap();
    let view = store.read().unwrap();
    assert!(view.process(&id_text(1)).unwrap().is_some());
    assert_eq!(texts(&scan(&view, "process_starts", &["proc_id"]).batches), [3, 4, 9].map(id_text));
}

#[test]
fn a_lost_process_that_has_gone_does_not_live_for_ever() {
    let file = Memory::default();
    filled(&file);
    damage(&file, BLOCKS, 1, 50);
    let store = Store::on(file.open_again()).unwrap();
    // Of 1 and 2, which are lost, 2 is still there; 3 and 4 are as before.
    let mut txn = store.begin().unwrap();
    let delta = Delta { started: vec![version(2, 2)], ..Delta::default() };
    delta.at(10, Some(3), |change| txn.record_processes(change)).unwrap();
    let alive = super::rows(&[2, 3, 4].map(|id| version(id, 2)));
    assert_eq!(txn.end_others(&alive, Timestamp(10), Timestamp(3)).unwrap(), 1);
    assert_eq!(txn.end_others(&alive, Timestamp(10), Timestamp(3)).unwrap(), 0);
    txn.commit().unwrap();
    let live = store.live().unwrap().unwrap();
    assert!(live.completeness.is_complete() && live.versions.num_rows() == 3);
    drop(store);
    // Were the block mended, it would say that 1 has exited.
    damage(&file, BLOCKS, 1, 50);
    let store = Store::on(file.open_again()).unwrap();
    let exits = scan(&store.read().unwrap(), "process_exits", &["proc_id", "last_seen_at", "observed_at"]);
    assert_eq!(texts(&exits.batches), [format!("{}|3|10", id_text(1))]);
}

#[test]
fn an_index_that_names_another_row_is_not_believed() {
    for row in [2, 3, 99, 0, u64::MAX] {
        let file = Memory::default();
        filled(&file);
        let db = below(&file);
        let txn = db.begin_write().unwrap();
        txn.open_table(LIVE).unwrap().insert(1, row).unwrap();
        txn.commit().unwrap();
        drop(db);
        let store = Store::on(file.open_again()).unwrap();
        let view = store.read().unwrap();
        assert!(matches!(view.process(&id_text(1)), Err(Error::Damaged(_))), "{row}");
        assert!(!view.live().unwrap().unwrap().completeness.is_complete());
    }
}

#[test]
fn a_damaged_alert_is_set_aside() {
    let file = Memory::default();
    filled(&file);
    let db = below(&file);
    let txn = db.begin_write().unwrap();
    txn.open_table(ALERTS).unwrap().insert(2, b"{}".as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    let store = Store::on(file.open_again()).unwrap();
    let view = store.read().unwrap();
    let scanned = scan(&view, "alerts", &["id"]);
    assert_eq!(count(&scanned), 2);
    assert_eq!(scanned.completeness.reasons, [Reason::SegmentQuarantined]);
    assert!(matches!(view.alert(2), Err(Error::Damaged(_))));
}

/// Reads everything there is in a file, without a word on what it says.
fn read(bytes: Vec<u8>) -> Result<(), Error> {
    let store = ReadStore::on(Memory::of(bytes))?;
    let view = store.read()?;
    for name in ["process_starts", "process_exits", "processes_history", "process_samples", "alerts"] {
        let table = super::table(name);
        let columns: Vec<_> = (0..table.columns.len()).collect();
        view.scan(&Scan::all(&table, &columns))?;
    }
    (1..5).try_for_each(|id| view.process(&id_text(id)).map(drop))?;
    view.live().map(drop)
}

#[test]
fn no_flipped_bit_panics_anywhere_in_the_file() {
    let file = Memory::default();
    filled(&file);
    let clean = file.bytes();
    let used: Vec<usize> = (0..clean.len()).filter(|at| clean[*at] != 0).collect();
    let mut noticed = 0;
    for (n, at) in used.iter().step_by(used.len() / 2000).enumerate() {
        let mut bytes = clean.clone();
        bytes[*at] ^= 1 << (n % 8);
        noticed += usize::from(read(bytes).is_err());
    }
    assert!(noticed > 0, "some flips hit what leads to the rows");
}
