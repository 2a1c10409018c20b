//! Any past moment, against a model that keeps every snapshot whole: pids are reused, the agent starts again, the clock
//! steps, snapshots are missed, and what was recorded is sealed in between.

use std::collections::{BTreeMap, BTreeSet};

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Catalog, Process, version_columns};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use daemoneye_storage::{ProcessChange, Reader, Retention, Store};
use proptest::prelude::*;

use super::world::rows_of;

const PIDS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A process appears, or the one that is there changes.
    Touch,
    /// The process that is there goes.
    End,
    /// The process that is there goes, and another takes its pid at once.
    Reuse,
}

#[derive(Clone, Debug)]
struct Step {
    events: BTreeMap<usize, Event>,
    /// Seconds since the snapshot before, by the clock.
    pause: i64,
    missed: bool,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Nothing,
    Seal,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![3 => Just(Event::Touch), 2 => Just(Event::End), 1 => Just(Event::Reuse)];
    let events = prop::collection::btree_map(0..PIDS, event, 0..PIDS);
    let pause = prop_oneof![9 => 2_i64..40, 1 => -30_i64..=0];
    let then = prop_oneof![5 => Just(Then::Nothing), 2 => Just(Then::Seal), 1 => Just(Then::Reopen)];
    let step = (events, pause, prop::bool::weighted(0.1), then);
    let step = step.prop_map(|(events, pause, missed, then)| Step { events, pause, missed, then });
    prop::collection::vec(step, 1..12)
}

/// A process in a snapshot: its id, pid and command.
type Seen = (String, i64, String);

#[derive(Clone, Debug)]
struct Snapshot {
    time: i64,
    /// By id.
    rows: BTreeMap<String, Seen>,
    /// Whether others are missing before it, or the clock went back.
    gap: bool,
}

/// Every snapshot, whole, in the order in which they were taken.
#[derive(Default)]
struct Model {
    snapshots: Vec<Snapshot>,
    /// Of each pid: which process, which version, and whether it is alive.
    pids: [(u32, u32, bool); PIDS],
}

impl Model {
    fn take(&mut self, step: &Step) {
        for (pid, event) in &step.events {
            let (process, version, alive) = &mut self.pids[*pid];
            match (event, *alive) {
                (Event::Touch, true) => *version += 1,
                (Event::End, _) => *alive = false,
                (Event::Reuse, _) | (Event::Touch, false) => (*process, *version, *alive) = (*process + 1, 0, true),
            }
        }
        let last = self.snapshots.last().map(|last| last.time);
        let time = last.unwrap_or(10_000 * MICROS_PER_SEC) + step.pause * MICROS_PER_SEC;
        let alive = self.pids.iter().enumerate().filter(|(_, (.., alive))| *alive);
        let seen = alive.map(|(pid, (process, version, _))| {
            let id = format!("{:016x}", *process as usize * PIDS + pid);
            (id.clone(), (id.clone(), i64::try_from(pid).unwrap(), format!("{id} v{version}")))
        });
        let gap = last.is_some_and(|last| step.missed || time <= last);
        self.snapshots.push(Snapshot { time, rows: seen.collect(), gap });
    }

