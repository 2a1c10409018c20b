//! Any sequence of snapshots, seen through every table, against a model that keeps everything in vectors.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Delta, Version, id_text, rows, scan, texts, version};
use crate::memory::Memory;
use crate::{Cause, Reader, Retention, Store};

/// What happens to one pid in one snapshot.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A process appears, or the one that is there changes.
    Touch,
    /// The process that is there goes; if none is, the last one comes back (a snapshot had missed it).
    Toggle,
    /// The process that is there goes and another takes its pid at once.
    Reuse,
}

#[derive(Clone, Debug)]
struct Step {
    events: Vec<(usize, Event)>,
    pause: i64,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Then {
    Commit,
    Abort,
    Reopen,
    Seal,
    Age,
    Shrink,
}

const PIDS: usize = 8;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = prop_oneof![3 => Just(Event::Touch), 2 => Just(Event::Toggle), 1 => Just(Event::Reuse)];
    let then = prop_oneof![6 => Just(Then::Commit), 1 => Just(Then::Abort), 1 => Just(Then::Reopen), 3 => Just(Then::Seal), 1 => Just(Then::Age), 1 => Just(Then::Shrink)];
    let events = prop::collection::btree_map(0..PIDS, event, 0..PIDS);
    // Clocks may step back.
    let step = (events, -5_i64..100, then).prop_map(|(events, pause, then)| Step {
        events: events.into_iter().collect(),
        pause,
        then,
    });
    prop::collection::vec(step, 1..20)
}

/// The naive store.
#[derive(Clone, Debug, Default)]
struct Model {
    last_time: Option<i64>,
    starts: Vec<(Version, i64)>,
    exits: Vec<(Version, i64, i64)>,
    history: Vec<(Version, i64, Option<i64>)>,
    live: BTreeMap<u64, Version>,
    last: BTreeMap<u64, Version>,
    /// Per pid: how many processes had it, and the versions of the last.
    pids: [(u64, u32); PIDS],
}

impl Model {
    fn current(&self, pid: usize) -> u64 {
        self.pids[pid].0 * PIDS as u64 + pid as u64
    }

    fn next_version(&mut self, pid: usize) -> Version {
        self.pids[pid].1 += 1;
        version(self.current(pid), self.pids[pid].1)
    }

    /// The delta that an event-driven collector would see.
    fn delta(&mut self, step: &Step) -> Delta {
        let mut delta = Delta::default();
        for (pid, event) in &step.events {
            let alive = self.live.get(&self.current(*pid)).cloned();
            match (event, alive) {
                (Event::Touch, Some(_)) => delta.changed.push(self.next_version(*pid)),
                (Event::Toggle, Some(alive)) => delta.exited.push(alive),
                (Event::Reuse, Some(alive)) => {
                    delta.exited.push(alive);
                    self.pids[*pid] = (self.pids[*pid].0 + 1, 0);
                    delta.started.push(self.next_version(*pid));
                }
                (Event::Toggle, None) => delta.started.push(self.next_version(*pid)),
                (Event::Touch | Event::Reuse, None) => {
                    self.pids[*pid] = (self.pids[*pid].0 + 1, 0);
                    delta.started.push(self.next_version(*pid));
                }
            }
        }
        delta
    }

    fn apply(&mut self, delta: &Delta, time: i64) {
        for gone in delta.changed.iter().chain(&delta.exited) {
            let open = self.history.iter_mut().find(|(old, _, to)| old.id == gone.id && to.is_none());
            open.expect("it was alive").2 = Some(time);
        }
        for gone in &delta.exited {
            self.live.remove(&gone.id);
            self.exits.push((gone.clone(), self.last_time.expect("a snapshot had it"), time));
        }
        if self.last_time.is_some() {
            self.starts.extend(delta.started.iter().map(|started| (started.clone(), time)));
        }
        for current in delta.started.iter().chain(&delta.changed) {
            self.history.push((current.clone(), time, None));
            self.live.insert(current.id, current.clone());
            self.last.insert(current.id, current.clone());
        }
        self.last_time = Some(time);
    }

    fn compare(&self, reader: &impl Reader) {
        let text = |Version { id, pid, command }: &Version| format!("{}|{pid}|{command}", id_text(*id));
        let sorted = |mut rows: Vec<String>| {
            rows.sort();
            rows
        };
        let process = ["proc_id", "pid", "command_line"];
        let read = |name: &str, more: &[&str]| texts(&scan(reader, name, &[&process, more].concat()).batches);

        let starts = self.starts.iter().map(|(start, at)| format!("{}|{at}|snapshot", text(start)));
        assert_eq!(read("process_starts", &["observed_at", "observed_by"]), sorted(starts.collect()));
        let exits = self.exits.iter().map(|(exit, last, at)| format!("{}|{last}|{at}", text(exit)));
        assert_eq!(read("process_exits", &["last_seen_at", "observed_at"]), sorted(exits.collect()));
        let end = |to: &Option<i64>| to.map_or("null".to_owned(), |to| to.to_string());
        let history = self.history.iter().map(|(old, from, to)| format!("{}|{from}|{}", text(old), end(to)));
        assert_eq!(read("processes_history", &["seen_from", "seen_to"]), sorted(history.collect()));
        for (id, last) in &self.last {
            let found = reader.process(&id_text(*id)).unwrap().expect("it was seen");
            assert_eq!(found.version(), rows(std::slice::from_ref(last)));
        }
        assert!(reader.process("00000000deadbeef").unwrap().is_none());
    }

