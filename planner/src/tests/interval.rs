//! The law for joins of events that bound the time between them: among rows that come in time the sum of the steps is
//! the meaning, whatever order they come in; what comes later is discarded and counted; and what nobody can meet any
//! more is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use daemoneye_dsl::completeness::Reason;
use daemoneye_dsl::tables::{Column, Kind, Table};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};

use super::case::checked;
use super::random::Random;
use super::setting;
use super::steps::{Change, Relation, add, batches, whole};
use super::world::{EPOCH, Row, World};
use crate::dataflow::{Dataflow, Outcome, RuleId};
use crate::plan::Plan;

/// How late rows may come, in seconds.
const GRACE: i64 = 60;
const STEPS: usize = 25;

/// Statements over two tables of events, and the tables of which rows can come too late for them.
const STATEMENTS: &[(&str, &[usize])] = &[
    ("SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute'", &[0, 1]),
    ("SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t - a.t <= INTERVAL '1 minute' AND b.t > a.t", &[0, 1]),
    ("SELECT a.n, b.n FROM e0 a JOIN e0 b ON b.k = a.k AND a.t >= b.t AND a.t < datetime(b.t, '+2 minutes')", &[0]),
    ("SELECT a.n, b.n FROM e0 a JOIN e1 b ON unixepoch(a.t) - unixepoch(b.t) < 90 AND a.t > b.t", &[0, 1]),
    (
        "SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t < a.t - INTERVAL '30 seconds' AND b.t > a.t - INTERVAL '90 seconds'",
        &[0, 1],
    ),
    (
        "SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t > a.t + INTERVAL '30 seconds' AND b.t < a.t + INTERVAL '90 seconds'",
        &[0, 1],
    ),
    ("SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t = a.t", &[0, 1]),
    ("SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t >= a.t", &[0]),
    (
        "SELECT a.n, b.n FROM e0 a LEFT JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute'",
        &[0, 1],
    ),
    (
        "SELECT a.n, b.n FROM e0 a RIGHT JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute'",
        &[0, 1],
    ),
    (
        "SELECT a.n, b.n FROM e0 a FULL JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute'",
        &[0, 1],
    ),
    (
        "SELECT n FROM e0 a WHERE EXISTS (SELECT 1 FROM e1 b WHERE b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute')",
        &[0, 1],
    ),
    (
        "SELECT n FROM e0 a WHERE NOT EXISTS (SELECT 1 FROM e1 b WHERE b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute')",
        &[0, 1],
    ),
    ("SELECT n FROM e0 a WHERE EXISTS (SELECT 1 FROM e1 b WHERE b.k = a.k AND b.t = a.t)", &[0, 1]),
    (
        "SELECT a.n, b.n, c.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute' \
      JOIN e0 c ON c.k = b.k AND c.t BETWEEN b.t AND b.t + INTERVAL '2 minutes'",
        &[0, 1],
    ),
    (
        "SELECT a.k, count(*), min(b.n) FROM e0 a JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute' GROUP BY a.k",
        &[0, 1],
    ),
    (
        "SELECT a.n, b.n FROM e0 a JOIN e1 b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute' \
      WHERE a.t >= now() - INTERVAL '3 minutes'",
        &[],
    ),
    (
        "SELECT n FROM e0 a WHERE a.t <= now() - INTERVAL '1 minute' AND a.t >= now() - INTERVAL '4 minutes' \
      AND NOT EXISTS (SELECT 1 FROM e1 b WHERE b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 minute')",
        &[],
    ),
    ("SELECT k, count(*) FROM e0 WHERE t >= now() - INTERVAL '2 minutes' GROUP BY k", &[]),
];

fn world() -> World {
    let table = |name: &'static str| {
        let column = |name, ty| Column::new(name, ty, true, "A column.");
        let columns = vec![column("n", Type::Integer), column("k", Type::Integer), column("t", Type::Timestamp)];
        Arc::new(Table { name: name.into(), doc: "Events.".into(), kind: Kind::Events, columns })
    };
    World { tables: vec![(table("e0"), vec![]), (table("e1"), vec![])] }
}

fn compiled(world: &World, sql: &str) -> Plan {
    crate::plan(&checked(world, sql).unwrap_or_else(|| panic!("{sql}")))
}

fn dataflow() -> Dataflow {
    let mut dataflow = Dataflow::default();
    dataflow.set_grace(Duration::from_secs(GRACE.unsigned_abs()));
    dataflow
}