    /// Records the last snapshot as the agent does.
    fn record(&self, store: &Store) {
        let none = Snapshot { time: 0, rows: BTreeMap::new(), gap: false };
        let (now, rest) = self.snapshots.split_last().unwrap();
        let before = rest.last();
        let old = &before.unwrap_or(&none).rows;
        let is_new = |(id, _): &(&String, &Seen)| !old.contains_key(*id);
        let started = now.rows.iter().filter(is_new).map(|(_, seen)| seen);
        let changed = now.rows.iter().filter(|(id, seen)| old.get(*id).is_some_and(|old| old != *seen));
        let exited = old.iter().filter(|(id, _)| !now.rows.contains_key(*id)).map(|(_, seen)| seen);
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(now.time),
            previous_time: before.map(|before| Timestamp(before.time)),
            baseline: before.is_none(),
            started: &rows(started),
            changed: &rows(changed.map(|(_, seen)| seen)),
            exited: &rows(exited),
        })
        .unwrap();
        if let Some(before) = before.filter(|_| now.gap) {
            txn.note_gap(Timestamp(before.time), Timestamp(now.time)).unwrap();
        }
        txn.commit().unwrap();
    }

    /// Whether nobody knows what was there at some moment from `from` to `to`.
    fn is_unknown(&self, from: i64, to: i64) -> bool {
        let first = self.snapshots.iter().map(|snapshot| snapshot.time).min().unwrap();
        let last = self.snapshots.last().unwrap().time;
        let in_gap = |pair: &[Snapshot]| {
            let (before, after) = (pair[0].time, pair[1].time);
            // Of a clock that went back, both moments are doubtful too.
            let (start, end) = if after > before { (before + 1, after - 1) } else { (after, before) };
            pair[1].gap && start <= to && from <= end
        };
        to < first || to > last + 90 * MICROS_PER_SEC || self.snapshots.windows(2).any(in_gap)
    }

    /// What was there at a moment.
    fn at(&self, moment: i64) -> BTreeSet<Seen> {
        let seen = self.snapshots.iter().rev().find(|snapshot| snapshot.time <= moment);
        seen.map(|seen| seen.rows.values().cloned().collect()).unwrap_or_default()
    }

    fn between(&self, from: i64, to: i64) -> BTreeSet<Seen> {
        let later = self.snapshots.iter().filter(|snapshot| from < snapshot.time && snapshot.time <= to);
        later.flat_map(|snapshot| snapshot.rows.values().cloned()).chain(self.at(from)).collect()
    }

    /// At, just before and just after every snapshot, and well after the last.
    fn moments(&self) -> BTreeSet<i64> {
        let times = self.snapshots.iter().map(|snapshot| snapshot.time);
        let around = times.flat_map(|time| [time - 1, time, time + 1]);
        let last = self.snapshots.last().unwrap().time;
        around.chain([last + 90 * MICROS_PER_SEC, last + 91 * MICROS_PER_SEC]).collect()
    }
}

fn rows<'a>(seen: impl Iterator<Item = &'a Seen>) -> arrow_array::RecordBatch {
    let process = |(id, pid, command): &Seen| Process {
        proc_id: id.clone(),
        pid: *pid,
        name: "x".to_owned(),
        command_line: Some(command.clone()),
        accessible: true,
        ..Process::default()
    };
    let batch = Process::batch(&seen.map(process).collect::<Vec<_>>());
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).unwrap()).collect();
    batch.project(&columns).unwrap()
}

fn literal(moment: i64) -> String {
    let (seconds, micros) = (moment / MICROS_PER_SEC, moment % MICROS_PER_SEC);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("TIMESTAMP '1970-01-01 {hours:02}:{minutes:02}:{seconds:02}.{micros:06}'")
}

/// The rows as text, and whether they are said to lack something.
fn ask(reader: &dyn Reader, sql: &str) -> (Vec<String>, bool) {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
    let answer = crate::execute(&crate::plan(&rule.query), reader, Timestamp(0)).unwrap();
    let reasons = &answer.completeness.reasons;
    assert!(reasons.is_empty() || *reasons == [Reason::SamplingGap], "{sql}: {reasons:?}");
    let text = |value: &daemoneye_dsl::types::Value| value.as_text().map_or_else(String::new, str::to_owned);
    let mut rows: Vec<_> =
        rows_of(&answer.rows).iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" | ")).collect();
    rows.sort();
    (rows, !reasons.is_empty())
}

fn commands<'a>(seen: impl IntoIterator<Item = &'a Seen>) -> Vec<String> {
    let mut commands: Vec<_> = seen.into_iter().map(|(.., command)| command.clone()).collect();
    commands.sort();
    commands
}

