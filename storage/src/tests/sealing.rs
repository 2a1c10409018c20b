//! What is pushed down into segments and blocks leaves out only rows that are not wanted.

use std::cell::Cell;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::DataType;
use daemoneye_dsl::pattern::{Pattern, Required};
use daemoneye_dsl::tables::{Process, Table, version_columns};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use redb::ReadableTableMetadata;

use super::{id_text, table};
use crate::seal::Bounds;
use crate::segment::SEGMENT_ROWS_MAX;
use crate::tables::{ENDINGS, Tables};
use crate::{Probe, ProcessChange, Question, Reader, Scan, Store, Test};

const WORDS: [&str; 12] = [
    "sh",
    "/usr/bin/",
    "Curl",
    "--config=",
    "http://x.example/",
    "é",
    "42",
    "\\x41",
    "nginx",
    " -c ",
    "base64 -d",
    "A",
];

/// A process whose columns are of every encoding: repeated, unlike, NULL, derived from each other.
pub(super) fn process(n: u64, random: &mut impl FnMut(usize) -> usize) -> Process {
    let words = |random: &mut dyn FnMut(usize) -> usize, most: usize| -> String {
        (0..=random(most)).map(|_| WORDS[random(WORDS.len())]).collect::<Vec<_>>().join(" ")
    };
    let line = (random(5) > 0).then(|| format!("{} {n}", words(random, 6)));
    let argv = match (&line, random(4)) {
        (None, _) | (_, 0) => None,
        (_, 1) => Some("[\"other\"]".to_owned()),
        (Some(line), _) => Some(serde_json::to_string(&line.split(' ').collect::<Vec<_>>()).unwrap()),
    };
    let number = |n: usize| i64::try_from(n).unwrap();
    Process {
        proc_id: id_text(n),
        parent_id: (random(6) > 0).then(|| id_text(n / 3)),
        pid: number(random(300)),
        name: words(random, 1),
        executable_path: (random(7) > 0).then(|| words(random, 3)),
        command_line: line,
        argv,
        user_id: (random(3) > 0).then(|| number(random(5)) - 2),
        user_name: (random(3) > 0).then(|| WORDS[random(2)].to_owned()),
        start_time: (random(9) > 0).then(|| Timestamp(number(random(1000)) * 10_000)),
        kernel_thread: random(2) == 0,
        accessible: true,
        ..Process::default()
    }
}

pub(super) fn versions(processes: &[Process]) -> RecordBatch {
    let batch = Process::batch(processes);
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).unwrap()).collect();
    batch.project(&columns).unwrap()
}

/// A store of some thousand rows in segments of several sizes, blocks, and endings that came late.
fn filled(seed: u64) -> Store {
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let store = Store::in_memory().unwrap();
    let none = versions(&[]);
    let mut alive: Vec<Process> = Vec::new();
    let mut next = 0;
    for time in 1..=24_i64 {
        let gone: Vec<Process> = (0..alive.len() / 4)
            .map(|_| random(alive.len()))
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .rev()
            .map(|at| alive.remove(at))
            .collect();
        let started: Vec<Process> = (0..random(100))
            .map(|_| {
                next += 1;
                process(next, &mut random)
            })
            .collect();
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(time * 30),
            previous_time: (time > 1).then_some(Timestamp((time - 1) * 30)),
            baseline: time == 1,
            started: &versions(&started),
            changed: &none,
            exited: &versions(&gone),
        })
        .unwrap();
        txn.commit().unwrap();
        alive.extend(started);
        if random(3) == 0 {
            while store.seal(true).unwrap().is_some() {}
        }
    }
    store
}

/// A condition as a scan takes it.
type Passes<'a> = Box<dyn Fn(&ArrayRef) -> BooleanArray + 'a>;

/// A condition on a column: how it is asked of an index, and what it means.
struct Wanted {
    probes: Vec<Probe>,
    column: usize,
    means: Box<dyn Fn(&Value) -> bool>,
}

