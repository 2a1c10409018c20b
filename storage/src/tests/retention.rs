//! What retention takes, what it leaves, and who is told.

use std::ops::RangeInclusive;

use daemoneye_dsl::audit::Action;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;

use super::{Delta, Version, count, id_text, scan, table, texts, version};
use crate::memory::Memory;
use crate::tables::{BLOCKS, SAMPLES, SEGMENTS};
use crate::{Cause, Dropped, Probe, Question, Reader, Retention, Sampler, Scan, Store};

fn record(store: &Store, time: i64, started: Vec<Version>, exited: Vec<Version>) {
    let delta = Delta { started, exited, ..Delta::default() };
    let mut txn = store.begin().unwrap();
    delta.at(time, (time > 1).then_some(time - 1), |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
}

fn seal(store: &Store) {
    while store.seal(true).unwrap().is_some() {}
}

/// Keeps what ended at most so long ago.
fn keep(store: &Store, age_micros: i64) -> Vec<Dropped> {
    let step = || store.keep(Retention { age_micros, bytes: u64::MAX }).unwrap();
    std::iter::from_fn(step).collect()
}

fn ids(store: &Store) -> Vec<String> {
    texts(&scan(&store.read().unwrap(), "processes_history", &["proc_id"]).batches)
}

/// Processes 1 to 100 start at 1; all but every tenth end at 2.
fn hundred() -> Store {
    let store = Store::in_memory().unwrap();
    record(&store, 1, (1..=100).map(|id| version(id, 1)).collect(), vec![]);
    record(&store, 2, vec![], (1..=100).filter(|id| id % 10 != 0).map(|id| version(id, 1)).collect());
    seal(&store);
    store
}

#[test]
fn the_living_stay_and_can_still_end() {
    let store = hundred();
    record(&store, 1000, vec![version(1000, 1)], vec![]);
    let dropped = keep(&store, 100);
    assert_eq!(dropped.len(), 1);
    let Dropped { rows, from, to, cause, .. } = dropped[0];
    assert_eq!((rows, from, to, cause), (90, Timestamp(1), Timestamp(2), Cause::Age));
    assert_eq!(store.read().unwrap().drops().unwrap(), dropped);
    let told = &store.read().unwrap().events(0).unwrap()[0];
    assert_eq!((told.action, told.subject.as_str()), (Action::HistoryDropped, "processes_history"));
    assert_eq!(serde_json::from_str::<Dropped>(&told.payload).unwrap(), dropped[0]);
    assert_eq!(ids(&store).len(), 11);
    assert_eq!(store.live().unwrap().unwrap().versions.num_rows(), 11);
    // What is left is found by id, ends, and is sealed anew together with others.
    record(&store, 1001, vec![], vec![version(50, 1), version(100, 1)]);
    record(&store, 1002, (1001..1010).map(|id| version(id, 1)).collect(), vec![]);
    for time in 1003..1006 {
        record(&store, time, vec![version(u64::try_from(time).unwrap() + 100, 1)], vec![]);
        seal(&store);
    }
    let view = store.read().unwrap();
    assert_eq!(view.contents().unwrap().segments, 1, "lists of rows and runs of them become one");
    assert!(view.process(&id_text(50)).unwrap().is_some() && view.process(&id_text(51)).unwrap().is_none());
    assert_eq!(texts(&scan(&view, "process_exits", &["pid", "observed_at"]).batches).len(), 2);
    // Nothing is left in the end but those alive.
    record(&store, 10_000, vec![], vec![version(10, 1)]);
    record(&store, 20_000, vec![], vec![]);
    keep(&store, 100);
    let alive = store.live().unwrap().unwrap().versions.num_rows();
    assert_eq!((ids(&store).len(), alive), (20, 20));
    assert!(store.read().unwrap().process(&id_text(10)).unwrap().is_none());
}

#[test]
fn what_is_young_stays_and_so_does_what_is_not_worth_it_yet() {
    let store = hundred();
    record(&store, 100, vec![], vec![version(10, 1)]);
    assert_eq!(keep(&store, 100), []);
    // Few rows of one segment are old: they stay a quarter longer.
    let store = Store::in_memory().unwrap();
    record(&store, 1, (1..=100).map(|id| version(id, 1)).collect(), vec![]);
    record(&store, 2, vec![], vec![version(7, 1)]);
    seal(&store);
    record(&store, 1101, vec![], vec![]);
    assert_eq!(keep(&store, 1000), []);
    record(&store, 1253, vec![], vec![]);
    assert_eq!(keep(&store, 1000).iter().map(|step| step.rows).collect::<Vec<_>>(), [1]);
}

#[test]
fn blocks_that_waited_for_a_day_are_sealed() {
    const DAY: i64 = 86_400_000_000;
    let store = Store::in_memory().unwrap();
    record(&store, 1, vec![version(1, 1)], vec![]);
    record(&store, 2, vec![], vec![version(1, 1)]);
    record(&store, DAY, vec![version(2, 1)], vec![]);
    assert_eq!(keep(&store, 1000), []);
    assert_eq!(store.read().unwrap().contents().unwrap().blocks, 2);
    record(&store, DAY + 10, vec![], vec![]);
    assert_eq!(keep(&store, 1000).len(), 1);
    assert_eq!(ids(&store), [id_text(2)]);
}

#[test]
fn only_a_question_about_dropped_times_is_answered_incompletely() {
    let store = hundred();
    record(&store, 1000, vec![], vec![]);
    keep(&store, 100);
    let view = store.read().unwrap();
    let table = table("processes_history");
    let position = |name: &str| table.column(name).unwrap().0;
    let reasons = |column: &str, question: Question| {
        let required = [vec![Probe { column: position(column), question }]];
        let scan = Scan { required: &required, ..Scan::all(&table, &[0]) };
        view.scan(&scan).unwrap().completeness.reasons
    };
    assert_eq!(reasons("seen_to", Question::AtLeast(1.0)), [Reason::HistoryDropped]);
    assert_eq!(reasons("seen_from", Question::AtMost(2.0)), [Reason::HistoryDropped]);
    assert_eq!(reasons("start_time", Question::AtLeast(2.0)), [Reason::HistoryDropped]);
    assert_eq!(reasons("seen_from", Question::AtMost(3.0)), []);
    assert_eq!(reasons("seen_to", Question::AtLeast(3.0)), []);
    assert_eq!(reasons("pid", Question::AtLeast(1.0)), []);
    let all = view.scan(&Scan::all(&table, &[0])).unwrap();
    assert_eq!((count(&all), all.completeness.is_complete()), (10, true));
}

#[test]
fn notes_of_drops_are_bounded_and_none_is_lost() {
    let store = Store::in_memory().unwrap();
    let to = 400;
    for time in 1..=to {
        let id = u64::try_from(time).unwrap();
        record(&store, time, vec![version(id, 1)], if id > 1 { vec![version(id - 1, 1)] } else { vec![] });
        seal(&store);
        keep(&store, 2);
    }
    let drops = store.read().unwrap().drops().unwrap();
    assert!(drops.len() <= 256, "{}", drops.len());
    let rows: u64 = drops.iter().map(|note| note.rows).sum();
    assert_eq!(rows + ids(&store).len() as u64, u64::try_from(to).unwrap());
    assert_eq!(drops[0].from, Timestamp(1));
}

const HOUR: i64 = 3_600_000_000;
const MONTH: i64 = 30 * 24 * HOUR;

/// A process lives for an hour of each of so many days, and one for ever; a snapshot every hour.
fn days(store: &Store, days: i64) {
    for hour in 0..days * 24 {
        let id = u64::try_from(hour / 24).unwrap() + 1;
        let started = if hour == 0 { vec![version(999, 1), version(id, 1)] } else { vec![version(id, 1)] };
        match hour % 24 {
            0 => record(store, hour * HOUR + 2, started, vec![]),
            1 => record(store, hour * HOUR + 2, vec![], vec![version(id, 1)]),
            _ => record(store, hour * HOUR + 2, vec![], vec![]),
        }
    }
    seal(store);
}

#[test]
fn a_clock_that_jumps_ahead_takes_no_history_along() {
    let store = Store::in_memory().unwrap();
    days(&store, 40);
    keep(&store, MONTH);
    let kept = ids(&store).len();
    assert!((30..=39).contains(&kept), "{kept}");
    // A year ahead, for half a day and all of its snapshots; then somebody sets it right.
    let (now, year) = (40 * 24 * HOUR, 365 * 24 * HOUR);
    for half in 0..12 * 2 {
        record(&store, now + year + half * HOUR / 2, vec![], vec![]);
    }
    assert_eq!(keep(&store, MONTH), []);
    record(&store, now + HOUR, vec![], vec![]);
    assert_eq!((keep(&store, MONTH), ids(&store).len()), (vec![], kept));
    // The doubts begin anew when it jumps again, and bytes stay bounded meanwhile.
    record(&store, now + year, vec![], vec![]);
    for half in 1..22 * 2 {
        record(&store, now + year + half * HOUR / 2, vec![], vec![]);
    }
    assert_eq!((keep(&store, MONTH), ids(&store).len()), (vec![], kept));
    let full = store.keep(Retention { age_micros: MONTH, bytes: 0 }).unwrap().unwrap();
    assert_eq!(full.cause, Cause::Size);
}

#[test]
fn a_host_that_was_off_for_long_drops_a_day_later_and_goes_on_with_pauses() {
    let store = Store::in_memory().unwrap();
    days(&store, 3);
    let later = 100 * 24 * HOUR;
    // Every day it runs for six hours.
    let drops_on = (0..10).find(|day| {
        (0..6 * 4).for_each(|quarter| record(&store, later + day * 24 * HOUR + quarter * HOUR / 4, vec![], vec![]));
        !keep(&store, MONTH).is_empty()
    });
    assert_eq!((drops_on, ids(&store)), (Some(3), vec![id_text(999)]));
}

/// Sixteen hundred new processes every hour, each with a command line of its own, that live for an hour; and samples.
fn busy(store: &Store, hours: i64) {
    let ids = |hour: i64| (0..1600).map(move |n| u64::try_from(hour * 1600 + n).unwrap() * 0x9e37 + 1);
    let mut sampler = Sampler::default();
    for hour in 0..hours {
        let gone = if hour == 0 { vec![] } else { ids(hour - 1).map(|id| version(id, 1)).collect() };
        record(store, hour * HOUR + 2, ids(hour).map(|id| version(id, 1)).collect(), gone);
        let using: Vec<Process> = ids(hour).map(|id| super::samples::using(id, hour)).collect();
        let round = sampler.round(&Process::batch(&using), Timestamp(hour * HOUR + 2), 1).unwrap().unwrap();
        let mut txn = store.begin().unwrap();
        txn.record_samples(&round).unwrap();
        let id = txn.next_alert_id().unwrap();
        txn.put_alert(&super::alert(id, hour)).unwrap();
        txn.commit().unwrap();
        sampler.took(round);
        while store.seal(false).unwrap().is_some() {}
    }
}

#[test]
fn a_file_that_was_compacted_fits_into_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.redb");
    let store = Store::open(&path).unwrap();
    busy(&store, 40);
    let room = || store.read().unwrap().room().unwrap().file_len();
    let before = store.file_len().unwrap().unwrap();
    let keep = |bytes| store.keep(Retention { age_micros: i64::MAX, bytes }).unwrap();
    assert!(room() < before, "some of the file is free");
    assert_eq!(keep(room()), None, "what is free is not too much");
    store.compact().unwrap();
    let whole = store.file_len().unwrap().unwrap();
    assert!((whole..whole + (700 << 10)).contains(&room()), "{whole} {}", room());

    // Each step was needed, and together they are enough.
    let bytes = whole - (100 << 10);
    let mut dropped = 0;
    loop {
        let is_too_much = room() > bytes;
        let Some(step) = keep(bytes) else { break };
        assert!(is_too_much && step.cause == Cause::Size && step.rows > 0);
        dropped += step.rows;
    }
    assert!((1..90_000).contains(&dropped) && room() <= bytes, "{dropped}");
    store.compact().unwrap();
    assert!(store.file_len().unwrap().unwrap() <= bytes);
    // A file that is small enough has nothing to lose, whatever is counted.
    assert_eq!(keep(store.file_len().unwrap().unwrap()), None);

    // Alerts stay, and history makes room for them.
    let mut txn = store.begin().unwrap();
    for id in 1000..1900 {
        txn.put_alert(&super::alert(id, 1)).unwrap();
    }
    txn.commit().unwrap();
    let alerts = store.read().unwrap().alerts().unwrap();
    assert!(keep(bytes).is_some_and(|step| step.cause == Cause::Size));
    assert_eq!(store.read().unwrap().alerts().unwrap(), alerts);
}

