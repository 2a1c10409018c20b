//! Samples against full snapshots: what is left out is what the last row of a process says anyway.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::tables::{Process, STATUSES, processes_at};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};
use proptest::prelude::*;

use super::damage::below;
use super::{Delta, id_text, scan, table, texts, version};
use crate::memory::Memory;
use crate::samples;
use crate::tables::SAMPLES;
use crate::{Probe, Question, Reader, Retention, Sampler, Scan, Store, Test};

const HOUR: i64 = 3600 * MICROS_PER_SEC;
const INTERVAL: i64 = 300 * MICROS_PER_SEC;

/// A process that uses something; its share of a processor is known where `tenths` is a multiple of 7.
pub(super) fn using(id: u64, tenths: i64) -> Process {
    Process {
        proc_id: id_text(id),
        pid: i64::try_from(id % 1000).expect("small"),
        name: "x".to_owned(),
        cpu_usage: (tenths % 7 != 3).then(|| f64::from(u16::try_from(tenths % 1000).expect("small")) / 10.0),
        memory_usage: (tenths % 5 != 4).then_some(tenths << 12),
        threads: Some(1 + tenths % 3),
        status: STATUSES.get(usize::try_from(tenths % 10).expect("small")).map(|status| (*status).to_owned()),
        ..Process::default()
    }
}

/// What is kept of a process's use, as text: by another way than the one that is tested.
fn kept(process: &Process) -> String {
    let memory = process.memory_usage.map(|bytes| {
        let below = (64 - bytes.leading_zeros()).saturating_sub(8);
        let half = if below == 0 { 0 } else { 1 << (below - 1) };
        (bytes + half) >> below << below
    });
    let value = |value: Option<Value>| value.unwrap_or(Value::Null).to_json().to_string();
    [
        value(process.cpu_usage.map(Value::Real)),
        value(memory.map(Value::Integer)),
        value(process.threads.map(Value::Integer)),
        process.status.clone().unwrap_or_else(|| "null".to_owned()),
    ]
    .join("|")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Merge,
    Restart,
    Abort,
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    /// What each process uses; none is not alive.
    uses: Vec<Option<i64>>,
    then: Then,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let uses = prop::collection::vec(prop_oneof![1 => Just(None), 6 => (0_i64..6).prop_map(Some)], 6);
    let then =
        prop_oneof![5 => Just(Then::Nothing), 3 => Just(Then::Merge), 1 => Just(Then::Restart), 1 => Just(Then::Abort)];
    // Clocks may step back, and hours may pass.
    let pause = prop_oneof![6 => 30..700_i64, 1 => -2000..0_i64, 1 => 10_000..100_000_i64];
    let step = (pause, uses, then).prop_map(|(pause, uses, then)| Step { pause, uses, then });
    prop::collection::vec(step, 1..40)
}

/// Every snapshot that was sampled, whole.
#[derive(Default)]
struct Model {
    rounds: Vec<(i64, BTreeMap<u64, String>)>,
    /// The processes that came and went at once are told apart: each life has an id of its own.
    alive: Vec<Option<u64>>,
    /// Behind which round each life ended.
    ended: BTreeMap<u64, usize>,
    next: u64,
    /// Whether the clock ever did.
    went_back: bool,
}

impl Model {
    /// Lives go on, begin and end.
    fn live(&mut self, step: &Step) -> (Delta, Vec<Process>) {
        self.alive.resize(step.uses.len(), None);
        let (mut delta, mut snapshot) = (Delta::default(), vec![]);
        for (alive, uses) in self.alive.iter_mut().zip(&step.uses) {
            match (*alive, uses) {
                (None, Some(_)) => {
                    self.next += 1;
                    *alive = Some(self.next);
                    delta.started.push(version(self.next, 1));
                }
                (Some(id), None) => {
                    delta.exited.push(version(id, 1));
                    self.ended.insert(id, self.rounds.len());
                    *alive = None;
                }
                _ => {}
            }
            if let (Some(id), Some(uses)) = (*alive, uses) {
                snapshot.push(using(id, *uses));
            }
        }
        (delta, snapshot)
    }

    fn held(&self, id: u64, moment: i64) -> String {
        let had = |(time, round): &&(i64, BTreeMap<u64, String>)| *time <= moment && round.contains_key(&id);
        let round = self.rounds.iter().rfind(had);
        // A sample is left out where it is as the one before, so when it was taken is not compared here.
        round.map_or_else(|| "null|null|null|null".to_owned(), |(_, round)| round[&id].clone())
    }

