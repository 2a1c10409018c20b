//! The law on everything small: for each kind of operator, every way in which a few rows can change into a few others.
//!
//! A state is how often each of a handful of rows is there. One dataflow walks through all states so that each follows
//! each, itself included, once; a second takes the same way row by row; and from each state one is filled anew. Rows of
//! events only come: there every chain of three growing states is taken. `CASES` from 5000 on allows a row more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use daemoneye_dsl::tables::{Column, Kind, Table};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};

use super::case::checked;
use super::setting;
use super::steps::{Change, Relation, add, batches, whole};
use super::world::{EPOCH, Row, World};
use crate::dataflow::{Dataflow, Outcome, RuleId, matches_are_events};
use crate::plan::Plan;

/// At least one for every operator that steps, and for what is taken anew; over `a` and `b`, whose rows come and go.
const STATE: &[&str] = &[
    "SELECT x, y FROM a WHERE x = 1 OR y = 'p'",
    "SELECT x + 1, y || 'z' FROM a",
    "SELECT x FROM a UNION ALL SELECT x FROM b",
    "SELECT x FROM a UNION SELECT x FROM b",
    "SELECT x FROM a INTERSECT SELECT x FROM b",
    "SELECT x FROM a EXCEPT SELECT x FROM b",
    "SELECT DISTINCT y FROM a",
    "SELECT a.y, b.y FROM a JOIN b ON b.x = a.x",
    "SELECT a.y, b.y FROM a JOIN b ON b.x > a.x",
    "SELECT a.y, b.y FROM a JOIN b ON b.x = a.x AND b.y <> a.y",
    "SELECT a.y, b.y FROM a CROSS JOIN b",
    "SELECT o.y, i.y FROM a o JOIN a i ON i.x = o.x",
    "SELECT a.x, b.y FROM a LEFT JOIN b ON b.x = a.x",
    "SELECT a.x, b.y FROM a LEFT JOIN b ON b.x = a.x AND b.y = a.y",
    "SELECT a.y, b.x FROM a RIGHT JOIN b ON b.x = a.x",
    "SELECT a.x, b.x FROM a FULL JOIN b ON b.x = a.x",
    "SELECT a.x, b.x FROM a FULL JOIN b ON b.x = a.x AND b.y < a.y",
    "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x)",
    "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y = a.y)",
    "SELECT x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.x = a.x)",
    "SELECT x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y <> a.y)",
    "SELECT y FROM a WHERE EXISTS (SELECT 1 FROM b)",
    "SELECT y FROM a WHERE x IN (SELECT x FROM b)",
    "SELECT y FROM a WHERE x NOT IN (SELECT x FROM b)",
    "SELECT y FROM a WHERE x NOT IN (SELECT b.x FROM b WHERE b.y = a.y)",
    "SELECT y, (SELECT max(x) FROM b) FROM a",
    "SELECT x, (SELECT count(*) FROM b WHERE b.x = a.x) FROM a",
    "SELECT x, (SELECT b.y FROM b WHERE b.x = a.x ORDER BY b.y LIMIT 1) FROM a",
    "SELECT count(*), count(x), sum(x), avg(x), total(x) FROM a",
    "SELECT y, count(*), sum(x), avg(x), total(x) FROM a GROUP BY y",
    "SELECT y, min(x), max(x), min(t) FROM a GROUP BY y",
    "SELECT y, count(DISTINCT x), sum(DISTINCT x) FROM a GROUP BY y",
    "SELECT y, group_concat(x), min_by(t, x) FROM a GROUP BY y",
    "SELECT x, count(*) FILTER (WHERE y = 'p') FROM a GROUP BY x",
    "SELECT y, count(*) FROM a GROUP BY y HAVING count(*) > 1",
    "SELECT a.y, count(*) FROM a JOIN b ON b.x = a.x GROUP BY a.y",
    "SELECT x, y FROM a ORDER BY x DESC, y LIMIT 1",
    "SELECT x, y FROM a ORDER BY y, x LIMIT 1 OFFSET 1",
    "SELECT x FROM a WHERE t >= now() - INTERVAL '50 seconds'",
    "SELECT x FROM a WHERE t < now() AND t > now() - INTERVAL '80 seconds'",
    "SELECT count(*) FROM a WHERE t <= now() - INTERVAL '20 seconds'",
    "SELECT a.x FROM a JOIN b ON b.x = a.x AND b.t <= a.t + INTERVAL '1 minute' AND b.t >= a.t",
    "SELECT x, t > now() FROM a",
    "WITH RECURSIVE w(n) AS (SELECT x FROM a UNION ALL SELECT b.x FROM w JOIN b ON b.x = w.n + 1) SELECT n FROM w",
    "WITH RECURSIVE w(n) AS (SELECT x FROM a UNION SELECT b.x FROM w JOIN b ON b.x <> w.n) SELECT n FROM w",
    "SELECT x, row_number() OVER (PARTITION BY y ORDER BY x) FROM a",
];