fn check(model: &Model, reader: &dyn Reader) {
    let moments: Vec<i64> = model.moments().into_iter().collect();
    for moment in &moments {
        let sql = format!("SELECT command_line FROM processes FOR SYSTEM_TIME AS OF {}", literal(*moment));
        let (rows, marked) = ask(reader, &sql);
        assert_eq!(marked, model.is_unknown(*moment, *moment), "{sql}");
        if !marked {
            assert_eq!(rows, commands(&model.at(*moment)), "{sql}");
        }
    }
    let pairs = moments.iter().step_by(3).flat_map(|from| moments.iter().step_by(4).map(move |to| (*from, *to)));
    for (from, to) in pairs.filter(|(from, to)| from <= to) {
        let (x, y) = (literal(from), literal(to));
        let sql = format!("SELECT command_line FROM processes FOR SYSTEM_TIME BETWEEN {x} AND {y}");
        let (rows, marked) = ask(reader, &sql);
        assert_eq!(marked, model.is_unknown(from, to), "{sql}");
        if !marked {
            assert_eq!(rows, commands(&model.between(from, to)), "{sql}");
        }
        // Who has the pid now of one that had it then: changed, or another process.
        let sql = format!(
            "SELECT a.command_line, b.command_line FROM processes FOR SYSTEM_TIME AS OF {x} AS a \
             JOIN processes FOR SYSTEM_TIME AS OF {y} AS b ON a.pid = b.pid AND a.command_line <> b.command_line"
        );
        let (rows, marked) = ask(reader, &sql);
        let then = model.at(from);
        let mut expected = Vec::new();
        for (_, pid, old) in &then {
            let now = model.at(to).into_iter().filter(|(_, other, new)| other == pid && new != old);
            expected.extend(now.map(|(.., new)| format!("{old} | {new}")));
        }
        expected.sort();
        // What is empty on one side is not asked for on the other.
        let unknown = model.is_unknown(from, from) || model.is_unknown(to, to);
        assert!(marked == unknown || then.is_empty() || model.at(to).is_empty(), "{sql}");
        if !unknown {
            assert_eq!(rows, expected, "{sql}");
        }
    }
    // The same moments, named by rows: on the other side of a join, around a subquery, and around one with an index.
    let alive = "h.seen_from <= m.column1 AND (h.seen_to > m.column1 OR h.seen_to IS NULL)";
    for pair in moments.chunks(2).step_by(3) {
        let listed = pair.iter().map(|moment| format!("({}, 1)", literal(*moment))).collect::<Vec<_>>().join(", ");
        let unknown = pair.iter().any(|moment| model.is_unknown(*moment, *moment));
        let joined =
            format!("SELECT h.command_line FROM (VALUES {listed}) AS m JOIN processes_history AS h ON {alive}");
        let (rows, marked) = ask(reader, &joined);
        assert_eq!(marked, unknown, "{joined}");
        if !marked {
            let mut expected: Vec<_> = pair.iter().flat_map(|moment| commands(&model.at(*moment))).collect();
            expected.sort();
            assert_eq!(rows, expected, "{joined}");
        }
        for also in ["", "h.pid = m.column2 AND "] {
            let counted = format!(
                "SELECT (SELECT max(h.command_line) FROM processes_history AS h WHERE {also}{alive}) \
                 FROM (VALUES {listed}) AS m"
            );
            assert_eq!(ask(reader, &counted).1, unknown, "{counted}");
        }
    }
    let (all, marked) = ask(reader, "SELECT command_line FROM processes_history");
    assert!(!marked, "whoever names no moment asks for what was recorded");
    let ever: BTreeSet<Seen> = model.snapshots.iter().flat_map(|snapshot| snapshot.rows.values().cloned()).collect();
    assert_eq!(all, commands(&ever));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_past_is_what_snapshots_showed(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.redb");
        let mut store = Store::open(&path).unwrap();
        let mut model = Model::default();
        for step in &steps {
            model.take(step);
            model.record(&store);
            match step.then {
                Then::Nothing => {}
                Then::Seal => while store.seal(true).unwrap().is_some() {},
                Then::Reopen => {
                    drop(store);
                    store = Store::open(&path).unwrap();
                }
            }
        }
        check(&model, &store.read().unwrap());
    }
}

/// What an answer lacks.
fn lacks(store: &Store, sql: &str) -> Vec<Reason> {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
    crate::execute(&crate::plan(&rule.query), &store.read().unwrap(), Timestamp(0)).unwrap().completeness.reasons
}