    /// Holds what retention left to what it promises, and forgets what it took.
    fn keep(&mut self, store: &Store, retention: Retention) {
        let mut dropped = Vec::new();
        while let Some(step) = store.keep(retention).unwrap() {
            dropped.push(step);
        }
        let view = store.read().unwrap();
        let left = scan(&view, "processes_history", &["proc_id", "command_line"]);
        assert!(left.completeness.is_complete());
        let left = texts(&left.batches);
        let is_left = |version: &Version| left.contains(&format!("{}|{}", id_text(version.id), version.command));
        let age = |to: &i64| self.last_time.expect("it keeps after a snapshot") - to;
        let gone: Vec<_> = self.history.iter().filter(|(version, _, _)| !is_left(version)).cloned().collect();
        assert_eq!(gone.len() as u64, dropped.iter().map(|step| step.rows).sum::<u64>());
        for (version, from, to) in &gone {
            let to = to.unwrap_or_else(|| panic!("{version:?} is alive"));
            let because = dropped.iter().find(|step| step.from.0 <= *from && to <= step.to.0);
            let because = because.unwrap_or_else(|| panic!("{version:?}: nothing says that it is gone"));
            assert!(because.cause == Cause::Size || age(&to) >= retention.age_micros, "{version:?} is young");
        }
        let stays = |(_, _, to): &&(Version, i64, Option<i64>)| {
            to.as_ref().is_some_and(|to| age(to) >= retention.age_micros.saturating_add(retention.age_micros / 4))
        };
        self.history.retain(|(version, _, _)| is_left(version));
        self.starts.retain(|(version, _)| is_left(version));
        self.exits.retain(|(version, _, _)| is_left(version));
        assert_eq!(self.history.iter().find(stays), None, "it is too old");
        if retention.bytes == 0 {
            // What ended is an eighth or more of its segment, or not worth it.
            let ended = self.history.iter().filter(|(_, _, to)| to.is_some()).count();
            assert!(ended * 8 <= self.history.len(), "{ended} of {}", self.history.len());
        }
        self.last.clear();
        for (version, _, _) in &self.history {
            self.last.insert(version.id, version.clone());
        }
    }

    fn compare_live(&self, store: &Store) {
        let live = store.live().unwrap();
        assert_eq!(live.as_ref().map(|live| live.time.0), self.last_time);
        let Some(live) = live else { return };
        let alive: Vec<_> = self.live.values().cloned().collect();
        assert_eq!(texts([&live.versions]), texts([&rows(&alive)]));
        assert!(live.completeness.is_complete());
    }
}

fn run(steps: &[Step]) {
    let file = Memory::default();
    let mut store = Store::on(file.open_again()).unwrap();
    let mut model = Model::default();
    let mut time = 1_000;
    for step in steps {
        let before = model.clone();
        time += step.pause;
        let delta = model.delta(step);
        let mut txn = store.begin().unwrap();
        let recorded = delta.at(time, model.last_time, |change| txn.record_processes(change)).unwrap();
        model.apply(&delta, time);
        assert_eq!(recorded.starts.num_rows(), model.starts.len() - before.starts.len());
        assert_eq!(recorded.exits.num_rows(), model.exits.len() - before.exits.len());
        assert_eq!(recorded.versions.num_rows(), model.history.len() - before.history.len());
        model.compare(&txn);
        before.compare(&store.read().unwrap());
        match step.then {
            Then::Commit => txn.commit().unwrap(),
            Then::Abort => {
                drop(txn);
                model = before;
            }
            Then::Seal => {
                txn.commit().unwrap();
                while store.seal(true).unwrap().is_some() {}
                assert_eq!(store.read().unwrap().contents().unwrap().blocks, 0);
            }
            Then::Age | Then::Shrink => {
                txn.commit().unwrap();
                while store.seal(true).unwrap().is_some() {}
                let (age_micros, bytes) = if matches!(step.then, Then::Age) { (60, u64::MAX) } else { (i64::MAX, 0) };
                model.keep(&store, Retention { age_micros, bytes });
            }
            Then::Reopen => {
                txn.commit().unwrap();
                drop(store);
                store = Store::on(file.open_again()).unwrap();
            }
        }
        model.compare(&store.read().unwrap());
        model.compare_live(&store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn the_store_is_the_model(steps in steps()) {
        run(&steps);
    }
}