/// Over `e` and `f`, whose rows are events.
const EVENTS: &[&str] = &[
    "SELECT x FROM e WHERE x = 1",
    "SELECT e.x, f.y FROM e JOIN f ON f.x = e.x AND f.t BETWEEN e.t AND e.t + INTERVAL '1 minute'",
    "SELECT e.x, f.y FROM e JOIN f ON f.t - e.t < INTERVAL '1 minute' AND f.t >= e.t",
    "SELECT o.x, i.y FROM e o JOIN e i ON i.x = o.x AND i.t BETWEEN o.t AND o.t + INTERVAL '1 minute'",
    "SELECT e.x, f.y FROM e LEFT JOIN f ON f.x = e.x AND f.t BETWEEN e.t AND e.t + INTERVAL '1 minute'",
    "SELECT x FROM e WHERE NOT EXISTS (SELECT 1 FROM f WHERE f.x = e.x AND f.t BETWEEN e.t AND e.t + INTERVAL '1 minute')",
    "SELECT y, count(*) FROM e WHERE t >= now() - INTERVAL '50 seconds' GROUP BY y",
];

/// The moments at which steps happen, over and over: the clock goes on and back.
const NOW: [i64; 3] = [30, 100, 70];

/// Rows that may be there, by the place of their table.
struct Domain {
    tables: Vec<Arc<Table>>,
    rows: Vec<(usize, Row)>,
}

/// How often each row of the domain is there.
type State = Vec<usize>;

impl Domain {
    /// The tables of which a statement speaks.
    fn of(names: [&'static str; 2], kind: Kind, sql: &str) -> Self {
        let column = |name, ty| Column::new(name, ty, true, "A column.");
        let table = |name: &'static str| {
            let columns = vec![column("x", Type::Integer), column("y", Type::Text), column("t", Type::Timestamp)];
            Arc::new(Table { name: name.into(), doc: "A table.".into(), kind, columns })
        };
        let row = |x: Option<i64>, y: &str, t: Option<i64>| {
            let moment = t.map_or(Value::Null, |seconds| Value::Timestamp(EPOCH + seconds * MICROS_PER_SEC));
            vec![x.map_or(Value::Null, Value::Integer), Value::Text(y.to_owned()), moment]
        };
        let [one, other] = names;
        let mut rows =
            vec![(0, row(None, "p", Some(0))), (0, row(Some(0), "p", Some(60))), (0, row(Some(1), "q", None))];
        if sql.contains(&format!("FROM {other}")) || sql.contains(&format!("JOIN {other}")) {
            rows.extend([
                (1, row(None, "p", Some(60))),
                (1, row(Some(0), "q", Some(90))),
                (1, row(Some(1), "p", Some(0))),
            ]);
        }
        Self { tables: vec![table(one), table(other)], rows }
    }

    /// Every state of at most so many rows.
    fn states(&self, most: usize) -> Vec<State> {
        let mut all = vec![vec![]];
        for _ in &self.rows {
            let longer = |state: &State| {
                let left = most - state.iter().sum::<usize>();
                let state = state.clone();
                (0..=left).map(move |copies| [state.as_slice(), &[copies]].concat())
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    }

    fn world(&self, state: &State) -> World {
        let of = |at: usize| {
            let own = self.rows.iter().zip(state).filter(move |((table, _), _)| *table == at);
            own.flat_map(|((_, row), copies)| std::iter::repeat_n(row.clone(), *copies)).collect()
        };
        World { tables: self.tables.iter().enumerate().map(|(at, table)| (table.clone(), of(at))).collect() }
    }

    /// What leaves and what comes, row by row.
    fn changes(&self, before: &State, after: &State) -> Vec<Change> {
        let mut changes = Vec::new();
        for ((table, row), (before, after)) in self.rows.iter().zip(before.iter().zip(after)) {
            changes.extend((*after..*before).map(|_| Change::disappearing(row.clone(), *table)));
            changes.extend((*before..*after).map(|_| Change::appearing(row.clone(), *table)));
        }
        changes
    }
}

/// A statement with what it means in each state and at each moment, as far as it was asked.
struct Law<'a> {
    sql: &'a str,
    plan: Plan,
    domain: Domain,
    meanings: BTreeMap<(State, i64), Relation>,
}

struct Walk {
    dataflow: Dataflow,
    sum: Relation,
    way: String,
}

impl Law<'_> {
    fn load(&mut self, state: &State, now: i64) -> Walk {
        let mut dataflow = Dataflow::default();
        dataflow.install(&self.plan);
        let sum = if matches_are_events(&self.plan) { self.meaning(state, now).clone() } else { Relation::new() };
        let loaded = dataflow.load(&self.domain.world(state), moment(now)).expect("it can be read");
        let mut walk = Walk { dataflow, sum, way: format!("{state:?} at {now}") };
        walk.take(loaded);
        walk
    }