/// Changes every byte of a stored value, behind the store's back.
fn damage<K: redb::Key + 'static>(
    file: &Memory,
    table: redb::TableDefinition<'static, K, &'static [u8]>,
    key: K::SelfType<'static>,
) {
    let db = super::damage::below(file);
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(table).unwrap();
        let mut value = table.get_mut(key).unwrap().unwrap();
        let damaged: Vec<u8> = value.value().iter().map(|byte| byte ^ 0x55).collect();
        value.insert(damaged.as_slice()).unwrap();
    }
    txn.commit().unwrap();
}

/// Three segments: of processes 1 to 100, which end at 10, of 101 to 200, which end at 20, and of 201 to 210, which live.
fn three_segments() -> Memory {
    let file = Memory::default();
    let store = Store::on(file.open_again()).unwrap();
    let all = |ids: RangeInclusive<u64>| -> Vec<Version> { ids.map(|id| version(id, 1)).collect() };
    for (time, ids) in [(1, 1..=100), (11, 101..=200), (21, 201..=210)] {
        record(&store, time, all(ids.clone()), vec![]);
        record(&store, time + 9, vec![], if time < 21 { all(ids) } else { vec![] });
        seal(&store);
    }
    assert_eq!(store.read().unwrap().contents().unwrap().segments, 3);
    file
}