/// An event that came now, at most so many seconds late.
fn event(now: Timestamp, number: i64, late: usize, random: &mut Random) -> Row {
    let seconds = i64::try_from(random.below(late + 6)).expect("small") - 5;
    let nullable = |value: Value, random: &mut Random| if random.percent(5) { Value::Null } else { value };
    let key = Value::Integer(i64::try_from(random.below(3)).expect("small"));
    let moment = Value::Timestamp(now.0 - seconds * MICROS_PER_SEC);
    vec![Value::Integer(number), nullable(key, random), nullable(moment, random)]
}

/// One statement, and what happened to it.
struct Watched {
    dataflow: Dataflow,
    sum: Relation,
    /// Rows that came too late since it was loaded, by table.
    gone: Vec<(usize, Row)>,
}

impl Watched {
    fn load(plan: &Plan, world: &World, now: Timestamp) -> Self {
        let mut watched = Self { dataflow: dataflow(), sum: Relation::new(), gone: vec![] };
        watched.dataflow.install(plan);
        let loaded = watched.dataflow.load(world, now).expect("the world can be read");
        watched.take(loaded);
        watched
    }

    fn take(&mut self, outcomes: Vec<(RuleId, Outcome)>) {
        for (_, outcome) in outcomes {
            add(&mut self.sum, &outcome.expect("nothing here reaches a bound").rows);
        }
    }

    /// The world without what came too late.
    fn in_time(&self, world: &World) -> World {
        let mut world = world.clone();
        for (table, row) in &self.gone {
            let rows = &mut world.tables[*table].1;
            rows.remove(rows.iter().position(|other| other == row).expect("it came"));
        }
        world
    }
}

fn moment(row: &Row) -> Option<i64> {
    row[2].as_timestamp()
}

#[test]
fn what_comes_in_time_is_met_and_what_comes_later_is_counted() {
    let (cases, seed) = (setting("CASES", 300) / 12, setting("SEED", 1));
    let mut late_rows = 0;
    for case in 0..cases.max(1) {
        for (number, (sql, discarding)) in (0u64..).zip(STATEMENTS) {
            let random = &mut Random::new(seed.wrapping_mul(1 << 36).wrapping_add(case * 64 + number));
            let mut world = world();
            let plan = compiled(&world, sql);
            let (mut now, mut last) = (Timestamp(EPOCH), Timestamp(EPOCH));
            let mut watched = Watched::load(&plan, &world, now);
            for step in 0..STEPS {
                now.0 += i64::try_from(random.below(90)).expect("small") * MICROS_PER_SEC;
                // The rows of a day, the younger the more, and some of those that come are late.
                let count = random.below(5);
                let mut changes = Vec::new();
                for _ in 0..count {
                    let late = if random.percent(15) { 300 } else { 60 };
                    let row = event(now, i64::try_from(step).expect("small"), late, random);
                    changes.push(Change::appearing(row, random.below(2)));
                }
                let from = last.min(now).0 - GRACE * MICROS_PER_SEC;
                let mut late = 0;
                for change in &changes {
                    change.apply(&mut world);
                    let (table, row) = change.appears().expect("events appear");
                    if discarding.contains(&table) && moment(row).is_some_and(|moment| moment < from) {
                        watched.gone.push((table, row.clone()));
                        late += 1;
                    }
                }
                last = now;
                let outcomes = watched.dataflow.step(&world, &batches(&changes, &world), now);
                if !discarding.is_empty() {
                    let counted: u64 = watched.dataflow.late().values().sum();
                    assert_eq!(counted > 0, late > 0, "{sql}\nstep {step}: {late} came late, {counted} were counted");
                    let says = |(_, outcome): &(RuleId, Outcome)| {
                        let answer = outcome.as_ref().expect("nothing here reaches a bound");
                        answer.completeness.reasons.contains(&Reason::LateRowsDiscarded)
                    };
                    assert_eq!(outcomes.iter().any(says), late > 0 && !outcomes.is_empty());
                }
                late_rows += late;
                watched.take(outcomes);
                let expected = whole(&plan, &watched.in_time(&world), now).expect("it was evaluated");
                assert!(
                    watched.sum == expected,
                    "seed {seed}, case {case}, step {step}, now {now:?}\n{}\n{sql}\n     sum: {:?}\nexpected: {:?}",
                    world.script(sql),
                    watched.sum.values(),
                    expected.values()
                );
                // The agent ends and starts again: what is stored is read, whenever it came.
                if random.percent(8) {
                    watched = Watched::load(&plan, &world, now);
                }
            }
        }
    }
    assert!(late_rows > 0, "no row came late");
}