    fn meaning(&mut self, state: &State, now: i64) -> &Relation {
        let make = || whole(&self.plan, &self.domain.world(state), moment(now)).expect("it is small");
        self.meanings.entry((state.clone(), now)).or_insert_with(make)
    }

    fn step(&mut self, walk: &mut Walk, before: &State, after: &State, now: i64) {
        let changes = self.domain.changes(before, after);
        let world = self.domain.world(after);
        let outcomes = walk.dataflow.step(&world, &batches(&changes, &world), moment(now));
        walk.take(outcomes);
        let _ = write!(walk.way, " -> {after:?} at {now}");
    }

    fn step_by_row(&mut self, walk: &mut Walk, before: &State, after: &State, now: i64) {
        let mut at = before.clone();
        for (row, copies) in after.iter().enumerate() {
            while at[row] != *copies {
                let before = at.clone();
                at[row] = if at[row] < *copies { at[row] + 1 } else { at[row] - 1 };
                self.step(walk, &before, &at, now);
            }
        }
        self.step(walk, after, after, now);
    }

    fn compare(&mut self, walk: &Walk, state: &State, now: i64) {
        let sql = self.sql;
        let expected = self.meaning(state, now);
        let way: String = walk.way.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
        assert!(
            walk.sum == *expected,
            "{sql}\n…{way}\n     sum: {:?}\nexpected: {:?}",
            walk.sum.values(),
            expected.values()
        );
    }
}

impl Walk {
    fn take(&mut self, outcomes: Vec<(RuleId, Outcome)>) {
        for (_, outcome) in outcomes {
            add(&mut self.sum, &outcome.expect("nothing here reaches a bound").rows);
        }
    }
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp(EPOCH + seconds * MICROS_PER_SEC)
}

fn law(sql: &str, domain: Domain) -> Law<'_> {
    let plan =
        crate::plan(&checked(&domain.world(&vec![0; domain.rows.len()]), sql).unwrap_or_else(|| panic!("{sql}")));
    Law { sql, plan, domain, meanings: BTreeMap::new() }
}

/// Numbers below `of` so that each follows each, itself included, once: Lyndon words of length 1 and 2 in order.
fn each_after_each(of: usize) -> Vec<usize> {
    let words = (0..of).flat_map(|one| std::iter::once(one).chain((one + 1..of).flat_map(move |other| [one, other])));
    words.chain([0]).collect()
}

/// How many rows there may be at a time.
fn rows(sides: usize) -> usize {
    let more = usize::from(setting("CASES", 0) >= 5_000);
    if sides > 3 { 2 + more } else { 3 + more }
}

#[test]
fn each_way_from_a_few_rows_to_a_few_others() {
    for sql in STATE {
        let domain = Domain::of(["a", "b"], Kind::State, sql);
        let states = domain.states(rows(domain.rows.len()));
        let mut law = law(sql, domain);
        let way = each_after_each(states.len());
        assert_eq!(way.len(), states.len() * states.len() + 1);
        let mut now = NOW[0];
        let first = &states[way[0]];
        let (mut together, mut by_row) = (law.load(first, now), law.load(first, now));
        for (at, pair) in way.windows(2).enumerate() {
            let (before, after) = (&states[pair[0]], &states[pair[1]]);
            now = NOW[(at + 1) % NOW.len()];
            law.step(&mut together, before, after, now);
            law.compare(&together, after, now);
            law.step_by_row(&mut by_row, before, after, now);
            law.compare(&by_row, after, now);
        }
        for state in &states {
            let walk = law.load(state, now);
            law.compare(&walk, state, now);
        }
    }
}

#[test]
fn each_way_in_which_a_few_events_come() {
    let grows = |before: &State, after: &State| before.iter().zip(after).all(|(before, after)| before <= after);
    for sql in EVENTS {
        let domain = Domain::of(["e", "f"], Kind::Events, sql);
        let states = domain.states(rows(domain.rows.len()));
        let mut law = law(sql, domain);
        for first in &states {
            for second in states.iter().filter(|second| grows(first, second)) {
                for third in states.iter().filter(|third| grows(second, third)) {
                    for by_row in [false, true] {
                        let mut walk = law.load(first, NOW[0]);
                        law.compare(&walk, first, NOW[0]);
                        for (before, after, now) in [(first, second, NOW[1]), (second, third, NOW[2])] {
                            if by_row {
                                law.step_by_row(&mut walk, before, after, now);
                            } else {
                                law.step(&mut walk, before, after, now);
                            }
                            law.compare(&walk, after, now);
                        }
                    }
                }
            }
        }
    }
}
