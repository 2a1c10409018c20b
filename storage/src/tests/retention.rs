//! What retention takes, what it leaves, and who is told.

use daemoneye_dsl::audit::Action;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::types::Timestamp;

use super::{Delta, Version, count, id_text, scan, table, texts, version};
use crate::{Cause, Dropped, Probe, Question, Reader, Retention, Scan, Store};

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