    /// Whether a process that is alive at a moment had ended before it: its end has a later time than rounds which were
    /// recorded after it, since the clock went back. Those do not know it any more.
    fn is_ghost(&self, id: u64, moment: i64) -> bool {
        let last = self.rounds.iter().rposition(|(time, _)| *time <= moment);
        self.ended.get(&id).zip(last).is_some_and(|(ended, last)| *ended <= last)
    }

    fn compare(&self, store: &Store) {
        let view = store.read().unwrap();
        let rows = scan(&view, "process_samples", &["collection_time", "proc_id", "pid"]);
        assert!(rows.completeness.is_complete());
        let rows = texts(&rows.batches);
        let different = rows.iter().collect::<BTreeSet<_>>().len();
        assert!(self.went_back || rows.len() == different, "a row is there twice");
        for (offset, (time, round)) in (-1..2).cycle().zip(&self.rounds) {
            // Just before a round, at it, and after it.
            let moment = *time + offset;
            for (id, sample) in as_of(&view, moment, &["cpu_usage", "memory_usage", "threads", "status"]) {
                if sample != "null|null|null|null" || !self.is_ghost(id, moment) {
                    assert_eq!(sample, self.held(id, moment), "{id} at {moment}");
                }
            }
            let found = as_of(&view, *time, &["threads"]);
            assert!(self.went_back || round.keys().all(|id| found.contains_key(id)), "who was sampled was alive");
        }
    }
}

#[test]
fn samples_of_no_moment_are_refused_and_no_damage() {
    let (store, table) = (Store::in_memory().unwrap(), processes_at());
    let columns = [table.column("memory_usage").unwrap().0];
    let error = store.read().unwrap().scan(&Scan::all(&table, &columns)).unwrap_err().to_string();
    assert_eq!(error, "refused: `memory_usage` is a sample, which `processes_history` has only of a moment");
}

/// The processes alive at a moment and what held of them.
fn as_of(reader: &impl Reader, moment: i64, columns: &[&str]) -> BTreeMap<u64, String> {
    let table = processes_at();
    let columns: Vec<usize> =
        ["proc_id", "seen_from", "seen_to"].iter().chain(columns).map(|name| table.column(name).unwrap().0).collect();
    let scanned = reader.scan(&Scan { as_of: Some(Timestamp(moment)), ..Scan::all(&table, &columns) }).unwrap();
    assert!(scanned.completeness.is_complete());
    let mut alive = BTreeMap::new();
    for batch in &scanned.batches {
        for row in 0..batch.num_rows() {
            let bound = |at: usize| Value::at(batch.column(at).as_ref(), row);
            let begun = matches!(bound(1), Value::Timestamp(from) if from <= moment);
            let lives = matches!(bound(2), Value::Null) || matches!(bound(2), Value::Timestamp(to) if to > moment);
            if begun && lives {
                let id = u64::from_str_radix(batch.column(0).as_string::<i32>().value(row), 16).unwrap();
                alive.insert(
                    id,
                    texts([&batch.slice(row, 1).project(&(3..columns.len()).collect::<Vec<_>>()).unwrap()]).remove(0),
                );
            }
        }
    }
    alive
}

fn merge(store: &Store) {
    while let Some(draft) = samples::draft(&store.reading().unwrap(), 2).unwrap() {
        store.write(|txn| samples::exchange(txn, &draft)).unwrap();
    }
}

fn run(steps: &[Step]) {
    let store = Store::in_memory().unwrap();
    let mut model = Model::default();
    let mut sampler = Sampler::default();
    let (mut time, mut last) = (1_000 * HOUR, None);
    for step in steps {
        time += step.pause * MICROS_PER_SEC;
        model.went_back |= step.pause <= 0;
        let (delta, snapshot) = model.live(step);
        let mut txn = store.begin().unwrap();
        delta.at(time, last, |change| txn.record_processes(change)).unwrap();
        last = Some(time);
        let round = sampler.round(&Process::batch(&snapshot), Timestamp(time), INTERVAL).unwrap();
        let round = round.filter(|_| step.then != Then::Abort);
        if let Some(round) = &round {
            txn.record_samples(round).unwrap();
        }
        txn.commit().unwrap();
        if let Some(round) = round {
            let all =
                snapshot.iter().map(|process| (u64::from_str_radix(&process.proc_id, 16).unwrap(), kept(process)));
            model.rounds.push((time, all.collect()));
            sampler.took(round);
        }
        match step.then {
            Then::Nothing | Then::Abort => {}
            Then::Merge => merge(&store),
            Then::Restart => sampler = Sampler::after(store.read().unwrap().last_round().unwrap()),
        }
    }
    model.compare(&store);
    merge(&store);
    model.compare(&store);
    assert!(store.read().unwrap().check(&mut |_| {}).unwrap().is_whole());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn what_held_is_what_full_snapshots_say(steps in steps()) {
        run(&steps);
    }
}