fn wanted(table: &Table, column: usize, pick: usize, like: &Value) -> Wanted {
    let ty = table.columns[column].ty;
    let one = |question| vec![Probe { column, question }];
    let like = like.clone();
    match (ty, pick % 5) {
        (Type::Text, 0) => {
            let text = WORDS[pick / 5 % WORDS.len()];
            let pattern = Pattern::like(&format!("%{text}%"), None);
            let Required::Literal(literal) = pattern.required() else { panic!("a literal") };
            Wanted {
                probes: one(Question::Contains(literal)),
                column,
                means: Box::new(move |value| matches!(value, Value::Text(text) if pattern.is_match(text))),
            }
        }
        (Type::Text, 1) => {
            let prefix: String =
                if let Value::Text(text) = &like { text.chars().take(4).collect() } else { "/u".into() };
            let pattern = Pattern::like(&format!("{}%", prefix.replace(['%', '_'], "x")), None);
            let Required::Literal(literal) = pattern.required() else { panic!("a literal") };
            Wanted {
                probes: one(Question::Contains(literal)),
                column,
                means: Box::new(move |value| matches!(value, Value::Text(text) if pattern.is_match(text))),
            }
        }
        (Type::Integer | Type::Timestamp, 0 | 1) => {
            let bound = match like {
                Value::Integer(value) | Value::Timestamp(value) => value,
                _ => 5,
            };
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let question =
                if pick.is_multiple_of(2) { Question::AtLeast(bound as f64) } else { Question::AtMost(bound as f64) };
            Wanted {
                probes: one(question),
                column,
                means: Box::new(move |value| match value {
                    Value::Integer(value) | Value::Timestamp(value) if pick.is_multiple_of(2) => *value >= bound,
                    Value::Integer(value) | Value::Timestamp(value) => *value <= bound,
                    _ => false,
                }),
            }
        }
        (_, 2) => Wanted { probes: one(Question::Null), column, means: Box::new(Value::is_null) },
        (_, 3) if !like.is_null() => {
            let mut probes = one(Question::Equal(like.clone()));
            probes.extend(one(Question::Null));
            Wanted { probes, column, means: Box::new(move |value| value.is_null() || *value == like) }
        }
        _ if like.is_null() => Wanted { probes: one(Question::Null), column, means: Box::new(Value::is_null) },
        _ => {
            Wanted { probes: one(Question::Equal(like.clone())), column, means: Box::new(move |value| *value == like) }
        }
    }
}

fn values(array: &ArrayRef) -> Vec<Value> {
    (0..array.len()).map(|row| Value::at(array.as_ref(), row)).collect()
}

#[test]
fn what_is_pushed_down_leaves_out_only_what_is_not_wanted() {
    let mut left_out = 0;
    for seed in 0..2 {
        let store = filled(seed);
        let view = store.read().unwrap();
        let contents = view.contents().unwrap();
        assert!(contents.segments > 0 && contents.blocks + contents.segments > 1, "{contents:?}");
        for name in ["process_starts", "process_exits", "processes_history"] {
            let table = table(name);
            let every: Vec<usize> = (0..table.columns.len()).collect();
            let all = view.scan(&Scan::all(&table, &every)).unwrap();
            assert!(all.completeness.is_complete());
            let sample = all.batches.last().unwrap();
            for column in 0..table.columns.len() {
                for pick in 0..4 {
                    let other = (column * 7 + pick) % table.columns.len();
                    let like = |column: usize| Value::at(sample.column(column).as_ref(), pick * 13 % sample.num_rows());
                    let conditions =
                        [wanted(&table, column, pick, &like(column)), wanted(&table, other, pick / 2, &like(other))];
                    let conditions = &conditions[..=pick % 2];
                    let passes: Vec<Passes<'_>> = conditions
                        .iter()
                        .map(|condition| -> Passes<'_> {
                            Box::new(|array| values(array).iter().map(|value| Some((condition.means)(value))).collect())
                        })
                        .collect();
                    let tests: Vec<Test<'_>> = conditions
                        .iter()
                        .zip(&passes)
                        .map(|(condition, passes)| Test { column: condition.column, passes })
                        .collect();
                    let required: Vec<Vec<Probe>> = conditions.iter().map(|it| it.probes.clone()).collect();
                    let keeps = |batch: &RecordBatch, row: usize| {
                        conditions.iter().all(|it| (it.means)(&Value::at(batch.column(it.column).as_ref(), row)))
                    };
                    let kept = |batches: &[RecordBatch]| -> Vec<String> {
                        let rows = batches.iter().flat_map(|batch| {
                            (0..batch.num_rows()).filter(|row| keeps(batch, *row)).map(|row| batch.slice(row, 1))
                        });
                        // The versions are in the order of their ids, and each id has one.
                        rows.map(|row| row.column(0).as_string::<i32>().value(0).to_owned()).collect()
                    };
                    let expected = kept(&all.batches);
                    let total = super::count(&all);
                    for (required, tests) in
                        [(required.as_slice(), tests.as_slice()), (required.as_slice(), &[]), (&[], tests.as_slice())]
                    {
                        let scan = Scan { required, tests, ..Scan::all(&table, &every) };
                        let some = view.scan(&scan).unwrap();
                        assert_eq!(kept(&some.batches), expected, "{name}.{} {required:?}", table.columns[column].name);
                        left_out += total - super::count(&some);
                    }
                    // What is said to be exact needs no second look, nor the columns that only tests are about.
                    let exact = Cell::new(false);
                    let unread: Vec<usize> = conditions.iter().map(|it| it.column).filter(|place| *place > 0).collect();
                    let exact = Scan {
                        required: &required,
                        tests: &tests,
                        exact: Some(&exact),
                        unread: &unread,
                        ..Scan::all(&table, &every)
                    };
                    let some = view.scan(&exact).unwrap();
                    assert!(exact.exact.is_some_and(Cell::get));
                    let ids = some.batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
                    assert_eq!(ids.collect::<Vec<_>>(), expected, "{name}.{}", table.columns[column].name);
                    for (batch, place) in some.batches.iter().flat_map(|batch| unread.iter().map(move |at| (batch, at)))
                    {
                        assert_eq!(*batch.column(*place).data_type(), DataType::Null);
                    }
                }
            }
        }
    }
    assert!(left_out > 10_000, "conditions leave rows out: {left_out}");
}