/// What a hundred microseconds of age drop at that moment: how many rows, and when the last of them had ended.
fn drops_at(store: &Store, now: i64) -> Vec<(u64, i64)> {
    record(store, now, vec![], vec![]);
    keep(store, 100).iter().map(|drop| (drop.rows, drop.to.0)).collect()
}

/// Nothing is missing any more, and so many versions are there.
fn is_whole(store: &Store, versions: usize) {
    let view = store.read().unwrap();
    let all = scan(&view, "processes_history", &["proc_id"]);
    assert!(all.completeness.is_complete() && view.check(&mut |_| ()).unwrap().is_whole());
    assert_eq!(count(&all), versions);
}

#[test]
fn a_damaged_segment_goes_with_its_age_as_its_header_says() {
    let file = three_segments();
    damage(&file, SEGMENTS, (1, 1));
    let store = Store::on(file.open_again()).unwrap();
    assert_eq!(drops_at(&store, 109), []);
    assert_eq!(drops_at(&store, 110), [(100, 10)]);
    assert_eq!(store.read().unwrap().drops().unwrap().len(), 1, "it is on record");
    is_whole(&store, 110);
    assert_eq!(drops_at(&store, 120), [(100, 20)]);
    is_whole(&store, 10);
}

#[test]
fn a_segment_without_a_header_goes_when_it_was_known_to_be_damaged_for_its_age() {
    let file = three_segments();
    damage(&file, SEGMENTS, (1, 0));
    let store = Store::on(file.open_again()).unwrap();
    assert_eq!(drops_at(&store, 50), []);
    assert_eq!(drops_at(&store, 120), [(100, 20)], "it does not hold up others");
    assert_eq!(drops_at(&store, 149), []);
    assert_eq!(drops_at(&store, 150), [(100, 50)]);
    is_whole(&store, 10);
}