/// Ids all over.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1
}

/// A store in which `processes` are sampled in `rounds`, five minutes apart; one in `every` changes each time.
fn filled(file: &Memory, processes: u64, rounds: i64, every: u64) -> Store {
    let store = Store::on(file.open_again()).unwrap();
    let mut sampler = Sampler::default();
    let all: Vec<u64> = (1..=processes).map(scattered).collect();
    for n in 0..rounds {
        let time = n * INTERVAL;
        let mut txn = store.begin().unwrap();
        let started = if n == 0 { all.iter().map(|id| version(*id, 1)).collect() } else { vec![] };
        let previous = (n > 0).then_some(time - INTERVAL);
        Delta { started, ..Delta::default() }.at(time, previous, |change| txn.record_processes(change)).unwrap();
        let uses = |id: &u64| using(*id, if id.is_multiple_of(every) { n % 900 } else { 7 });
        let snapshot: Vec<_> = all.iter().map(uses).collect();
        let round = sampler.round(&Process::batch(&snapshot), Timestamp(time), INTERVAL).unwrap().unwrap();
        txn.record_samples(&round).unwrap();
        txn.commit().unwrap();
        sampler.took(round);
    }
    store
}

#[test]
fn who_does_nothing_has_a_row_a_day() {
    let store = filled(&Memory::default(), 50, 600, u64::MAX);
    assert_eq!(store.read().unwrap().contents().unwrap().samples, 3 * 50);
    merge(&store);
    let contents = store.read().unwrap().contents().unwrap();
    assert_eq!((contents.samples, contents.rounds), (3 * 50, 600));
    // Of each day one.
    let txn = store.reading().unwrap();
    assert_eq!(samples::open(&txn.open_table(SAMPLES).unwrap(), 1).unwrap().rounds.len(), 288);
}

