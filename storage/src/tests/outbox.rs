//! Events wait for the ledger in the order of their numbers, which have no gaps, whatever becomes of the others.

use daemoneye_dsl::audit::{Action, Actor, Fact};
use daemoneye_dsl::types::Timestamp;
use redb::ReadableTable;
use serde_json::{Value, json};

use crate::outbox::{self, Bounds};
use crate::tables::EVENTS;
use crate::{EVENTS_READ_MAX, Store};

/// About something of that name.
pub(super) fn fact(subject: &str) -> Fact {
    Fact::new(Timestamp(7), Actor::component("agent"), Action::AlertRaised, subject, &json!({"hash": "00"}))
}

fn put(store: &Store, subjects: &[&str], bounds: Bounds) {
    store.write(|txn| subjects.iter().try_for_each(|it| outbox::put(txn, &fact(it), bounds))).unwrap();
}

/// Number, action and subject of the events after a number.
fn after(store: &Store, last: u64) -> Vec<(u64, &'static str, String)> {
    let events = store.read().unwrap().events(last).unwrap();
    events.into_iter().map(|event| (event.id.number, event.action.name(), event.subject)).collect()
}

#[test]
fn events_are_numbered_read_on_from_any_and_forgotten() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    let many: Vec<_> = (1..=EVENTS_READ_MAX + 1).map(|number| number.to_string()).collect();
    for subject in &many {
        txn.put_event(&fact(subject)).unwrap();
    }
    txn.commit().unwrap();
    let mut undone = store.begin().unwrap();
    undone.put_event(&fact("never")).unwrap();
    drop(undone);
    let all = after(&store, 0);
    assert_eq!(all.len(), EVENTS_READ_MAX);
    assert!(all.iter().all(|(number, _, subject)| number.to_string() == *subject));
    let last = EVENTS_READ_MAX as u64 + 1;
    assert_eq!(after(&store, last - 1), [(last, "alert_raised", last.to_string())]);
    let mut txn = store.begin().unwrap();
    txn.forget_events(last).unwrap();
    txn.put_event(&fact("next")).unwrap();
    txn.commit().unwrap();
    assert_eq!(after(&store, 0), [(last + 1, "alert_raised", "next".to_owned())]);
    let view = store.read().unwrap();
    assert_eq!(view.next_event().unwrap(), last + 2);
    let origin = view.origin().unwrap();
    assert_eq!((&view.events(0).unwrap()[0].id.origin, origin.since), (&origin.name, 1));
    assert_ne!(origin, Store::in_memory().unwrap().read().unwrap().origin().unwrap());
    store.renew_origin().unwrap();
    let renewed = store.read().unwrap().origin().unwrap();
    assert_eq!(renewed.since, last + 1, "those that wait go along");
    assert_ne!(renewed.name, origin.name);
}

#[test]
fn what_there_is_no_room_for_is_counted_and_told_with_the_next_that_fits() {
    let store = Store::in_memory().unwrap();
    let narrow = Bounds { events: 3, ..Bounds::USUAL };
    put(&store, &["a", "b", "c", "d", "e"], narrow);
    assert_eq!(after(&store, 0).len(), 3);
    store.write(|txn| outbox::forget(txn, 2)).unwrap();
    put(&store, &["f"], narrow);
    put(&store, &["g"], narrow);
    let kept: Vec<_> = after(&store, 2).into_iter().map(|(number, action, _)| (number, action)).collect();
    assert_eq!(kept, [(3, "alert_raised"), (4, "entries_shed"), (5, "alert_raised")]);
    let shed = &store.read().unwrap().events(3).unwrap()[0];
    assert_eq!(serde_json::from_str::<Value>(&shed.payload).unwrap()["events"], 2);
    store.write(|txn| outbox::forget(txn, 5)).unwrap();
    put(&store, &["h"], narrow);
    let (number, _, _) = after(&store, 5)[0];
    assert_eq!((number, after(&store, 5).len()), (6, 2), "g, then h");
    // Bytes count too, and are free again once they are forgotten.
    store.write(|txn| outbox::forget(txn, 7)).unwrap();
    let small = Bounds { bytes: 400, ..Bounds::USUAL };
    put(&store, &["x"; 10], small);
    let fit = after(&store, 7).len();
    assert!((1..10).contains(&fit), "{fit}");
    store.write(|txn| outbox::forget(txn, u64::MAX)).unwrap();
    put(&store, &["y"], Bounds { bytes: 500, ..Bounds::USUAL });
    assert_eq!(after(&store, 0).len(), 2);
}

#[test]
fn in_the_place_of_a_damaged_event_stands_that_it_is() {
    let store = Store::in_memory().unwrap();
    put(&store, &["a", "b", "c"], Bounds::USUAL);
    store
        .write(|txn| {
            let mut events = txn.open_table(EVENTS)?;
            let mut sealed = events.get(2)?.unwrap().value().to_vec();
            *sealed.last_mut().unwrap() ^= 1;
            events.insert(2, sealed.as_slice())?;
            Ok(())
        })
        .unwrap();
    let all = after(&store, 0);
    assert_eq!(all[1], (2, "damage_found", "event 2 for the ledger".to_owned()));
    assert_eq!((all.len(), all[2].2.as_str()), (3, "c"));
    let checked = store.read().unwrap().check(&mut |_| {}).unwrap();
    assert_eq!(checked.damaged[0].part, "event 2 for the ledger");
}