#[test]
fn a_damaged_segment_stays_while_somebody_in_it_lives() {
    let file = three_segments();
    damage(&file, SEGMENTS, (201, 1));
    let store = Store::on(file.open_again()).unwrap();
    assert_eq!(drops_at(&store, 1000), [(100, 10), (100, 20)]);
    record(&store, 1001, vec![], (201..=209).map(|id| version(id, 1)).collect());
    assert_eq!(drops_at(&store, 2000), []);
    assert_eq!(drops_at(&store, 2500), []);
    record(&store, 3001, vec![], vec![version(210, 1)]);
    assert_eq!(drops_at(&store, 3100), []);
    assert_eq!(drops_at(&store, 3101), [(10, 3001)]);
    is_whole(&store, 0);
}

#[test]
fn damage_does_not_keep_the_file_too_large() {
    for (chunk, first) in [(1, (100, 10)), (0, (100, 20))] {
        let file = three_segments();
        damage(&file, SEGMENTS, (1, chunk));
        let store = Store::on(file.open_again()).unwrap();
        let step = || store.keep(Retention { age_micros: i64::MAX, bytes: 0 }).unwrap();
        let dropped: Vec<_> = std::iter::from_fn(step).map(|drop| (drop.rows, drop.to.0, drop.cause)).collect();
        assert_eq!((dropped.len(), (dropped[0].0, dropped[0].1)), (2, first));
        assert!(dropped.iter().all(|(.., cause)| *cause == Cause::Size));
        is_whole(&store, 10);
    }
}