#[test]
fn sealing_makes_few_stretches_of_many_and_loses_nothing() {
    let store = filled(&Memory::default(), 300, 100, 2);
    let before = super::everything(&store.read().unwrap());
    let parts = |store: &Store| store.read().unwrap().check(&mut |_| {}).unwrap().parts;
    assert!(parts(&store) > 100);
    while store.seal(false).unwrap().is_some() {}
    assert!(parts(&store) < 30, "{} are left", parts(&store));
    assert_eq!(super::everything(&store.read().unwrap()), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn what_is_pushed_down_leaves_out_only_what_is_not_wanted(
        ids in prop::collection::vec(0_u64..40, 0..4),
        bounds in prop::collection::vec((0_i64..50, any::<bool>()), 0..3),
        threads in prop::option::of(1_i64..4),
        merged: bool,
    ) {
        thread_local! {
            static STORES: [Store; 2] = [filled(&Memory::default(), 30, 40, 2), filled(&Memory::default(), 30, 40, 2)];
        }
        let table = table("process_samples");
        let column = |name: &str| table.column(name).unwrap().0;
        let (id, time, used) = (column("proc_id"), column("collection_time"), column("threads"));
        let ids: Vec<String> = ids.iter().map(|id| id_text(scattered(*id)).to_uppercase()).collect();
        let mut required: Vec<Vec<Probe>> = bounds.iter().map(|(bound, least)| {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let bound = (bound * INTERVAL) as f64;
            vec![Probe { column: time, question: if *least { Question::AtLeast(bound) } else { Question::AtMost(bound) } }]
        }).collect();
        if !ids.is_empty() {
            let probe = |text: &String| Probe { column: id, question: Question::Equal(Value::Text(text.clone())) };
            required.push(ids.iter().map(probe).collect());
        }
        let passes = |values: &ArrayRef| -> BooleanArray {
            let values = values.as_primitive::<arrow_array::types::Int64Type>();
            values.iter().map(|value| Some(threads.is_none() || value == threads)).collect()
        };
        let tests = [Test { column: used, passes: &passes }];
        let columns: Vec<_> = (0..table.columns.len()).collect();
        STORES.with(|stores| {
            let store = &stores[usize::from(merged)];
            if merged {
                merge(store);
            }
            let view = store.read().unwrap();
            let pushed = view.scan(&Scan { required: &required, tests: &tests, dictionaries: &[0], ..Scan::all(&table, &columns) }).unwrap();
            let wanted = |batch: &RecordBatch, row: usize| {
                let is = |at: usize| Value::at(batch.column(at).as_ref(), row);
                let (Value::Text(own), Value::Timestamp(at), Value::Integer(used)) = (is(id), is(time), is(used)) else { panic!() };
                (ids.is_empty() || ids.iter().any(|id| id.eq_ignore_ascii_case(&own)))
                    && bounds.iter().all(|(bound, least)| if *least { at >= bound * INTERVAL } else { at <= bound * INTERVAL })
                    && threads.is_none_or(|threads| used == threads)
            };
            let all = view.scan(&Scan::all(&table, &columns)).unwrap();
            let expected: Vec<_> = all.batches.iter().flat_map(|batch| (0..batch.num_rows()).filter(|row| wanted(batch, *row)).map(|row| batch.slice(row, 1))).collect();
            let plain: Vec<_> = pushed.batches.iter().map(|batch| {
                let ids = arrow_select::take::take(batch.column(0).as_any_dictionary().values(), batch.column(0).as_any_dictionary().keys(), None).unwrap();
                let columns = std::iter::once(ids).chain(batch.columns()[1..].iter().cloned()).collect();
                RecordBatch::try_new(table.schema(), columns).unwrap()
            }).collect();
            // These are all that can be left out.
            assert_eq!(texts(&plain), texts(&expected));
        });
    }
}

/// Flips a bit of every chunk in turn.
fn damaged(clean: &Memory, mut judge: impl FnMut(u64, u32, &Store)) {
    let bytes = clean.bytes();
    let keys: Vec<((u64, u32), usize)> = {
        let db = below(clean);
        let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
        let table = txn.open_table(SAMPLES).unwrap();
        redb::ReadableTable::iter(&table)
            .unwrap()
            .map(|entry| entry.map(|(key, value)| (key.value(), value.value().len())).unwrap())
            .collect()
    };
    for ((first, chunk), len) in keys {
        for at in [0, len / 2, len - 1] {
            let file = Memory::of(bytes.clone());
            let db = below(&file);
            let txn = db.begin_write().unwrap();
            {
                let mut table = txn.open_table(SAMPLES).unwrap();
                let mut value = redb::ReadableTable::get(&table, (first, chunk)).unwrap().unwrap().value().to_vec();
                value[at] ^= 0x10;
                table.insert((first, chunk), value.as_slice()).unwrap();
            }
            txn.commit().unwrap();
            drop(db);
            judge(first, chunk, &Store::on(file.open_again()).unwrap());
        }
    }
}

#[test]
fn a_flipped_bit_is_found_and_the_rest_answers() {
    let clean = Memory::default();
    drop(filled(&clean, 20, 3, 2));
    let mut judged = 0;
    damaged(&clean, |first, _, store| {
        judged += 1;
        let view = store.read().unwrap();
        let checked = view.check(&mut |_| {}).unwrap();
        assert_eq!(checked.damaged.len(), 1);
        assert_eq!(checked.damaged[0].part, samples::name(first));
        let all = scan(&view, "process_samples", &["collection_time"]);
        assert_eq!(all.completeness.reasons, [Reason::SegmentQuarantined]);
        assert!(super::count(&all) >= 20, "the others are there");
        let table = processes_at();
        let columns = [table.column("threads").unwrap().0];
        let asked = Scan { as_of: Some(Timestamp(2 * INTERVAL)), ..Scan::all(&table, &columns) };
        assert_eq!(view.scan(&asked).unwrap().completeness.reasons, [Reason::SegmentQuarantined]);
        // Who asks for no samples is not told about them.
        assert!(scan(&view, "processes_history", &["pid"]).completeness.is_complete());
        let before = super::count(&all);
        merge(store);
        assert_eq!(super::count(&scan(&store.read().unwrap(), "process_samples", &[])), before);
    });
    assert!(judged >= 18, "{judged}");
}

fn keep(store: &Store, retention: Retention) -> u64 {
    let mut dropped = 0;
    while let Some(step) = store.keep(retention).unwrap() {
        assert_eq!(step.of, crate::Kept::Samples, "nobody has exited");
        dropped += step.rows;
    }
    dropped
}

#[test]
fn what_is_too_old_or_too_much_is_dropped_and_said() {
    // Four days, of which two are kept, and one more for what held at their beginning.
    let store = filled(&Memory::default(), 20, 4 * 288, 2);
    while store.seal(true).unwrap().is_some() {}
    let before = store.read().unwrap().contents().unwrap();
    let dropped = keep(&store, Retention { age_micros: 48 * HOUR, bytes: u64::MAX });
    assert!(dropped > 0);
    let view = store.read().unwrap();
    let after = view.contents().unwrap();
    assert_eq!(after.samples + dropped, before.samples);
    let oldest = 4 * 24 * HOUR - INTERVAL - 48 * HOUR;
    assert_eq!(as_of(&view, oldest, &["threads"]).values().filter(|threads| *threads != "null").count(), 20);
    assert_eq!(view.drops().unwrap().iter().map(|drop| drop.rows).sum::<u64>(), dropped);

    #[expect(clippy::cast_precision_loss, reason = "small")]
    let asked = |column: usize, at: i64| vec![vec![Probe { column, question: Question::AtMost(at as f64) }]];
    let reasons = |name: &str, column: &str, at: i64| {
        let table = table(name);
        let column = table.column(column).unwrap().0;
        view.scan(&Scan { required: &asked(column, at), ..Scan::all(&table, &[]) }).unwrap().completeness.reasons
    };
    assert_eq!(reasons("process_samples", "collection_time", HOUR), [Reason::HistoryDropped]);
    assert_eq!(reasons("process_samples", "collection_time", oldest), []);
    assert_eq!(reasons("processes_history", "seen_from", HOUR), [], "versions are all there");
    let table = processes_at();
    let columns = [table.column("cpu_usage").unwrap().0];
    let early = Scan { as_of: Some(Timestamp(HOUR)), ..Scan::all(&table, &columns) };
    assert_eq!(view.scan(&early).unwrap().completeness.reasons, [Reason::HistoryDropped]);
    drop(view);

    let room = || store.read().unwrap().room().unwrap().file_len();
    let bytes = room() - after.sample_bytes / 2;
    keep(&store, Retention { age_micros: i64::MAX, bytes });
    let contents = store.read().unwrap().contents().unwrap();
    assert!(room() <= bytes && contents.samples > 0);
}

#[test]
fn a_sample_of_who_works_takes_less_than_three_bytes() {
    let store = Store::in_memory().unwrap();
    let mut sampler = Sampler::default();
    let mut state = 7_u64;
    let mut random = move |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % below
    };
    let mut all: Vec<Process> = (0..600).map(|id| using(scattered(id), 70)).collect();
    for round in 0..96 {
        // Shares of a processor of a few percent, memory that comes and goes, threads and status now and then.
        for process in &mut all[..200] {
            let tenths = if random(16) == 0 { random(1000) } else { 20 + random(16) };
            process.cpu_usage = Some(f64::from(u16::try_from(tenths).unwrap()) / 10.0);
            process.memory_usage =
                process.memory_usage.map(|bytes| (bytes + ((random(2048) - 1000) << 12)).max(1 << 20));
            if random(32) == 0 {
                process.threads = Some(random(20));
            }
            process.status = Some(STATUSES[usize::from(random(8) != 0)].to_owned());
        }
        let round = sampler.round(&Process::batch(&all), Timestamp(round * INTERVAL), INTERVAL).unwrap().unwrap();
        store.write(|txn| samples::record(txn, &round)).unwrap();
        sampler.took(round);
        while store.seal(false).unwrap().is_some() {}
    }
    let contents = store.read().unwrap().contents().unwrap();
    let txn = store.reading().unwrap();
    let stretches = txn.open_table(SAMPLES).unwrap();
    let bytes_of = |first| samples::open(&stretches, first).unwrap().pages_len();
    let bytes: u64 = samples::all(&stretches).unwrap().into_iter().map(bytes_of).sum();
    let hundredths = 100 * bytes / contents.samples;
    assert!(hundredths <= 300, "{hundredths} hundredths of a byte");
}