/// Rules that are installed later share what others keep, of which the oldest is gone already.
#[test]
fn what_is_forgotten_does_not_show_in_rules_that_come_later() {
    let (cases, seed) = (setting("CASES", 300) / 10, setting("SEED", 1));
    for case in 0..cases.max(1) {
        let random = &mut Random::new(seed.wrapping_mul(1 << 37).wrapping_add(case));
        let mut world = world();
        let mut now = Timestamp(EPOCH);
        let mut dataflow = dataflow();
        let mut rules: BTreeMap<RuleId, (&str, Plan, Relation)> = BTreeMap::new();
        for step in 0..STEPS {
            if random.percent(40) {
                for _ in 0..=random.below(3) {
                    let sql = random.pick(STATEMENTS).0;
                    let plan = compiled(&world, sql);
                    rules.insert(dataflow.install(&plan), (sql, plan, Relation::new()));
                }
                for (id, outcome) in dataflow.load(&world, now).expect("the world can be read") {
                    add(&mut rules.get_mut(&id).expect("it is there").2, &outcome.expect("no bound is reached").rows);
                }
            }
            now.0 += i64::try_from(random.below(90)).expect("small") * MICROS_PER_SEC;
            let mut changes = Vec::new();
            for _ in 0..random.below(5) {
                // No step takes longer than the grace, so nothing is late.
                let row = event(now, i64::try_from(step).expect("small"), 50, random);
                changes.push(Change::appearing(row, random.below(2)));
            }
            for change in &changes {
                change.apply(&mut world);
            }
            for (id, outcome) in dataflow.step(&world, &batches(&changes, &world), now) {
                add(&mut rules.get_mut(&id).expect("it is there").2, &outcome.expect("no bound is reached").rows);
            }
            for (sql, plan, sum) in rules.values() {
                let expected = whole(plan, &world, now).expect("it was evaluated");
                let beside: Vec<_> = rules.values().map(|(sql, ..)| sql).collect();
                assert!(
                    *sum == expected,
                    "seed {seed}, case {case}, step {step}\n{}\n{sql}\n     sum: {:?}\nexpected: {:?}\nbeside {beside:#?}",
                    world.script(sql),
                    sum.values(),
                    expected.values()
                );
            }
            if random.percent(20)
                && let Some(id) = rules.keys().nth(random.below(rules.len().max(1))).copied()
            {
                dataflow.remove(id);
                rules.remove(&id);
            }
        }
        for id in rules.into_keys() {
            dataflow.remove(id);
        }
        assert_eq!(dataflow.rows_held().rows, 0, "seed {seed}, case {case}: rows are left that nobody needs");
    }
}

/// Hours of events, of which each is met for minutes: what is held does not grow, though nothing ever leaves.
#[test]
fn what_is_held_does_not_grow_with_the_events() {
    let random = &mut Random::new(setting("SEED", 1));
    let world = world();
    let mut dataflow = dataflow();
    let mut bounded = Vec::new();
    // One bound alone lets the other side go and keeps its own; the groups above a join are not the join's.
    let is_bounded = |sql: &str| !sql.ends_with("b.t >= a.t") && !sql.contains("GROUP BY a.k");
    for (sql, _) in STATEMENTS.iter().filter(|(sql, _)| is_bounded(sql)) {
        bounded.push((sql, dataflow.install(&compiled(&world, sql))));
    }
    let mut now = Timestamp(EPOCH);
    dataflow.load(&world, now).expect("the world can be read");
    let mut most = vec![[0; 2]; bounded.len()];
    let steps = 600;
    for step in 0..steps {
        now.0 += 20 * MICROS_PER_SEC;
        // The clock is set back by a day and goes on from there.
        if step == steps / 4 {
            now.0 -= 86_400 * MICROS_PER_SEC;
        }
        let changes: Vec<Change> = (0..4).map(|at| Change::appearing(event(now, step, 20, random), at % 2)).collect();
        for (_, outcome) in dataflow.step(&world, &batches(&changes, &world), now) {
            outcome.expect("nothing here reaches a bound");
        }
        assert!(step == 0 || step == steps / 4 || dataflow.late().is_empty(), "step {step}: {:?}", dataflow.late());
        for ((_, rule), most) in bounded.iter().zip(&mut most) {
            // What was held when the clock went back waits until it is there again.
            let half = usize::from(step >= steps / 2);
            most[half] = most[half].max(dataflow.size(*rule).rows);
        }
    }
    for ((sql, _), [first, second]) in bounded.iter().zip(most) {
        assert!(second <= first + first / 4 && first < 400, "{sql}: {first} rows were held at most, then {second}");
    }
    let rows = dataflow.rows_held().rows;
    assert!(rows < 400, "{rows} rows are held of {}", 4 * steps);
}