#[test]
fn what_happens_while_a_segment_is_made_is_not_lost() {
    let store = Store::in_memory().unwrap();
    let none = versions(&[]);
    let mut random = |below: usize| below / 2;
    let all: Vec<Process> = (1..=10).map(|n| process(n, &mut random)).collect();
    let record = |time: i64, started: &[Process], exited: &[Process]| {
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(time),
            previous_time: (time > 1).then_some(Timestamp(time - 1)),
            baseline: time == 1,
            started: &versions(started),
            changed: &none,
            exited: &versions(exited),
        })
        .unwrap();
        txn.commit().unwrap();
    };
    record(1, &all[..6], &[]);
    record(2, &all[6..], &all[..2]);
    let draft = crate::seal::draft(&store.reading().unwrap(), &Bounds::USUAL, true).unwrap().unwrap();
    record(3, &[], &all[2..4]);
    let before = super::everything(&store.read().unwrap());
    store.exchange(draft).unwrap();
    let view = store.read().unwrap();
    assert_eq!(super::everything(&view), before);
    let contents = view.contents().unwrap();
    assert_eq!((contents.segments, contents.blocks, contents.versions, contents.exits), (1, 0, 10, 4));
    assert_eq!(view.live().unwrap().unwrap().versions.num_rows(), 6);
}

#[test]
fn blocks_and_segments_come_together_by_themselves() {
    let store = Store::in_memory().unwrap();
    let none = versions(&[]);
    let (mut next, mut time) = (0_u64, 0);
    let mut random = |below: usize| 7 % below;
    let mut sealed = Vec::new();
    while next < u64::from(SEGMENT_ROWS_MAX) + 20_000 {
        time += 1;
        let started: Vec<Process> = (0..4000)
            .map(|_| {
                next += 1;
                process(next, &mut random)
            })
            .collect();
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(time),
            previous_time: Some(Timestamp(time - 1)),
            baseline: false,
            started: &versions(&started),
            changed: &none,
            exited: &none,
        })
        .unwrap();
        txn.commit().unwrap();
        while let Some(step) = store.seal(false).unwrap() {
            sealed.push(step.rows);
        }
    }
    let contents = store.read().unwrap().contents().unwrap();
    assert_eq!(contents.versions, next);
    assert!(contents.segments <= 6 && contents.blocks <= 4, "{contents:?}");
    let written: u64 = sealed.iter().map(|rows| u64::from(*rows)).sum();
    assert!(written <= 4 * next, "each row is written a few times: {written} for {next}");
    let found = store.read().unwrap().process(&id_text(5)).unwrap().unwrap();
    assert_eq!(found.version().column_by_name("proc_id").unwrap().as_string::<i32>().value(0), id_text(5));
}

#[test]
fn settled_segments_take_in_what_ended_since() {
    let store = Store::in_memory().unwrap();
    let none = versions(&[]);
    let mut random = |below: usize| 7 % below;
    let mut before = Vec::new();
    let bounds = Bounds { due_rows: 100, merged: 2, tier_rows: 100, len: 6_000, ..Bounds::USUAL };
    for time in 1..=60 {
        let of = |time: i64| u64::try_from(time).unwrap() * 100;
        let started: Vec<Process> = (of(time)..of(time + 1)).map(|n| process(n, &mut random)).collect();
        let mut txn = store.begin().unwrap();
        txn.record_processes(&ProcessChange {
            time: Timestamp(time),
            previous_time: (time > 1).then_some(Timestamp(time - 1)),
            baseline: time == 1,
            started: &versions(&started),
            changed: &none,
            exited: &versions(&before),
        })
        .unwrap();
        txn.commit().unwrap();
        // A few live on.
        before = started.into_iter().skip(1).collect();
        let everything = (time % 20 == 0).then(|| super::everything(&store.read().unwrap()));
        while store.seal_within(&bounds, false).unwrap().is_some() {}
        assert!(everything.is_none_or(|everything| everything == super::everything(&store.read().unwrap())));
    }
    let reading = store.reading().unwrap();
    let endings = reading.table(ENDINGS).unwrap();
    let late = endings.len().unwrap();
    assert!(late < 600, "{late} of 5,841 endings are beside the segments");
}
