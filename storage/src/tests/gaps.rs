//! Which questions reach into a time in which nobody looked.

use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::status::CollectorStatus;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};

use super::{Delta, table, version};
use crate::gaps::GAPS_MAX;
use crate::{Gap, Probe, Question, Reader, Scan, Store, View};

/// Snapshots at 100, 200, 300, 400, 500, with others missing between 200 and 300.
fn filled() -> Store {
    let store = Store::in_memory().unwrap();
    for n in 1..=5_i64 {
        let mut txn = store.begin().unwrap();
        let started = vec![version(n.cast_unsigned(), 1)];
        let previous = (n > 1).then_some(100 * (n - 1));
        Delta { started, ..Delta::default() }.at(100 * n, previous, |change| txn.record_processes(change)).unwrap();
        if n == 3 {
            txn.note_gap(Timestamp(200), Timestamp(300)).unwrap();
        }
        txn.commit().unwrap();
    }
    store
}

/// Whether the answer to these groups of conditions is marked.
fn is_marked(view: &View, name: &str, required: &[&[(&str, Question)]]) -> bool {
    let table = table(name);
    let probe = |(column, question): &(&str, Question)| Probe {
        column: table.column(column).unwrap().0,
        question: question.clone(),
    };
    let required: Vec<Vec<Probe>> = required.iter().map(|group| group.iter().map(probe).collect()).collect();
    let scanned = view.scan(&Scan { required: &required, ..Scan::all(&table, &[0]) }).unwrap();
    let reasons = scanned.completeness.reasons;
    assert!(reasons.is_empty() || reasons == [Reason::SamplingGap]);
    !reasons.is_empty()
}

#[test]
fn what_names_a_moment_in_a_gap_is_marked() {
    use Question::{AtLeast, AtMost, Equal, Null};
    let store = filled();
    let view = store.read().unwrap();
    let history = |required: &[&[(&str, Question)]]| is_marked(&view, "processes_history", required);
    let as_of =
        |moment: f64| history(&[&[("seen_from", AtMost(moment))], &[("seen_to", AtLeast(moment)), ("seen_to", Null)]]);
    assert_eq!([199.0, 200.0, 250.0, 300.0, 301.0].map(as_of), [false, false, true, false, false]);
    assert_eq!(
        [99.0, 100.0, 500.0, 9e7, 9.1e7].map(as_of),
        [true, false, false, false, true],
        "the ends of the record"
    );
    assert!(!history(&[]), "the whole record is what was recorded");
    assert!(!history(&[&[("seen_to", Null)]]), "who lives is no moment");
    assert!(!history(&[&[("pid", AtLeast(250.0))]]), "a number is no moment");
    assert!(!history(&[&[("start_time", AtLeast(250.0))]]), "when it started is not when it was seen");
    assert!(!history(&[&[("seen_from", AtLeast(250.0)), ("pid", AtLeast(1.0))]]), "either may be met");
    assert!(history(&[&[("seen_from", Equal(Value::Timestamp(250)))]]));
    assert!(history(&[&[("seen_from", AtLeast(250.0))]]) && !history(&[&[("seen_from", AtLeast(300.0))]]));
    assert!(history(&[&[("seen_from", AtMost(100.0))], &[("seen_to", AtLeast(400.0))]]), "alive all through the gap");
    for (table, column) in [("process_starts", "observed_at"), ("process_exits", "last_seen_at")] {
        assert!(is_marked(&view, table, &[&[(column, AtLeast(150.0))], &[(column, AtMost(250.0))]]));
        assert!(!is_marked(&view, table, &[&[(column, AtLeast(310.0))], &[(column, AtMost(350.0))]]));
    }
}

#[test]
fn the_next_snapshot_is_awaited_as_long_as_its_collector_says() {
    let store = filled();
    let mut txn = store.begin().unwrap();
    txn.set_collector(&CollectorStatus {
        source: "s".to_owned(),
        pid: None,
        first_snapshot: Timestamp(100),
        last_snapshot: Timestamp(500),
        interval_micros: Some(60 * MICROS_PER_SEC),
        sequence: 5,
        snapshots: 5,
        missed: 0,
        processes: 1,
        evaluation_micros: 1,
        completeness: Completeness::default(),
    })
    .unwrap();
    txn.commit().unwrap();
    let view = store.read().unwrap();
    let marked = |moment| is_marked(&view, "process_starts", &[&[("observed_at", Question::AtLeast(moment))]]);
    assert_eq!([180e6, 181e6].map(marked), [false, true], "three intervals");
}

#[test]
fn gaps_are_bounded_and_none_is_forgotten() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    let many = i64::try_from(GAPS_MAX).unwrap() + 3;
    for n in 0..many {
        txn.note_gap(Timestamp(10 * n), Timestamp(10 * n + 5)).unwrap();
    }
    // The clock goes back, or stands: both moments were there twice.
    txn.note_gap(Timestamp(90_000), Timestamp(80_000)).unwrap();
    txn.commit().unwrap();
    let gaps = store.read().unwrap().gaps().unwrap();
    assert_eq!(gaps.len() as u64, GAPS_MAX);
    assert_eq!(gaps[0], Gap { from: Timestamp(0), to: Timestamp(45) });
    assert_eq!(gaps[1], Gap { from: Timestamp(50), to: Timestamp(55) });
    assert_eq!(gaps.last(), Some(&Gap { from: Timestamp(79_999), to: Timestamp(90_001) }));
}