/// Snapshots at 10 and 20 s, and at 40 and 50 s; an hour later what ended until then is dropped.
fn with_a_gap_and_a_drop() -> Store {
    let store = Store::in_memory().unwrap();
    let mut model = Model::default();
    let step = |pid: usize, event, pause, missed| Step {
        events: [(pid, event), (4, Event::Touch)].into(),
        pause,
        missed,
        then: Then::Nothing,
    };
    let steps = [
        step(0, Event::Touch, 10, false),
        step(1, Event::Touch, 10, false),
        step(0, Event::End, 20, true),
        step(2, Event::Touch, 10, false),
        step(3, Event::Touch, 60, false),
    ];
    for step in &steps {
        model.take(step);
        model.record(&store);
    }
    while store.seal(true).unwrap().is_some() {}
    let age_micros = 65 * MICROS_PER_SEC;
    assert!(store.keep(Retention { age_micros, bytes: u64::MAX }).unwrap().is_some());
    store
}

#[test]
fn rows_that_name_moments_of_what_was_dropped_or_missed_are_heard() {
    let store = with_a_gap_and_a_drop();
    let first = 10_010;
    let at = |seconds: i64| literal((first + seconds) * MICROS_PER_SEC);
    let join = |moment: &str, condition: &str| {
        lacks(
            &store,
            &format!("SELECT h.pid FROM (VALUES ({moment}, 1)) AS m LEFT JOIN processes_history AS h ON {condition}"),
        )
    };
    let until = store.read().unwrap().drops().unwrap()[0].to;
    assert_eq!(until, Timestamp((first + 30) * MICROS_PER_SEC));
    let (dropped, gap) = (Reason::HistoryDropped, Reason::SamplingGap);
    assert_eq!(join(&at(31), "h.seen_from = m.column1"), []);
    assert_eq!(join(&at(30), "h.seen_from = m.column1"), [dropped]);
    assert_eq!(join(&at(15), "m.column1 = h.seen_to"), [gap, dropped]);
    assert_eq!(join(&at(31), "h.seen_to >= m.column1 AND h.seen_to < m.column1 + INTERVAL '9 s'"), []);
    // When it started is not when it was seen, but it may have been dropped.
    assert_eq!(join(&at(15), "h.start_time > m.column1"), [dropped]);
    assert_eq!(join(&at(31), "h.start_time > m.column1"), []);
    assert_eq!(join("NULL", "h.seen_from = m.column1"), [], "no moment");
    assert_eq!(join(&at(15), "h.pid = m.column2"), [], "a number is no moment");
    assert_eq!(
        join(&at(15), "h.seen_from - INTERVAL '1 s' = m.column1"),
        [],
        "a moment is compared as it is, or not heard"
    );

    let never = "SELECT 1 FROM (VALUES ({then}, NULL), ({now}, {now})) AS m JOIN processes_history AS h \
                 ON h.seen_from <= m.column1 AND h.seen_to > m.column2";
    assert_eq!(
        lacks(&store, &never.replace("{then}", &at(15)).replace("{now}", &at(45))),
        [],
        "what is never true asks for nothing"
    );

    // Rows of the record name moments of what is kept.
    let among = |condition: &str| {
        lacks(&store, &format!("SELECT 1 FROM processes_history AS a JOIN processes_history AS h ON {condition}"))
    };
    assert_eq!(among("h.start_time <= a.start_time"), []);
    assert_eq!(among("h.seen_from < a.seen_from - INTERVAL '5 s'"), [gap]);
}

#[test]
fn many_moments_are_taken_for_all() {
    let listed = |count: i64| {
        let moments = (0..count).map(|n| format!("({})", literal((10_041 + n) * MICROS_PER_SEC)));
        let moments = moments.collect::<Vec<_>>().join(", ");
        format!("SELECT 1 FROM (VALUES {moments}) AS m JOIN processes_history AS h ON h.seen_from = m.column1")
    };
    let store = with_a_gap_and_a_drop();
    assert_eq!(lacks(&store, &listed(50)), []);
    assert_eq!(lacks(&store, &listed(1100)), [Reason::SamplingGap, Reason::HistoryDropped]);
    let subquery = |count: i64| {
        let asked = listed(count)
            .replace("SELECT 1", "SELECT (SELECT 1 FROM processes_history AS h WHERE h.seen_from > m.column1)");
        lacks(&store, asked.split(" JOIN ").next().unwrap())
    };
    assert_eq!((subquery(50), subquery(1100)), (vec![], vec![Reason::SamplingGap, Reason::HistoryDropped]));
}