#[test]
fn a_damaged_block_goes_with_its_age_and_others_are_sealed() {
    const DAY: i64 = 86_400_000_000;
    let file = Memory::default();
    let store = Store::on(file.open_again()).unwrap();
    record(&store, 1, vec![version(1, 1)], vec![]);
    record(&store, 2, vec![version(2, 1)], vec![version(1, 1)]);
    drop(store);
    damage(&file, BLOCKS, 1);
    let store = Store::on(file.open_again()).unwrap();
    record(&store, DAY, vec![], vec![]);
    record(&store, DAY + 10, vec![], vec![]);
    assert_eq!(keep(&store, 2 * DAY), []);
    let contents = store.read().unwrap().contents().unwrap();
    assert_eq!((contents.segments, contents.damaged), (1, 1), "what follows it is sealed");
    record(&store, 2 * DAY, vec![], vec![]);
    record(&store, 2 * DAY + 1, vec![], vec![]);
    assert_eq!(keep(&store, 2 * DAY), []);
    record(&store, 2 * DAY + 2, vec![], vec![]);
    assert_eq!(keep(&store, 2 * DAY).iter().map(|drop| (drop.rows, drop.to.0)).collect::<Vec<_>>(), [(1, 2)]);
    is_whole(&store, 1);
}

#[test]
fn a_stretch_of_samples_without_a_header_goes_with_those_beside_it() {
    let file = Memory::default();
    let store = Store::on(file.open_again()).unwrap();
    record(&store, 1, vec![version(1, 1)], vec![]);
    for hour in 0..4 {
        let using = Process::batch(&[super::samples::using(1, 7 * hour)]);
        let round = Sampler::default().round(&using, Timestamp(hour * HOUR + 1), 1).unwrap().unwrap();
        let mut txn = store.begin().unwrap();
        txn.record_samples(&round).unwrap();
        txn.commit().unwrap();
    }
    drop(store);
    damage(&file, SAMPLES, (2, 0));
    let store = Store::on(file.open_again()).unwrap();
    let kept = |hours: i64| {
        record(&store, (24 + 100 + hours) * HOUR + 1, vec![], vec![]);
        let dropped = keep(&store, 100 * HOUR).len();
        (dropped, store.read().unwrap().contents().unwrap().damaged)
    };
    assert_eq!((24..24 + 101).map(|hour| record(&store, hour * HOUR, vec![], vec![])).count(), 101);
    assert_eq!([0, 1, 2, 3].map(kept), [(1, 1), (0, 1), (2, 0), (1, 0)]);
}
